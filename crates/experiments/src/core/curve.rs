//! Recorded results as curves over depth, and the numbers that claims take from them.

use super::finding::{Measured, NotTested, Outcome};
use layerwise_metrics::curve;

// What a statistic of resamples does thousands of times is in `layerwise-metrics`, which is optimised in tests, too.
pub use layerwise_metrics::curve::{
    Point, at_depth, lies_between, mean, median, peak, slope, trough,
};

/// The depths that count as the middle, including both ends (D1).
const MIDDLE: [f64; 2] = [0.2, 0.9];

/// Why a claim is not tested if its experiment has no results.
pub fn needs(experiment: &str) -> NotTested {
    NotTested(format!("needs the results of {experiment}"))
}

/// The records for which `own` holds, as a curve in the order of their indices.
pub fn curve<R>(
    records: &[R],
    experiment: &str,
    own: impl Fn(&R) -> bool,
    point: impl Fn(&R) -> Point,
) -> Result<Vec<Point>, NotTested> {
    let mut points: Vec<Point> = records.iter().filter(|r| own(r)).map(point).collect();
    points.sort_by_key(|point| point.index);
    if points.is_empty() {
        return Err(needs(experiment));
    }
    if let Some(bad) = points.iter().find(|point| !point.value.is_finite()) {
        return Err(NotTested(format!(
            "{experiment} has {} at index {}",
            bad.value, bad.index
        )));
    }
    Ok(points)
}

/// A point of a curve.
pub fn point(index: usize, depth: f64, value: f64, error: Option<f64>) -> Point {
    Point {
        index,
        depth,
        value,
        error,
    }
}

/// Whether a depth counts as the middle.
pub fn is_middle(depth: f64) -> bool {
    lies_between(depth, MIDDLE[0], MIDDLE[1])
}

/// The points in the middle, of which there must be at least one.
pub fn middle(curve: &[Point]) -> Result<Vec<Point>, NotTested> {
    let [low, high] = MIDDLE;
    let middle = curve::between(curve, low, high);
    if middle.is_empty() {
        let reason = format!("no block lies at depths {low} to {high}");
        return Err(NotTested(reason));
    }
    Ok(middle)
}

/// The standard error of a sum or difference of two numbers, treated as independent.
pub fn together(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(a?.hypot(b?))
}

/// The depth of the greatest value.
pub fn depth_of_peak(curve: &[Point], experiment: &str) -> Outcome {
    let peak = peak(curve).ok_or_else(|| needs(experiment))?;
    Ok(Measured::of(peak.depth).noting(format!("index {}", peak.index)))
}

/// The rank correlation of depth with the value.
pub fn against_depth(curve: &[Point]) -> Outcome {
    let correlation = curve::rank_correlation(curve)
        .ok_or_else(|| NotTested("the rank correlation is not defined".to_owned()))?;
    Ok(Measured::of(correlation).noting(format!("{} blocks", curve.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Vec<Point> {
        let last = values.len().saturating_sub(1).max(1) as f64;
        let points = values.iter().enumerate();
        points
            .map(|(index, &value)| point(index, index as f64 / last, value, Some(value.abs())))
            .collect()
    }

    #[test]
    fn the_middle_has_its_ends() {
        let eleven = of(&[0.0; 11]);
        let found: Vec<usize> = middle(&eleven).unwrap().iter().map(|p| p.index).collect();
        assert_eq!(found, [2, 3, 4, 5, 6, 7, 8, 9]);
        assert!(middle(&of(&[0.0; 2])).is_err());
    }
}
