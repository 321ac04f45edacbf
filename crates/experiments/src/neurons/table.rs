//! The records of this experiment.

use crate::core::curve::{self, Point, point};
use crate::core::finding::Unjudged;
use crate::core::table::record;
use crate::core::tables::Tables;
use serde::{Deserialize, Serialize};

/// What a neuron does to the vocabulary (B.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Kurtosis above 10, positive skewness.
    Prediction,
    /// Kurtosis above 10, negative skewness.
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
        /// Neurons with kurtosis above 10 and positive skewness.
        pub prediction: usize,
        /// Neurons with kurtosis above 10 and negative skewness.
        pub suppression: usize,
        /// Neurons with variance above 0.005 and kurtosis below the normal distribution's, 3: the vocabulary in two large sets.
        pub partition: usize,
        /// Prediction neurons, percent of the block's.
        pub prediction_percent: f64,
        /// Suppression neurons, percent.
        pub suppression_percent: f64,
        /// Partition neurons, percent.
        pub partition_percent: f64,
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
        /// 5th percentile of the skewness over neurons.
        pub skewness_p05: f64,
        /// 25th percentile.
        pub skewness_p25: f64,
        /// Median.
        pub skewness_p50: f64,
        /// 75th percentile.
        pub skewness_p75: f64,
        /// 95th percentile.
        pub skewness_p95: f64,
        /// Median skewness of the neurons with kurtosis above 10.
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

/// A density against the block, percent of the block's neurons.
///
/// # Errors
/// The results do not reach.
pub fn density(
    tables: &Tables,
    model: &str,
    percent: fn(&Record) -> f64,
) -> Result<Vec<Point>, Unjudged> {
    let own = |r: &Record| r.model == model;
    curve::curve(tables.of(), "neurons", own, |r| {
        point(r.layer, r.relative_depth, percent(r), None)
    })
}
