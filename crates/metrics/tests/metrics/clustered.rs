//! Means and standard errors clustered by sequence.

use layerwise_metrics::{ClusteredMean, ClusteredRatio, MetricsError};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

fn clustered(clusters: &[(f64, u64)]) -> ClusteredMean {
    let mut mean = ClusteredMean::new();
    for &(sum, count) in clusters {
        mean.push(sum, count);
    }
    mean
}

#[test]
fn known_means_and_standard_errors() {
    let mut failures = Vec::new();
    let mut check = |name: &str, clusters: &[(f64, u64)], expected: (Option<f64>, Option<f64>)| {
        let mean = clustered(clusters);
        let found = (mean.mean(), mean.standard_error());
        if found != expected {
            failures.push(format!("{name}: expected {expected:?}, found {found:?}"));
        }
    };
    check("no cluster", &[], (None, None));
    check("only empty clusters", &[(0.0, 0), (0.0, 0)], (None, None));
    check("one cluster", &[(6.0, 4)], (Some(1.5), None));
    check(
        "one cluster beside empty ones",
        &[(0.0, 0), (6.0, 4), (0.0, 0)],
        (Some(1.5), None),
    );
    check(
        "equal clusters",
        &[(6.0, 4), (6.0, 4)],
        (Some(1.5), Some(0.0)),
    );
    check(
        "proportional clusters",
        &[(3.0, 2), (6.0, 4)],
        (Some(1.5), Some(0.0)),
    );
    // x̄ = 2, residuals 1 and −1: SE² = 2/1 · 2 / 2² = 1.
    check("two values", &[(3.0, 1), (1.0, 1)], (Some(2.0), Some(1.0)));
    // x̄ = 3, residuals 6 − 6, 3 − 3, 0 − 3, 6 − 3, so SE² = 4/3 · 18 / 5² = 24/25.
    check(
        "unequal counts",
        &[(6.0, 2), (3.0, 1), (0.0, 1), (6.0, 1)],
        (Some(3.0), Some((4.0_f64 / 3.0 * 18.0).sqrt() / 5.0)),
    );
    check(
        "an empty cluster is no sample",
        &[(3.0, 1), (0.0, 0), (1.0, 1)],
        (Some(2.0), Some(1.0)),
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn clusters_are_kept_in_order() {
    let mean = clustered(&[(2.0, 1), (1.0, 3)]);
    let pairs: Vec<_> = mean.clusters().iter().map(|c| (c.sum, c.count)).collect();
    assert_eq!(pairs, [(2.0, 1), (1.0, 3)]);
    assert_eq!(mean.count(), 4);
}

#[test]
fn huge_counts_do_not_overflow() {
    let mean = clustered(&[(1.0, u64::MAX), (1.0, u64::MAX)]);
    assert_eq!(mean.count(), u64::MAX);
    assert!(mean.standard_error().is_some());
}

#[test]
fn nan_is_passed_on() {
    let mean = clustered(&[(f64::NAN, 2), (1.0, 2)]);
    assert!(mean.mean().unwrap().is_nan());
    assert!(mean.standard_error().unwrap().is_nan());
}

#[test]
fn differences_need_the_same_clusters() {
    let mean = clustered(&[(1.0, 2), (1.0, 3)]);
    let shorter = clustered(&[(1.0, 2)]);
    let other = clustered(&[(1.0, 2), (1.0, 4)]);
    assert_eq!(
        mean.difference(&shorter),
        Err(MetricsError::ClusterNumbers {
            expected: 2,
            found: 1
        })
    );
    assert_eq!(
        mean.difference(&other),
        Err(MetricsError::ClusterCounts {
            cluster: 1,
            expected: 3,
            found: 4
        })
    );
}

#[test]
fn pairing_removes_what_clusters_share() {
    // The sequences differ widely; the second schedule adds exactly 1 per position to each.
    let plain = clustered(&[(10.0, 2), (200.0, 4), (3.0, 1)]);
    let altered = clustered(&[(12.0, 2), (204.0, 4), (4.0, 1)]);
    let difference = altered.difference(&plain).unwrap();
    assert_eq!(difference.mean(), Some(1.0));
    assert_eq!(difference.standard_error(), Some(0.0));
    assert!(plain.standard_error().unwrap() > 1.0);
}

/// A draw of the standard normal distribution (Box and Muller).
fn gaussian(random: &mut ChaCha8Rng) -> f64 {
    let mut unit = || (f64::from(random.next_u32()) + 0.5) / 4_294_967_296.0;
    (-2.0 * unit().ln()).sqrt() * (std::f64::consts::TAU * unit()).cos()
}

/// Sequences of 20 to 119 positions, whose text is as hard for both schedules (`shared`) and besides in a way of its own for
/// each (`own`); the difference is 0.1 in truth. Both are skewed, as divergences are.
#[test]
fn intervals_of_differences_hold_the_truth_as_often_as_they_say() {
    const SAMPLES: usize = 4000;
    const TRUTH: f64 = 0.1;
    const WITHIN: f64 = 1.96;
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut check = |sequences: usize, shared: f64, own: f64| {
        let (mut paired, mut apart) = (0, 0);
        for _ in 0..SAMPLES {
            let [mut left, mut right] = [ClusteredMean::new(), ClusteredMean::new()];
            for _ in 0..sequences {
                let positions = 20 + u64::from(random.next_u32() % 100);
                let hard = (shared * gaussian(&mut random)).exp();
                for (mean, more) in [(&mut left, TRUTH), (&mut right, 0.0)] {
                    let level = hard + more + own * (0.5 * gaussian(&mut random)).exp();
                    mean.push(level * positions as f64, positions);
                }
            }
            let difference = left.difference(&right).unwrap();
            let off = (difference.mean().unwrap() - TRUTH).abs();
            let errors = [&left, &right].map(|mean| mean.standard_error().unwrap());
            paired += usize::from(off <= WITHIN * difference.standard_error().unwrap());
            apart += usize::from(off <= WITHIN * errors[0].hypot(errors[1]));
        }
        let [paired, apart] = [paired, apart].map(|held| 100.0 * held as f64 / SAMPLES as f64);
        let what = format!("{sequences} sequences, {shared} and {own}");
        assert!((93.0..=97.0).contains(&paired), "{what}: {paired} %");
        // The errors of the two means say nothing of their difference: such an interval is far too wide.
        assert!(apart > 99.0, "{what}: {apart} % unpaired");
    };
    check(40, 0.5, 0.5);
    check(100, 1.0, 0.2);
    check(400, 0.3, 0.3);
}

/// Observations of several sequences, some of them without any.
fn sequences() -> impl Strategy<Value = Vec<Vec<f64>>> {
    prop::collection::vec(prop::collection::vec(-10.0..10.0, 0..6), 2..9)
}

fn from_observations(sequences: &[Vec<f64>]) -> ClusteredMean {
    let mut mean = ClusteredMean::new();
    for sequence in sequences {
        mean.push(sequence.iter().sum(), sequence.len() as u64);
    }
    mean
}

/// The standard error from single observations, by the covariances of residuals that share a sequence.
fn direct_standard_error(sequences: &[Vec<f64>]) -> Option<f64> {
    let sampled: Vec<_> = sequences.iter().filter(|s| !s.is_empty()).collect();
    let observations = || sampled.iter().flat_map(|sequence| sequence.iter());
    let total = observations().count() as f64;
    let mean = observations().sum::<f64>() / total;
    let mut covariance = 0.0;
    for sequence in &sampled {
        for left in sequence.iter() {
            for right in sequence.iter() {
                covariance += (left - mean) * (right - mean);
            }
        }
    }
    let groups = sampled.len() as f64;
    let variance = groups / (groups - 1.0) * covariance.max(0.0) / (total * total);
    (sampled.len() >= 2).then(|| variance.sqrt())
}

proptest! {
    #[test]
    fn standard_error_is_the_direct_one(sequences in sequences()) {
        let found = from_observations(&sequences).standard_error();
        let expected = direct_standard_error(&sequences);
        prop_assert_eq!(found.is_some(), expected.is_some());
        if let (Some(found), Some(expected)) = (found, expected) {
            // Near zero, the square root of a rounding error remains.
            prop_assert!((found - expected).abs() <= 1e-6, "{found} against {expected}");
            prop_assert!((found * found - expected * expected).abs() <= 1e-12);
        }
    }

    #[test]
    fn standard_error_of_single_observations_is_the_usual_one(
        values in prop::collection::vec(-10.0..10.0, 2..20),
    ) {
        let mut mean = ClusteredMean::new();
        for &value in &values {
            mean.push(value, 1);
        }
        let number = values.len() as f64;
        let average = values.iter().sum::<f64>() / number;
        let squares = values.iter().map(|value| (value - average).powi(2)).sum::<f64>();
        let expected = (squares / (number - 1.0) / number).sqrt();
        prop_assert!((mean.standard_error().unwrap() - expected).abs() <= 1e-12);
    }

    #[test]
    fn difference_is_the_mean_of_paired_observations(
        pairs in prop::collection::vec(prop::collection::vec((-10.0..10.0, -10.0..10.0), 1..6), 2..9),
    ) {
        let side = |pick: fn(&(f64, f64)) -> f64| -> Vec<Vec<f64>> {
            pairs.iter().map(|sequence| sequence.iter().map(pick).collect()).collect()
        };
        let left = from_observations(&side(|pair| pair.0));
        let right = from_observations(&side(|pair| pair.1));
        let direct = from_observations(&side(|pair| pair.0 - pair.1));
        let difference = left.difference(&right).unwrap();
        prop_assert!((difference.mean().unwrap() - direct.mean().unwrap()).abs() <= 1e-12);
        let (found, expected) = (difference.standard_error(), direct.standard_error());
        prop_assert!((found.unwrap() - expected.unwrap()).abs() <= 1e-11);
    }
}

#[test]
fn a_ratio_without_a_sum_below_or_of_one_cluster_has_no_error() {
    let of = |clusters: &[(f64, f64)]| {
        let mut ratio = ClusteredRatio::new();
        for &(above, below) in clusters {
            ratio.push(above, below);
        }
        (ratio.ratio(), ratio.standard_error())
    };
    assert_eq!(of(&[]), (None, None));
    assert_eq!(of(&[(1.0, 2.0), (1.0, -2.0)]), (None, None));
    assert_eq!(of(&[(1.0, 2.0)]), (Some(0.5), None));
    assert_eq!(of(&[(1.0, 2.0), (2.0, 4.0)]), (Some(0.5), Some(0.0)));
}

proptest! {
    #[test]
    fn a_mean_is_the_ratio_of_its_sums_and_counts(
        clusters in prop::collection::vec((-9.0..9.0_f64, 1..9_u64), 2..20),
        sign in prop::sample::select(vec![1.0, -1.0]),
    ) {
        let mean = clustered(&clusters);
        let mut ratio = ClusteredRatio::new();
        for &(sum, count) in &clusters {
            ratio.push(sign * sum, sign * count as f64);
        }
        let close = |a: Option<f64>, b: Option<f64>| (a.unwrap() - b.unwrap()).abs() < 1e-9;
        prop_assert!(close(mean.mean(), ratio.ratio()));
        prop_assert!(close(mean.standard_error(), ratio.standard_error()));
    }
}
