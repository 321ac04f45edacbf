//! The records of this experiment.

use crate::core::table::{negative_error, record};
use serde::{Deserialize, Serialize};

/// The intervention on the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intervention {
    /// Nothing.
    None,
    /// Block ℓ is left out.
    Drop,
    /// Blocks ℓ and ℓ+1 change places.
    Swap,
    /// Blocks ℓ to ℓ+4 each run twice in place.
    RepeatFive,
}

record! {
    /// One line of `benchmarks.csv`: one task under one schedule.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The task: `lambada_openai`, `arc_easy`, `hellaswag`, or a stand-in's name.
        pub task: String,
        /// The intervention.
        pub intervention: Intervention,
        /// The block ℓ, from 0; empty for the plain model.
        pub layer: Option<usize>,
        /// Blocks of the model, L.
        pub layers: usize,
        /// ℓ/(L−1); for a repeat, that of its middle block.
        pub relative_depth: Option<f64>,
        /// Share of items answered correctly.
        pub accuracy: f64,
        /// Its standard error.
        pub accuracy_se: Option<f64>,
        /// Accuracy minus the plain model's, paired.
        pub difference: f64,
        /// Its standard error.
        pub difference_se: Option<f64>,
        /// Items.
        pub items: u64,
    }
    table("benchmarks") key(model, task, intervention, layer) fault(|r| negative_error([("accuracy_se", r.accuracy_se), ("difference_se", r.difference_se)]))
}
