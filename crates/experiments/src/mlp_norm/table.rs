//! The records of this experiment.

use crate::core::curve::{self, Point, point};
use crate::core::finding::NotTested;
use crate::core::table::{negative_error, record};
use crate::core::tables::Tables;

record! {
    /// One line of `mlp-norm.csv`: one block.
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
        /// Mean L2 norm of the MLP's output over positions, before it is added to the residual stream (the residual stream's own unit).
        pub mlp_out_norm: f64,
        /// Its standard error, clustered by sequence.
        pub mlp_out_norm_se: Option<f64>,
        /// Sequences of the corpus.
        pub sequences: u64,
        /// Positions that means are taken over.
        pub positions: u64,
    }
    table("mlp-norm") key(model, layer) fault(|r| negative_error([("mlp_out_norm_se", r.mlp_out_norm_se)]))
}

/// The L2 norm of the MLP's output against the block.
///
/// # Errors
/// The results are incomplete.
pub fn curve(tables: &Tables, model: &str) -> Result<Vec<Point>, NotTested> {
    let own = |r: &Record| r.model == model;
    curve::curve(tables.of(), "mlp-norm", own, |r| {
        point(r.layer, r.relative_depth, r.mlp_out_norm, r.mlp_out_norm_se)
    })
}
