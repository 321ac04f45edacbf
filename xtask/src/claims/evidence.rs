//! Recorded results as the curves that claims are about.

use super::outcome::{Measured, Unjudged};
use crate::figures::attention_locality::Measure;
use crate::figures::lens_entropy::Lens;
use crate::figures::models::Facts;
use crate::figures::robustness::Intervention;
use crate::figures::{attention_locality, lens_entropy, lens_kl, neurons, robustness};
use crate::results::Results;

/// The results of a run, and the models that were in it.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// The results.
    pub results: &'a Results,
    /// The models, in the order of the run.
    pub models: &'a [Facts],
}

/// A point of a curve over depth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// Block or residual stream, from 0.
    pub(crate) index: usize,
    /// From 0 to 1.
    pub(crate) depth: f64,
    pub(crate) value: f64,
    pub(crate) error: Option<f64>,
}

/// The depths that count as the middle, ends included (D1).
const MIDDLE: [f64; 2] = [0.2, 0.9];

/// Depths are quotients, compared within rounding.
const ROUNDING: f64 = 1e-9;

/// Why a claim is not tested whose figure has no results.
pub(crate) fn needs(figure: &str) -> Unjudged {
    Unjudged::NotTested(format!("needs the results of {figure}"))
}

/// The records that are `own` as a curve in the order of their indices.
pub(crate) fn curve<R>(
    records: &[R],
    figure: &str,
    own: impl Fn(&R) -> bool,
    point: impl Fn(&R) -> Point,
) -> Result<Vec<Point>, Unjudged> {
    let mut points: Vec<Point> = records.iter().filter(|r| own(r)).map(point).collect();
    points.sort_by_key(|point| point.index);
    if points.is_empty() {
        return Err(needs(figure));
    }
    if let Some(bad) = points.iter().find(|point| !point.value.is_finite()) {
        return Err(Unjudged::NotTested(format!(
            "{figure} has {} at index {}",
            bad.value, bad.index
        )));
    }
    Ok(points)
}

impl Evidence<'_> {
    /// A quantity of `robustness` against the block that is changed.
    pub(crate) fn robustness(
        &self,
        model: &str,
        intervention: Intervention,
        quantity: fn(&robustness::Record) -> (f64, Option<f64>),
    ) -> Result<Vec<Point>, Unjudged> {
        curve(
            &self.results.robustness,
            "robustness",
            |r| r.model == model && r.intervention == intervention,
            |r| {
                let (value, error) = quantity(r);
                point(r.layer, r.relative_depth, value, error)
            },
        )
    }

    /// The mean attention to the previous five, per pair.
    pub(crate) fn previous_five(&self, model: &str) -> Result<Vec<Point>, Unjudged> {
        let own =
            |r: &attention_locality::Record| r.model == model && r.measure == Measure::PreviousFive;
        curve(
            &self.results.attention_locality,
            "attention-locality",
            own,
            |r| point(r.layer, r.relative_depth, r.attention, r.attention_se),
        )
    }

    /// The lens's entropy after each block, bits.
    pub(crate) fn lens_entropy(&self, model: &str, lens: Lens) -> Result<Vec<Point>, Unjudged> {
        let own = |r: &lens_entropy::Record| r.model == model && r.lens == lens;
        curve(&self.results.lens_entropy, "lens-entropy", own, |r| {
            point(r.state, r.relative_depth, r.entropy_bits, r.entropy_bits_se)
        })
    }

    /// KL(output ‖ lens) after each block, nats.
    pub(crate) fn lens_kl(&self, model: &str, lens: Lens) -> Result<Vec<Point>, Unjudged> {
        let own = |r: &lens_kl::Record| r.model == model && r.lens == lens;
        curve(&self.results.lens_kl, "lens-kl", own, |r| {
            point(r.state, r.relative_depth, r.kl_nats, r.kl_nats_se)
        })
    }

    /// A density of `neurons`, percent of the block's.
    pub(crate) fn density(
        &self,
        model: &str,
        percent: fn(&neurons::Record) -> f64,
    ) -> Result<Vec<Point>, Unjudged> {
        let own = |r: &neurons::Record| r.model == model;
        curve(&self.results.neurons, "neurons", own, |r| {
            point(r.layer, r.relative_depth, percent(r), None)
        })
    }

    /// The L2 norm of the MLP's output.
    pub(crate) fn mlp_norm(&self, model: &str) -> Result<Vec<Point>, Unjudged> {
        curve(
            &self.results.mlp_norm,
            "mlp-norm",
            |r| r.model == model,
            |r| point(r.layer, r.relative_depth, r.mlp_out_norm, r.mlp_out_norm_se),
        )
    }
}

