//! Curves over the depth of a model, the numbers that are read off them, and those numbers on resamples of independent units.
//!
//! ```
//! use layerwise_metrics::curve::{self, Point, Sampled, SampledPoint};
//!
//! // The losses of six sequences after each of three blocks.
//! let losses = [
//!     [3.0, 3.5, 2.5, 4.0, 3.0, 3.2],
//!     [2.5, 2.8, 2.2, 3.1, 2.4, 2.7],
//!     [2.1, 2.5, 1.4, 2.9, 2.0, 2.3],
//! ];
//! let points = losses.iter().enumerate().map(|(index, losses)| SampledPoint {
//!     index,
//!     depth: index as f64 / 2.0,
//!     sums: losses.to_vec(),
//!     counts: vec![1.0; 6],
//! });
//! let losses = Sampled::new("sequences", points.collect())?;
//! let slope = |curves: &[Vec<Point>]| curve::slope(&curves[0]);
//! let interval = curve::draws(&[&losses], 2000, &slope)?.interval();
//! assert!((interval.value + 1.0).abs() < 1e-9);
//! assert!(interval.low < -1.0 && -1.0 < interval.high && interval.high < 0.0);
//! # Ok::<(), layerwise_metrics::MetricsError>(())
//! ```

use crate::{Draws, MetricsError, Resamples, correlation};

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

/// Depths are quotients, compared within rounding.
const ROUNDING: f64 = 1e-9;

/// Whether a depth lies between two depths, including both.
pub fn lies_between(depth: f64, low: f64, high: f64) -> bool {
    depth >= low - ROUNDING && depth <= high + ROUNDING
}

/// The points between two depths, including both.
pub fn between(curve: &[Point], low: f64, high: f64) -> Vec<Point> {
    let points = curve.iter().copied();
    points
        .filter(|point| lies_between(point.depth, low, high))
        .collect()
}

