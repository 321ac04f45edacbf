//! The records of this experiment.

use crate::core::curve::{self, Point, point};
use crate::core::finding::{Measured, NotTested, Outcome};
use crate::core::sample::DRAWS;
use crate::core::table::record;
use crate::core::tables::Tables;
use layerwise_metrics::Gaussian;
use serde::{Deserialize, Serialize};

/// A neuron's effect on the vocabulary (B.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Kurtosis above 10; when active, it promotes few tokens.
    Prediction,
    /// Kurtosis above 10; when active, it suppresses few tokens.
    Suppression,
    /// Neither.
    Other,
}

record! {
    /// One line of `neurons.csv`: the neurons of one block.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The block ℓ, from 0.
        pub layer: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// ℓ/(L−1).
        pub relative_depth: f64,
        /// Neurons of the block.
        pub neurons: usize,
        /// Neurons with kurtosis above 10 whose skewness has the sign of their mean activation; in a plain MLP, positive.
        pub prediction: usize,
        /// Neurons with kurtosis above 10 whose skewness has the other sign; in a plain MLP, negative.
        pub suppression: usize,
        /// Neurons with variance above 0.005 and kurtosis below the normal distribution's 3: they split the vocabulary into
        /// two large sets.
        pub partition: usize,
        /// Prediction neurons, percent of the block's.
        pub prediction_percent: f64,
        /// Suppression neurons, percent.
        pub suppression_percent: f64,
        /// Partition neurons, percent.
        pub partition_percent: f64,
        /// Prediction neurons with kurtosis above 8, percent.
        pub prediction_above_8_percent: f64,
        /// Suppression neurons with kurtosis above 8, percent.
        pub suppression_above_8_percent: f64,
        /// Prediction neurons with kurtosis above 12, percent.
        pub prediction_above_12_percent: f64,
        /// Suppression neurons with kurtosis above 12, percent.
        pub suppression_above_12_percent: f64,
        /// Prediction neurons by the sign of the third moment of the activation instead of its mean, percent.
        pub prediction_by_third_moment_percent: f64,
        /// Suppression neurons by that sign, percent.
        pub suppression_by_third_moment_percent: f64,
        /// 5th percentile of the kurtosis over neurons (not excess: 3 is normal).
        pub kurtosis_p05: f64,
        /// 25th percentile.
        pub kurtosis_p25: f64,
        /// Median.
        pub kurtosis_p50: f64,
        /// 75th percentile.
        pub kurtosis_p75: f64,
        /// 95th percentile.
        pub kurtosis_p95: f64,
        /// 5th percentile of the skewness over neurons, with the signs of the weights, which are arbitrary in a gated MLP.
        pub skewness_p05: f64,
        /// 25th percentile.
        pub skewness_p25: f64,
        /// Median.
        pub skewness_p50: f64,
        /// 75th percentile.
        pub skewness_p75: f64,
        /// 95th percentile.
        pub skewness_p95: f64,
        /// Median of the skewness of the neurons with kurtosis above 10, with the sign of their mean activation.
        pub heavy_skewness_p50: Option<f64>,
    }
    table("neurons") key(model, layer) fault(|_| None)
}

/// The percentage of prediction neurons.
pub fn prediction(record: &Record) -> f64 {
    record.prediction_percent
}

/// The percentage of suppression neurons.
pub fn suppression(record: &Record) -> f64 {
    record.suppression_percent
}

/// A percentage of a block's neurons.
pub type Percent = fn(&Record) -> f64;

/// The ways of counting prediction neurons, the reported one first: by kurtosis above 10, 8 and 12, and by the third moment of
/// activations.
pub const PREDICTION: [Percent; 4] = [
    prediction,
    |r| r.prediction_above_8_percent,
    |r| r.prediction_above_12_percent,
    |r| r.prediction_by_third_moment_percent,
];

/// The ways of counting suppression neurons.
pub const SUPPRESSION: [Percent; 4] = [
    suppression,
    |r| r.suppression_above_8_percent,
    |r| r.suppression_above_12_percent,
    |r| r.suppression_by_third_moment_percent,
];

/// The densities of a model's blocks, in their order.
///
/// A block of n neurons with k of a kind has the density k/n. A draw of it comes from the distribution of a rate given k counts
/// (Jeffreys): Gamma(k + ½)/n, by the cube root of a normal number (Wilson and Hilferty 1931). So a single neuron more or less
/// decides nothing.
struct Counted {
    /// Percent of the block's neurons.
    density: Vec<Point>,
    neurons: Vec<usize>,
}

