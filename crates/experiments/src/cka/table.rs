//! The records of this experiment.

use crate::core::table::{misplaced, record};
use serde::{Deserialize, Serialize};

/// The vectors that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// The last position of each sequence, in whole batches of 128 sequences, or in one batch if there are fewer (the text of the
    /// NeurIPS version; the default).
    LastToken,
    /// All positions of one sequence as a batch (the published code): of the first 32 sequences, at most 512 positions each.
    AllTokens,
}

record! {
    /// One line of `cka.csv`: one pair of blocks.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The vectors that are compared.
        pub estimator: Estimator,
        /// The first block, from 0.
        pub layer: usize,
        /// The second block, from 0.
        pub other_layer: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// Unbiased linear CKA of the two blocks' `resid.post`.
        pub cka: f64,
        /// Batches over which the terms are averaged.
        pub batches: u64,
        /// Vectors of a batch; of the smallest batch, if sizes differ.
        pub samples: u64,
    }
    table("cka") key(model, estimator, layer, other_layer) fault(|r| {
        misplaced(("layers", r.layers), [("layer", r.layer), ("other_layer", r.other_layer)])
    })
}
