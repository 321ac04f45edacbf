//! The records of this experiment.

use crate::core::table::{negative_error, record};
use serde::{Deserialize, Serialize};

/// The measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// KL(output ‖ standard lens) at residual stream `index`, nats.
    LensKl,
    /// Entropy of the standard lens at residual stream `index`, bits.
    LensEntropy,
    /// Mean L2 norm of the MLP's output of block `index`.
    MlpOutNorm,
    /// Mean attention to the previous five of block `index`, per pair.
    PreviousFive,
}

record! {
    /// One line of `shift.csv`: one measure at one place on one text.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// Name of the text.
        pub text: String,
        /// Whether it is the second text.
        pub shifted: bool,
        /// The measure.
        pub measure: Measure,
        /// The residual stream or block, from 0.
        pub index: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// Its depth from 0 to 1.
        pub relative_depth: f64,
        /// The mean.
        pub value: f64,
        /// Its standard error, clustered by sequence.
        pub value_se: Option<f64>,
        /// Sequences of the corpus.
        pub sequences: u64,
        /// Positions that means are taken over.
        pub positions: u64,
    }
    table("shift") key(model, text, shifted, measure, index) fault(|r| negative_error([("value_se", r.value_se)]))
}
