//! The records of this experiment.

use crate::core::table::record;
use serde::{Deserialize, Serialize};

/// Replaces a model's name for the mean over families.
pub const EVERY_MODEL: &str = "*";

/// A curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Curve {
    /// KL(plain ‖ block left out).
    Ablation,
    /// Total attention to the five previous tokens.
    LocalAttention,
    /// Prediction neurons, percent.
    Prediction,
    /// Suppression neurons, percent.
    Suppression,
}

record! {
    /// One line of `stages.csv`: one point of one curve.
    pub struct Record {
        /// Name of the model, or `*` for the mean over families.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The curve.
        pub curve: Curve,
        /// Depth on the common grid of 101 points, 0 to 1.
        pub relative_depth: f64,
        /// The value in the curve's own unit, interpolated; for `*` the mean over models within families, then over families.
        pub value: f64,
        /// The curve, rescaled from its minimum, 0, to its maximum, 1.
        pub rescaled: f64,
    }
    table("stages") key(model, curve, relative_depth) fault(|_| None)
}

impl Curve {
    /// The curves in the order of a legend.
    pub const ALL: [Self; 4] = [
        Self::Ablation,
        Self::LocalAttention,
        Self::Prediction,
        Self::Suppression,
    ];
}
