//! Streamed moments.

use crate::reference::{numbers, part};
use layerwise_metrics::Moments;
use proptest::prelude::*;

fn merged(pieces: &[&[f64]]) -> Moments {
    let mut moments = Moments::default();
    for piece in pieces {
        moments.merge(&Moments::of(piece));
    }
    moments
}

fn all(moments: &Moments) -> [Option<f64>; 4] {
    [
        moments.mean(),
        moments.variance(),
        moments.skewness(),
        moments.kurtosis(),
    ]
}

#[track_caller]
fn assert_close(found: f64, expected: f64, tolerance: f64, what: &str) {
    let allowed = tolerance * expected.abs().max(1.0);
    assert!(
        (found - expected).abs() <= allowed,
        "{what}: expected {expected}, found {found}"
    );
}

#[test]
fn moments_are_those_of_scipy() {
    for case in part("moments").as_array().unwrap() {
        let values = numbers(&case["values"]);
        let (head, tail) = values.split_at(values.len() / 3);
        for moments in [
            Moments::of(&values),
            merged(&[head, &[], tail]),
            merged(&values.chunks(1).collect::<Vec<_>>()),
        ] {
            assert_eq!(moments.count(), values.len() as u64);
            let names = ["mean", "variance", "skewness", "kurtosis"];
            for (name, found) in names.into_iter().zip(all(&moments)) {
                let expected = case[name].as_f64().unwrap();
                // Means near 1e6 have rounding errors of 1e-10, and so do deviations from them.
                let what = format!("{}, {name}", case["name"]);
                assert_close(found.unwrap(), expected, 1e-9, &what);
            }
        }
    }
}

#[test]
fn without_spread_there_is_no_shape() {
    let check = |values: &[f64], expected: [Option<f64>; 2]| {
        let pieces: Vec<&[f64]> = values.chunks(2).collect();
        for moments in [Moments::of(values), merged(&pieces)] {
            let [mean, variance, skewness, kurtosis] = all(&moments);
            assert_eq!([mean, variance], expected, "{values:?}");
            assert_eq!([skewness, kurtosis], [None, None], "{values:?}");
        }
    };
    check(&[], [None, None]);
    check(&[3.5], [Some(3.5), Some(0.0)]);
    // A sum of tenths is not exact.
    check(&[0.1; 1001], [Some(0.1), Some(0.0)]);
    check(&[-1e300; 5], [Some(-1e300), Some(0.0)]);
}

#[test]
fn what_is_not_finite_is_passed_on() {
    for odd in [f64::NAN, f64::INFINITY] {
        let moments = merged(&[&[1.0, odd], &[2.0, 3.0]]);
        for found in &all(&moments)[1..] {
            assert!(found.unwrap().is_nan(), "{odd}: {moments:?}");
        }
    }
}

#[test]
fn a_large_mean_costs_no_digits() {
    // 1e9 ± 1 are exact, so the moments are those of a fair coin.
    let values: Vec<f64> = (0..10_000).map(|i| 1e9 + f64::from(i % 2) * 2.0).collect();
    let pieces: Vec<&[f64]> = values.chunks(77).collect();
    for moments in [Moments::of(&values), merged(&pieces)] {
        for (found, expected) in all(&moments).into_iter().zip([1e9 + 1.0, 1.0, 0.0, 1.0]) {
            assert_close(found.unwrap(), expected, 1e-7, "coin");
        }
    }
}

proptest! {
    #[test]
    fn pieces_make_no_difference(
        values in prop::collection::vec(-5.0..5.0, 2..60),
        cut in 0.0..1.0,
    ) {
        let (head, tail) = values.split_at((values.len() as f64 * cut) as usize);
        let (whole, pieces) = (all(&Moments::of(&values)), all(&merged(&[head, tail])));
        for (whole, piece) in whole.into_iter().zip(pieces) {
            prop_assert!((whole.unwrap() - piece.unwrap()).abs() <= 1e-9 * whole.unwrap().abs().max(1.0));
        }
    }

    #[test]
    fn shape_ignores_place_and_scale(
        values in prop::collection::vec(-5.0..5.0, 3..40),
        place in -100.0..100.0,
        scale in 0.1..10.0,
    ) {
        let moved: Vec<f64> = values.iter().map(|value| place - scale * value).collect();
        let [mean, variance, skewness, kurtosis] = all(&Moments::of(&values)).map(Option::unwrap);
        let found = all(&Moments::of(&moved)).map(Option::unwrap);
        let expected = [place - scale * mean, scale * scale * variance, -skewness, kurtosis];
        for (found, expected) in found.into_iter().zip(expected) {
            prop_assert!((found - expected).abs() <= 1e-8 * expected.abs().max(1.0));
        }
        // Pearson's inequality.
        prop_assert!(kurtosis >= skewness * skewness + 1.0 - 1e-9);
    }
}