impl Counted {
    fn of(tables: &Tables, model: &str, percent: Percent) -> Result<Self, NotTested> {
        let own = |r: &Record| r.model == model;
        let neurons = |r: &Record| point(r.layer, r.relative_depth, r.neurons as f64, None);
        let neurons = curve::curve(tables.of(), "neurons", own, neurons)?;
        Ok(Self {
            density: curve::curve(tables.of(), "neurons", own, |r| {
                point(r.layer, r.relative_depth, percent(r), None)
            })?,
            neurons: neurons.iter().map(|block| block.value as usize).collect(),
        })
    }

    fn draw(&self, random: &mut Gaussian) -> Vec<Point> {
        let blocks = self.density.iter().zip(&self.neurons);
        let drawn = blocks.map(|(block, neurons)| Point {
            value: drawn(block.value, *neurons, random.draw()),
            ..*block
        });
        drawn.collect()
    }
}

/// A percentage of this many neurons, from a draw of the normal distribution.
fn drawn(percent: f64, neurons: usize, normal: f64) -> f64 {
    let neurons = neurons as f64;
    let shape = percent / 100.0 * neurons + 0.5;
    let root = 1.0 - 1.0 / (9.0 * shape) + normal / (3.0 * shape.sqrt());
    100.0 * shape * root.max(0.0).powi(3) / neurons
}

/// The densities that a number is made of, each of a model and a way of counting.
pub type Densities<'m> = Vec<(&'m str, Percent)>;

/// A number that depends on how neurons are counted: its range over the ways of counting, each with the 95 % interval from the
/// uncertainty of the counts. `of` makes the number from the curves of a way's densities, which are in percent against the
/// block. Ways for which the number is not defined are left out, except the first.
///
/// # Errors
/// Why the number is not defined for the first way.
pub fn over_thresholds<'m>(
    tables: &Tables,
    ways: impl IntoIterator<Item = Densities<'m>>,
    of: impl Fn(&[Vec<Point>]) -> Result<f64, NotTested>,
) -> Outcome {
    let mut number: Option<(f64, [f64; 2])> = None;
    for way in ways {
        let counted = way.iter();
        let counted = counted.map(|(model, percent)| Counted::of(tables, model, *percent));
        let counted: Result<Vec<Counted>, NotTested> = counted.collect();
        let curves = |counted: &[Counted]| -> Vec<Vec<Point>> {
            counted.iter().map(|c| c.density.clone()).collect()
        };
        let (counted, own) = match counted.and_then(|c| Ok((of(&curves(&c))?, c))) {
            Ok((own, counted)) => (counted, own),
            Err(why) if number.is_none() => return Err(why),
            Err(_) => continue,
        };
        let (value, mut range) = number.unwrap_or((own, [own; 2]));
        if own.is_finite() {
            let mut random = Gaussian::seeded(0);
            let mut draw = || {
                let curves: Vec<Vec<Point>> = counted.iter().map(|c| c.draw(&mut random)).collect();
                of(&curves).ok().filter(|draw| draw.is_finite())
            };
            let mut draws: Vec<f64> = (0..DRAWS).filter_map(|_| draw()).collect();
            draws.sort_by(f64::total_cmp);
            let outside = (0.025 * (draws.len() as f64 + 1.0)).floor() as usize;
            let at = outside.saturating_sub(1);
            let mut widen = |other: f64| range = [range[0].min(other), range[1].max(other)];
            widen(own);
            if let [.., last] = draws.as_slice() {
                widen(*draws.get(at).unwrap_or(last));
                widen(draws[draws.len() - 1 - at]);
            }
        }
        number = Some((value, range));
    }
    let (value, range) = number.ok_or_else(|| NotTested::because("there is no way to count"))?;
    let note = "range over kurtosis above 8, 10 and 12, over both signs of activations, and over what the counts leave open";
    Ok(Measured::of(value).within(range).noting(note))
}

/// The highest density of a curve's blocks.
pub fn highest(density: &[Point]) -> f64 {
    curve::peak(density).map_or(0.0, |peak| peak.value)
}

/// A density against the block, percent of the block's neurons.
///
/// # Errors
/// The results are incomplete.
pub fn density(tables: &Tables, model: &str, percent: Percent) -> Result<Vec<Point>, NotTested> {
    Ok(Counted::of(tables, model, percent)?.density)
}

#[cfg(test)]
impl Record {
    /// The densities of prediction and suppression neurons, by every way of counting them.
    pub(crate) fn percents_mut(&mut self) -> [&mut f64; 8] {
        [
            &mut self.prediction_percent,
            &mut self.prediction_above_8_percent,
            &mut self.prediction_above_12_percent,
            &mut self.prediction_by_third_moment_percent,
            &mut self.suppression_percent,
            &mut self.suppression_above_8_percent,
            &mut self.suppression_above_12_percent,
            &mut self.suppression_by_third_moment_percent,
        ]
    }
}
