//! Curves on a common scale and grid.

use crate::reference::{matrix, numbers, part};
use layerwise_metrics::MetricsError;
use layerwise_metrics::rescale::{DEPTHS, depths, interpolate, min_max};
use proptest::prelude::*;

#[test]
fn curves_are_those_of_numpy() {
    let part = part("rescale");
    let curve = matrix(&part["curve"]);
    let curve: Vec<_> = curve
        .outer_iter()
        .map(|point| (point[0], point[1]))
        .collect();
    let values: Vec<_> = curve.iter().map(|point| point.1).collect();
    let check = |name: &str, found: &[f64]| {
        let expected = numbers(&part[name]);
        assert_eq!(found.len(), expected.len(), "{name}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() <= 1e-14,
                "{name}: {found}, expected {expected}"
            );
        }
    };
    check("interpolated", &interpolate(&curve).unwrap());
    check("min_max", &min_max(&values).unwrap());
}

#[test]
fn the_grid_has_exact_ends() {
    let grid = depths();
    assert_eq!(
        (grid.len(), grid[0], grid[37], grid[100]),
        (101, 0.0, 0.37, 1.0)
    );
}

#[test]
fn bad_curves_are_refused() {
    assert_eq!(interpolate(&[]), Err(MetricsError::EmptyCurve));
    assert_eq!(interpolate(&[(0.4, 7.0)]), Ok([7.0; DEPTHS]));
    let check = |odd: (f64, f64)| {
        let error = interpolate(&[(0.1, 1.0), odd, (0.9, 1.0)]).unwrap_err();
        assert!(
            error.to_string().starts_with("point 1 of a curve is"),
            "{error}"
        );
    };
    for odd in [f64::NAN, f64::INFINITY] {
        check((odd, 1.0));
        check((0.5, odd));
    }
    check((0.1, 1.0));
    check((0.0, 1.0));
}

#[test]
fn degenerate_values_have_no_scale() {
    for values in [
        vec![],
        vec![1.0],
        vec![0.1; 3],
        vec![0.0, -0.0],
        vec![0.0, f64::NAN, 1.0],
        vec![0.0, f64::INFINITY],
    ] {
        assert_eq!(min_max(&values), None, "{values:?}");
    }
    assert_eq!(
        min_max(&[f64::MAX, 0.0, f64::MIN]),
        Some(vec![1.0, 0.5, 0.0])
    );
}

proptest! {
    #[test]
    fn straight_lines_stay_straight(
        inner in prop::collection::btree_set(1..1000_u32, 0..10),
        slope in -3.0..3.0_f64,
        start in -3.0..3.0_f64,
    ) {
        let inner = inner.into_iter().map(|thousandth| f64::from(thousandth) / 1000.0);
        let depths_of_curve = [0.0].into_iter().chain(inner).chain([1.0]);
        let curve: Vec<_> = depths_of_curve.map(|depth| (depth, start + slope * depth)).collect();
        for (depth, found) in depths().into_iter().zip(interpolate(&curve).unwrap()) {
            prop_assert!((found - (start + slope * depth)).abs() <= 1e-13);
        }
    }

    #[test]
    fn scaled_values_fill_the_range_in_order(values in prop::collection::vec(-9.0..9.0, 2..20)) {
        let Some(scaled) = min_max(&values) else {
            return Ok(());
        };
        prop_assert_eq!(scaled.iter().copied().reduce(f64::min), Some(0.0));
        prop_assert_eq!(scaled.iter().copied().reduce(f64::max), Some(1.0));
        for (left, scaled_left) in values.iter().zip(&scaled) {
            for (right, scaled_right) in values.iter().zip(&scaled) {
                prop_assert!(left > right || scaled_left <= scaled_right);
            }
        }
    }
}