pub(crate) fn point(index: usize, depth: f64, value: f64, error: Option<f64>) -> Point {
    Point {
        index,
        depth,
        value,
        error,
    }
}

/// Whether a depth lies between two, ends included.
pub(crate) fn lies_between(depth: f64, low: f64, high: f64) -> bool {
    depth >= low - ROUNDING && depth <= high + ROUNDING
}

/// Whether a depth counts as the middle.
pub(crate) fn is_middle(depth: f64) -> bool {
    lies_between(depth, MIDDLE[0], MIDDLE[1])
}

/// The points in the middle; there must be one.
pub(crate) fn middle(curve: &[Point]) -> Result<Vec<Point>, Unjudged> {
    let middle: Vec<Point> = curve
        .iter()
        .filter(|p| is_middle(p.depth))
        .copied()
        .collect();
    if middle.is_empty() {
        let [low, high] = MIDDLE;
        let reason = format!("no block lies at depths {low} to {high}");
        return Err(Unjudged::NotTested(reason));
    }
    Ok(middle)
}

/// The median value; of an even number of points the mean of the two in the middle, with the mean of their standard
/// errors, which is an upper bound.
pub(crate) fn median(points: &[Point]) -> Option<Measured> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.value.total_cmp(&b.value));
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = &sorted[(sorted.len() - 1) / 2];
    let error = lower.error.zip(upper.error).map(|(a, b)| a.midpoint(b));
    Some(Measured::of(lower.value.midpoint(upper.value)).with_error(error))
}

/// The first point of the greatest value.
pub(crate) fn peak(curve: &[Point]) -> Option<Point> {
    curve
        .iter()
        .copied()
        .reduce(|best, next| if next.value > best.value { next } else { best })
}

/// The first point of the least value.
pub(crate) fn trough(curve: &[Point]) -> Option<Point> {
    curve
        .iter()
        .copied()
        .reduce(|best, next| if next.value < best.value { next } else { best })
}

/// The mean of values, and the mean of their standard errors, an upper bound of its own.
pub(crate) fn mean(points: &[Point]) -> Option<Measured> {
    let count = points.len() as f64;
    let sum: f64 = points.iter().map(|point| point.value).sum();
    let errors: Option<f64> = points.iter().map(|point| point.error).sum();
    (!points.is_empty())
        .then(|| Measured::of(sum / count).with_error(errors.map(|sum| sum / count)))
}

/// The slope of the least-squares line, a unit of depth; none where depths do not differ.
pub(crate) fn slope(points: &[Point]) -> Option<f64> {
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

/// The standard error of a sum or difference of two numbers that are taken as independent.
pub(crate) fn together(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(a?.hypot(b?))
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
    fn a_median_is_between_the_halves() {
        let check = |values: &[f64], expected: Option<f64>| {
            assert_eq!(median(&of(values)).map(|m| m.value), expected, "{values:?}");
        };
        check(&[], None);
        check(&[3.0], Some(3.0));
        check(&[3.0, 1.0], Some(2.0));
        check(&[9.0, 1.0, 2.0], Some(2.0));
        check(&[4.0, 1.0, 9.0, 2.0], Some(3.0));
        let even = median(&of(&[4.0, 1.0, 9.0, 2.0])).unwrap();
        assert_eq!(even.standard_error, Some(3.0), "the mean of 2 and 4");
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
        assert_eq!(mean(&curve).map(|m| m.value), Some(2.2));
        assert_eq!(slope(&of(&[1.0, 2.0, 3.0])), Some(2.0));
        assert_eq!(slope(&of(&[1.0])), None);
        assert_eq!(mean(&[]), None);
    }
}