/// The median value; for an even number of points, the mean of the two in the middle.
pub fn median(points: &[Point]) -> Option<f64> {
    crate::median(points.iter().map(|point| point.value))
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

/// The rank correlation of depth with the value; `None` if it is not defined, as [`correlation::spearman`] says.
pub fn rank_correlation(points: &[Point]) -> Option<f64> {
    let pairs: Vec<(f64, f64)> = points.iter().map(|p| (p.depth, p.value)).collect();
    correlation::spearman(&pairs)
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

/// A point of a [`Sampled`] curve: what each independent unit (sequence, item or word) contributes to its mean, which is the total
/// of sums divided by that of counts.
#[derive(Clone, Debug, PartialEq)]
pub struct SampledPoint {
    /// Block or residual stream, from 0.
    pub index: usize,
    /// From 0 to 1.
    pub depth: f64,
    /// For each unit the sum of its observations.
    pub sums: Vec<f64>,
    /// For each unit the number of its observations, or the denominator of a share.
    pub counts: Vec<f64>,
}

/// A curve of means over the units of one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    sample: String,
    units: usize,
    points: Vec<SampledPoint>,
}

impl Sampled {
    /// A curve of a sample, which is known by its name: curves of one sample have the same units in the same order.
    ///
    /// # Errors
    /// The points have different numbers of units.
    pub fn new(sample: &str, points: Vec<SampledPoint>) -> Result<Self, MetricsError> {
        let units = points.first().map_or(0, |first| first.sums.len());
        for point in &points {
            let found = [point.sums.len(), point.counts.len()];
            if let Some(&found) = found.iter().find(|found| **found != units) {
                return Err(MetricsError::UnitNumbers {
                    index: point.index,
                    expected: units,
                    found,
                });
            }
        }
        Ok(Self {
            sample: sample.to_owned(),
            units,
            points,
        })
    }

    /// The points for which `keep` holds, by index and depth.
    #[must_use]
    pub fn retaining(mut self, keep: impl Fn(usize, f64) -> bool) -> Self {
        self.points.retain(|point| keep(point.index, point.depth));
        self
    }

    /// The number of units.
    pub fn units(&self) -> usize {
        self.units
    }

    /// The curve over all units, each once.
    pub fn curve(&self) -> Vec<Point> {
        let points = self.points.iter().map(|point| Point {
            index: point.index,
            depth: point.depth,
            value: point.sums.iter().sum::<f64>() / point.counts.iter().sum::<f64>(),
            error: None,
        });
        points.collect()
    }

    /// The same curve over every second unit, from the first or the second on; units of the other half count zero.
    ///
    /// One half can choose a place, and the other half can judge it.
    #[must_use]
    pub fn half(&self, second: bool) -> Self {
        let mut half = self.clone();
        for point in &mut half.points {
            for numbers in [&mut point.sums, &mut point.counts] {
                let others = numbers.iter_mut().skip(usize::from(!second)).step_by(2);
                others.for_each(|number| *number = 0.0);
            }
        }
        half
    }

    /// For each draw, the sum and the count of each point, one after the other.
    fn drawn(&self, draws: usize) -> Result<Vec<Vec<f64>>, MetricsError> {
        // The name of a sample determines its resamples (FNV-1a).
        let seed = self
            .sample
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        let points = self.points.iter();
        let columns: Vec<&[f64]> = points
            .flat_map(|point| [point.sums.as_slice(), point.counts.as_slice()])
            .collect();
        Ok(Resamples::of(self.units, seed)?
            .drawing(draws)
            .sums(&columns))
    }
}

/// A statistic of curves on all units, each once, and on a number of resamples of the units.
///
/// Curves of one sample are resampled together, so that whatever the statistic pairs or chooses is paired and chosen in every
/// resample. Draws in which the statistic is `None` are left out.
///
/// # Errors
/// A curve has too few units, as [`Resamples::of`] says, or the statistic is undefined, as [`Draws::of`] says.
pub fn draws(
    curves: &[&Sampled],
    draws: usize,
    // Not generic: the loop is compiled here, where it is optimised in tests, too.
    statistic: &dyn Fn(&[Vec<Point>]) -> Option<f64>,
) -> Result<Draws, MetricsError> {
    let drawn = curves.iter().map(|curve| curve.drawn(draws));
    let drawn: Vec<Vec<Vec<f64>>> = drawn.collect::<Result<_, _>>()?;
    let mut resampled: Vec<Vec<Point>> = curves.iter().map(|curve| curve.curve()).collect();
    let value = statistic(&resampled);
    let mut values = Vec::with_capacity(draws);
    for draw in 0..draws {
        for (points, drawn) in resampled.iter_mut().zip(&drawn) {
            for (point, sums) in points.iter_mut().zip(drawn[draw].chunks_exact(2)) {
                point.value = sums[0] / sums[1];
            }
        }
        values.push(statistic(&resampled));
    }
    let units = curves.iter().map(|curve| curve.units).min().unwrap_or(0);
    Draws::of(units, value, &values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Vec<Point> {
        let last = values.len().saturating_sub(1).max(1) as f64;
        let points = values.iter().enumerate().map(|(index, &value)| Point {
            index,
            depth: index as f64 / last,
            value,
            error: None,
        });
        points.collect()
    }

    #[test]
    fn peaks_slopes_and_means_are_those_of_the_definition() {
        let curve = of(&[1.0, 5.0, 5.0, 0.0, 0.0]);
        assert_eq!(peak(&curve).map(|p| p.index), Some(1));
        assert_eq!(trough(&curve).map(|p| p.index), Some(3));
        assert_eq!(mean(&curve), Some(2.2));
        assert_eq!(median(&curve), Some(1.0));
        assert_eq!(at_depth(&curve, 0.6), Some(5.0));
        assert_eq!(slope(&of(&[1.0, 2.0, 3.0])), Some(2.0));
        assert_eq!(slope(&of(&[1.0])), None);
        assert!(rank_correlation(&of(&[1.0, 2.0, 9.0])) > Some(0.999));
        assert_eq!(rank_correlation(&of(&[1.0])), None);
        assert_eq!(mean(&[]), None);
    }

    fn sampled(sample: &str, columns: &[(&[f64], &[f64])]) -> Result<Sampled, MetricsError> {
        let points = columns.iter().enumerate();
        let points = points.map(|(index, (sums, counts))| SampledPoint {
            index,
            depth: index as f64,
            sums: sums.to_vec(),
            counts: counts.to_vec(),
        });
        Sampled::new(sample, points.collect())
    }

    #[test]
    fn draws_are_those_of_the_definition() {
        const DRAWS: usize = 50;
        let sums: [&[f64]; 2] = [
            &[1.0, 10.0, 100.0, 1e3, 1e4, 1e5],
            &[2.0, 3.0, 5.0, 7.0, 11.0, 13.0],
        ];
        let counts = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0];
        let curve = sampled("text", &sums.map(|sums| (sums, counts.as_slice()))).unwrap();
        let ratio = |curve: &[Point]| (curve[0].value / curve[1].value).ln();
        let found = draws(&[&curve], DRAWS, &|curves| Some(ratio(&curves[0]))).unwrap();
        let resampled = curve.drawn(DRAWS).unwrap();
        let expected: Vec<Option<f64>> = resampled
            .iter()
            .map(|sums| Some((sums[0] / sums[1] / (sums[2] / sums[3])).ln()))
            .collect();
        let expected = Draws::of(6, Some(ratio(&curve.curve())), &expected);
        assert_eq!(found, expected.unwrap());
        // Another curve of the sample is resampled with it.
        let zero = draws(&[&curve, &curve], DRAWS, &|curves| {
            Some(curves[0][0].value - curves[1][0].value)
        });
        assert_eq!(zero.unwrap().interval().high, 0.0);
        // One of another sample is not.
        let other = sampled("other", &sums.map(|sums| (sums, counts.as_slice()))).unwrap();
        let differs = draws(&[&curve, &other], DRAWS, &|curves| {
            Some(curves[0][0].value - curves[1][0].value)
        });
        assert!(differs.unwrap().interval().high > 0.0);
    }

    #[test]
    fn what_cannot_be_resampled_is_an_error() {
        let uneven = sampled("text", &[(&[1.0; 6], &[1.0; 6]), (&[1.0; 6], &[1.0; 5])]);
        assert_eq!(
            uneven,
            Err(MetricsError::UnitNumbers {
                index: 1,
                expected: 6,
                found: 5
            })
        );
        let four = sampled("text", &[(&[1.0; 4], &[1.0; 4])]).unwrap();
        assert_eq!(
            draws(&[&four], 100, &|curves| mean(&curves[0])),
            Err(MetricsError::TooFewUnits { least: 5, found: 4 })
        );
        let six = sampled("text", &[(&[1.0; 6], &[1.0; 6])]).unwrap();
        assert_eq!(
            draws(&[&six], 100, &|_| None),
            Err(MetricsError::UndefinedStatistic {
                defined: 0,
                draws: 100
            })
        );
    }
}
