//! How much each block attends to the tokens just before.
//!
//! - **Stands for** Figure 6a of the NeurIPS version and of v3 (weight on the preceding 1, 2, 4, 8, 16 tokens), and v1's
//!   figure of the mean attention to the previous five (paper B.6, C.2).
//! - **Needs** any models and any corpus: the plain pass, with attention patterns.
//! - **Feeds the claims** D10 (early attention is local), and `stages`.

use super::table::{negative_error, record};
use serde::{Deserialize, Serialize};

/// What a weight stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// The mean weight on the token exactly `tokens` before the query.
    Offset,
    /// The mean total weight on the `tokens` tokens before the query, itself not counted.
    Cumulative,
    /// The mean weight over all pairs of a query and one of the five tokens before it, as the published notebook has it (B.6): a mean over pairs, about a fifth of the total.
    PreviousFive,
}

record! {
    /// One line of `attention-locality.csv`: one measure at one block.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// Its family, the `model_type` of its config.
        pub family: String,
        /// The block ℓ, from 0.
        pub layer: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// ℓ/(L−1).
        pub relative_depth: f64,
        /// What is measured.
        pub measure: Measure,
        /// The offset, or how many preceding tokens are summed (5 for `previous-five`).
        pub tokens: usize,
        /// Mean over sequences, heads and query positions, 0 to 1.
        pub attention: f64,
        /// Its standard error, clustered by sequence.
        pub attention_se: Option<f64>,
        /// Sequences of the corpus.
        pub sequences: u64,
        /// Positions over which the means go.
        pub positions: u64,
    }
    key(model, layer, measure, tokens) fault(|r| negative_error([("attention_se", r.attention_se)]))
}
