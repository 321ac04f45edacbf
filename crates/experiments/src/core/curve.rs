//! Recorded results as curves over depth, and the numbers that claims take from them.

use super::finding::{Measured, NotTested, Outcome};
use layerwise_metrics::correlation;

/// A point of a curve over depth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Block or residual stream, from 0.
    pub index: usize,
    /// From 0 to 1.
    pub depth: f64,
    /// The value drawn against depth.
    pub value: f64,
    /// Its standard error.
    pub error: Option<f64>,
}

/// The depths that count as the middle, including both ends (D1).
const MIDDLE: [f64; 2] = [0.2, 0.9];

/// Depths are quotients, compared within rounding.
const ROUNDING: f64 = 1e-9;

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

/// Whether a depth lies between two depths, including both.
pub fn lies_between(depth: f64, low: f64, high: f64) -> bool {
    depth >= low - ROUNDING && depth <= high + ROUNDING
}

/// Whether a depth counts as the middle.
pub fn is_middle(depth: f64) -> bool {
    lies_between(depth, MIDDLE[0], MIDDLE[1])
}

/// The points in the middle, of which there must be at least one.
pub fn middle(curve: &[Point]) -> Result<Vec<Point>, NotTested> {
    let middle: Vec<Point> = curve
        .iter()
        .filter(|p| is_middle(p.depth))
        .copied()
        .collect();
    if middle.is_empty() {
        let [low, high] = MIDDLE;
        let reason = format!("no block lies at depths {low} to {high}");
        return Err(NotTested(reason));
    }
    Ok(middle)
}

/// The median value; for an even number of points, the mean of the two in the middle.
pub fn median(points: &[Point]) -> Option<f64> {
    layerwise_metrics::median(points.iter().map(|point| point.value))
}

/// The first point with the greatest value.
pub fn peak(curve: &[Point]) -> Option<Point> {
    curve
        .iter()
        .copied()
        .reduce(|best, next| if next.value > best.value { next } else { best })
}

/// The first point with the least value.
pub fn trough(curve: &[Point]) -> Option<Point> {
    curve
        .iter()
        .copied()
        .reduce(|best, next| if next.value < best.value { next } else { best })
}

/// The mean of the values.
pub fn mean(points: &[Point]) -> Option<f64> {
    let sum: f64 = points.iter().map(|point| point.value).sum();
    (!points.is_empty()).then(|| sum / points.len() as f64)
}

/// The slope of the least-squares line, per unit of depth; `None` if depths do not differ.
pub fn slope(points: &[Point]) -> Option<f64> {
    let count = points.len() as f64;
    let depth: f64 = points.iter().map(|p| p.depth).sum::<f64>() / count;
    let value: f64 = points.iter().map(|p| p.value).sum::<f64>() / count;
    let spread: f64 = points.iter().map(|p| (p.depth - depth).powi(2)).sum();
    let together: f64 = points
        .iter()
        .map(|p| (p.depth - depth) * (p.value - value))
        .sum();
    (spread > 0.0).then(|| together / spread)
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
    let pairs: Vec<(f64, f64)> = curve.iter().map(|p| (p.depth, p.value)).collect();
    let correlation = correlation::spearman(&pairs)
        .ok_or_else(|| NotTested("the rank correlation is not defined".to_owned()))?;
    Ok(Measured::of(correlation).noting(format!("{} blocks", pairs.len())))
}

/// The value nearest to a depth; of two equally near ones, the earlier.
pub fn at_depth(curve: &[Point], depth: f64) -> Option<f64> {
    let nearest = curve.iter().copied().reduce(|best, next| {
        let distance = |point: Point| (point.depth - depth).abs();
        if distance(next) < distance(best) {
            next
        } else {
            best
        }
    });
    Some(nearest?.value)
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

    #[test]
    fn peaks_slopes_and_means_are_those_of_the_definition() {
        let curve = of(&[1.0, 5.0, 5.0, 0.0, 0.0]);
        assert_eq!(peak(&curve).map(|p| p.index), Some(1));
        assert_eq!(trough(&curve).map(|p| p.index), Some(3));
        assert_eq!(mean(&curve), Some(2.2));
        assert_eq!(slope(&of(&[1.0, 2.0, 3.0])), Some(2.0));
        assert_eq!(slope(&of(&[1.0])), None);
        assert_eq!(mean(&[]), None);
    }
}
