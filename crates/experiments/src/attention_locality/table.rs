//! The records of this experiment.

use crate::core::curve::{self, Point, point};
use crate::core::finding::NotTested;
use crate::core::table::{negative_error, record};
use crate::core::tables::Tables;
use serde::{Deserialize, Serialize};

/// The meaning of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// The mean weight on the token exactly `tokens` before the query, over the queries that have one.
    Offset,
    /// The mean total weight on the `tokens` tokens before the query, without the query itself, over the queries that have
    /// that many.
    Cumulative,
    /// The mean weight over all pairs of a query and one of the five tokens before it, as in the published notebook (B.6): a mean
    /// over pairs, about a fifth of the total.
    PreviousFive,
}

record! {
    /// One line of `attention-locality.csv`: one measure at one block.
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
        /// The measure.
        pub measure: Measure,
        /// The offset, or the number of preceding tokens summed (5 for `previous-five`).
        pub tokens: usize,
        /// Mean over sequences, heads and query positions, 0 to 1.
        pub attention: f64,
        /// Its standard error, clustered by sequence.
        pub attention_se: Option<f64>,
        /// Sequences of the corpus.
        pub sequences: u64,
        /// Positions that are averaged over, which have enough positions before them; for `previous-five`, pairs of positions.
        pub positions: u64,
    }
    table("attention-locality") key(model, layer, measure, tokens) fault(|r| negative_error([("attention_se", r.attention_se)]))
}

/// The mean attention to the previous five against the block, per pair.
///
/// # Errors
/// The results are incomplete.
pub fn curve(tables: &Tables, model: &str) -> Result<Vec<Point>, NotTested> {
    let own = |r: &Record| r.model == model && r.measure == Measure::PreviousFive;
    curve::curve(tables.of(), "attention-locality", own, |r| {
        point(r.layer, r.relative_depth, r.attention, r.attention_se)
    })
}
