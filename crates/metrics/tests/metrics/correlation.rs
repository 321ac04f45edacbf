//! Correlation of paired numbers.

use crate::reference::{matrix, part};
use layerwise_metrics::correlation::{pearson, spearman};
use proptest::prelude::*;

#[test]
fn correlations_are_those_of_scipy() {
    for case in part("correlation").as_array().unwrap() {
        let pairs = matrix(&case["pairs"]);
        let pairs: Vec<_> = pairs.outer_iter().map(|pair| (pair[0], pair[1])).collect();
        let check = |name: &str, found: Option<f64>| {
            let expected = case[name].as_f64().unwrap();
            let difference = (found.unwrap() - expected).abs();
            // The mean of numbers near 1e6 has a rounding error of 1e-10, 10⁻⁸ of their spread.
            assert!(
                difference <= 1e-11,
                "{}, {name}: {found:?}, expected {expected}",
                case["name"]
            );
        };
        check("pearson", pearson(&pairs));
        check("spearman", spearman(&pairs));
    }
}

#[test]
fn degenerate_pairs_have_no_correlation() {
    let check = |pairs: &[(f64, f64)]| {
        for pairs in [pairs.to_vec(), pairs.iter().map(|&(x, y)| (y, x)).collect()] {
            assert_eq!(pearson(&pairs), None, "{pairs:?}");
            assert_eq!(spearman(&pairs), None, "{pairs:?}");
        }
    };
    check(&[]);
    check(&[(1.0, 2.0)]);
    check(&[(0.0, 1.0), (0.0, 2.0)]);
    check(&[(0.0, 1.0), (-0.0, 2.0)]);
    check(&[(0.1, 1.0), (0.1, 2.0), (0.1, 4.0)]);
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        check(&[(0.0, 1.0), (1.0, odd), (2.0, 0.0)]);
    }
}

#[test]
fn numbers_of_any_size_correlate() {
    let check = |pairs: &[(f64, f64)], expected: f64| {
        assert!(
            (pearson(pairs).unwrap() - expected).abs() <= 1e-15,
            "{pairs:?}"
        );
        assert!(
            (spearman(pairs).unwrap() - expected).abs() <= 1e-15,
            "{pairs:?}"
        );
    };
    check(&[(-1e308, 1e-300), (1e308, 2e-300)], 1.0);
    check(&[(f64::MAX, f64::MIN), (f64::MIN, f64::MAX)], -1.0);
    check(&[(1.0, -0.0), (2.0, 0.0), (1.0, 1.0), (2.0, 1.0)], 0.0);
}

/// Few distinct numbers, so that there are ties.
fn pairs() -> impl Strategy<Value = Vec<(f64, f64)>> {
    let number = || (-6..6_i8).prop_map(|x| f64::from(x) / 3.0);
    prop::collection::vec((number(), number()), 2..30)
}

/// Spearman's correlation with ranks by counting.
fn by_counting(pairs: &[(f64, f64)]) -> Option<f64> {
    let rank = |value: f64, all: &dyn Fn(usize) -> f64| {
        let below = (0..pairs.len()).filter(|&i| all(i) < value).count() as f64;
        let equal = (0..pairs.len()).filter(|&i| all(i) == value).count() as f64;
        below + (equal + 1.0) / 2.0
    };
    let ranked: Vec<_> = pairs
        .iter()
        .map(|&(x, y)| (rank(x, &|i| pairs[i].0), rank(y, &|i| pairs[i].1)))
        .collect();
    pearson(&ranked)
}

proptest! {
    #[test]
    fn correlations_are_symmetric_and_bounded(pairs in pairs()) {
        let mirrored: Vec<_> = pairs.iter().map(|&(x, y)| (y, x)).collect();
        for correlation in [pearson, spearman] {
            let found = correlation(&pairs);
            prop_assert_eq!(found, correlation(&mirrored));
            prop_assert!(found.is_none_or(|r| r.abs() <= 1.0 + 1e-14));
        }
    }

    #[test]
    fn spearman_counts_ranks_and_ignores_monotone_maps(pairs in pairs()) {
        let mapped: Vec<_> = pairs.iter().map(|&(x, y)| (x.exp(), -y * y * y)).collect();
        let found = spearman(&pairs);
        prop_assert_eq!(found, by_counting(&pairs));
        let negated = spearman(&mapped);
        prop_assert_eq!(found.is_some(), negated.is_some());
        if let (Some(found), Some(negated)) = (found, negated) {
            prop_assert!((found + negated).abs() <= 1e-14);
        }
    }
}
