//! Decisions by a threshold.

use layerwise_metrics::MetricsError;
use layerwise_metrics::threshold::{accuracy, best, cosine_grid};
use proptest::prelude::*;

#[test]
fn the_grid_is_that_of_the_paper() {
    let grid = cosine_grid();
    assert_eq!(
        (grid.len(), grid[0], grid[1], grid[7], grid[19]),
        (20, 0.0, 0.05, 0.35, 0.95)
    );
}

#[test]
fn known_thresholds() {
    let check = |samples: &[(f64, bool)], grid: &[f64], threshold: f64, share: f64| {
        assert_eq!(best(samples, grid), Ok(threshold), "{samples:?}");
        assert_eq!(
            accuracy(samples, threshold).unwrap().mean(),
            Some(share),
            "{samples:?}"
        );
    };
    let separable = [(0.1, false), (0.2, false), (0.7, true), (0.9, true)];
    check(&separable, &[0.0, 0.5, 0.6], 0.5, 1.0);
    // The first maximum in the order of the grid, which need not be ascending.
    check(&separable, &[0.6, 0.5, 0.0], 0.6, 1.0);
    check(&separable, &[0.95, 0.15], 0.15, 0.75);
    // A score equal to the threshold counts as below it.
    check(&[(0.5, false)], &[0.4, 0.5], 0.5, 1.0);
    check(&[(0.5, true)], &[0.5, 0.4], 0.4, 1.0);
    // If every threshold is wrong on all samples, the first of the grid is best.
    check(&[(0.9, false), (0.1, true)], &[0.5, 0.6], 0.5, 0.0);
    check(
        &[(f64::INFINITY, true), (f64::NEG_INFINITY, false)],
        &[0.5],
        0.5,
        1.0,
    );
}

#[test]
fn the_standard_error_is_that_of_a_share() {
    let samples: Vec<_> = (0..100).map(|i| (f64::from(i % 4), true)).collect();
    let share = accuracy(&samples, 0.5).unwrap();
    assert_eq!(share.mean(), Some(0.75));
    let expected = (0.75 * 0.25 / 99.0_f64).sqrt();
    assert!((share.standard_error().unwrap() - expected).abs() <= 1e-15);
    assert_eq!(accuracy(&[], 0.5).unwrap().mean(), None);
}

#[test]
fn bad_samples_and_grids_are_refused() {
    let nan = [(0.1, true), (f64::NAN, true)];
    assert_eq!(
        accuracy(&nan, 0.5),
        Err(MetricsError::InvalidScore { sample: 1 })
    );
    assert_eq!(
        best(&nan, &[0.5]),
        Err(MetricsError::InvalidScore { sample: 1 })
    );
    assert_eq!(best(&[], &[0.5]), Err(MetricsError::NoScores));
    assert_eq!(best(&nan[..1], &[]), Err(MetricsError::NoThresholds));
    assert_eq!(
        best(&nan[..1], &[0.5, f64::NAN]),
        Err(MetricsError::InvalidThreshold { index: 1 })
    );
}

proptest! {
    #[test]
    fn no_threshold_is_better_and_none_before_as_good(
        samples in prop::collection::vec((-0.2..1.2, any::<bool>()), 1..30),
    ) {
        let grid = cosine_grid();
        let chosen = best(&samples, &grid).unwrap();
        let share = |threshold| accuracy(&samples, threshold).unwrap().mean();
        for threshold in grid {
            if threshold < chosen {
                prop_assert!(share(threshold) < share(chosen));
            } else {
                prop_assert!(share(threshold) <= share(chosen));
            }
        }
    }
}
