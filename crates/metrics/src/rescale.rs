//! Curves with different units and numbers of layers, on one scale and one grid (paper A.1, nips-fig1).

use crate::MetricsError;

/// Number of depths of the common grid.
pub const DEPTHS: usize = 101;

/// The common grid of relative depths: 0, 0.01, …, 1.
pub fn depths() -> [f64; DEPTHS] {
    std::array::from_fn(|index| index as f64 / (DEPTHS - 1) as f64)
}

/// The values of a curve at the [common depths](depths), linearly interpolated between its points, in their unit.
///
/// A point is a relative depth and a value.
/// Before the first point and after the last, the curve has the value of that point.
///
/// # Errors
///
/// There must be a point, every number must be finite, and depths must increase from point to point.
///
/// ```
/// use layerwise_metrics::rescale;
///
/// let curve = rescale::interpolate(&[(0.0, 2.0), (0.5, 4.0), (1.0, 2.0)])?;
/// assert_eq!((curve[0], curve[25], curve[100]), (2.0, 3.0, 2.0));
/// # Ok::<(), layerwise_metrics::MetricsError>(())
/// ```
pub fn interpolate(curve: &[(f64, f64)]) -> Result<[f64; DEPTHS], MetricsError> {
    let (Some(first), Some(last)) = (curve.first(), curve.last()) else {
        return Err(MetricsError::EmptyCurve);
    };
    let mut previous = f64::NEG_INFINITY;
    for (point, &(depth, value)) in curve.iter().enumerate() {
        if !(depth.is_finite() && depth > previous && value.is_finite()) {
            return Err(MetricsError::InvalidPoint {
                point,
                depth,
                value,
            });
        }
        previous = depth;
    }
    Ok(depths().map(|at| {
        let after = curve.partition_point(|&(depth, _)| depth <= at);
        if after == 0 {
            first.1
        } else if let Some(&(right, right_value)) = curve.get(after) {
            let (left, left_value) = curve[after - 1];
            let share = (at - left) / (right - left);
            left_value * (1.0 - share) + right_value * share
        } else {
            last.1
        }
    }))
}

/// Values shifted and scaled so that the smallest is 0 and the largest 1, without unit.
///
/// `None` if that is not defined: there are no values, all are equal, or one is NaN or infinite.
pub fn min_max(values: &[f64]) -> Option<Vec<f64>> {
    if !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    let least = values.iter().copied().reduce(f64::min)?;
    let greatest = values.iter().copied().reduce(f64::max)?;
    // Halves, so that the range cannot overflow.
    let range = greatest / 2.0 - least / 2.0;
    let scaled = |value: &f64| (value / 2.0 - least / 2.0) / range;
    (range > 0.0).then(|| values.iter().map(scaled).collect())
}
