//! The records of this experiment.

use crate::core::curve::{self, Point, point};
use crate::core::finding::NotTested;
use crate::core::table::{negative_error, record};
use crate::core::tables::Tables;

record! {
    /// One line of `sublayer-ratio.csv`: one block.
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
        /// Mean L2 norm of the attention's output.
        pub attn_out_norm: f64,
        /// Its standard error, clustered by sequence.
        pub attn_out_norm_se: Option<f64>,
        /// Mean L2 norm of the MLP's output.
        pub mlp_out_norm: f64,
        /// Its standard error.
        pub mlp_out_norm_se: Option<f64>,
        /// Mean over positions of ‖attn.out‖ / ‖mlp.out‖.
        pub ratio: f64,
        /// Its standard error.
        pub ratio_se: Option<f64>,
        /// Mean over positions of ‖attn.out + mlp.out‖ / ‖resid.pre‖ (Csordás et al.).
        pub relative_update: f64,
        /// Its standard error.
        pub relative_update_se: Option<f64>,
        /// Mean cosine of attn.out + mlp.out with resid.pre: negative if a block erases, positive if it strengthens.
        pub update_cosine: f64,
        /// Its standard error.
        pub update_cosine_se: Option<f64>,
        /// Sequences of the corpus.
        pub sequences: u64,
        /// Positions that means are taken over.
        pub positions: u64,
    }
    table("sublayer-ratio") key(model, layer) fault(|r| negative_error([("attn_out_norm_se", r.attn_out_norm_se), ("mlp_out_norm_se", r.mlp_out_norm_se), ("ratio_se", r.ratio_se), ("relative_update_se", r.relative_update_se), ("update_cosine_se", r.update_cosine_se)]))
}

/// ‖attn.out‖/‖mlp.out‖ against the block.
///
/// # Errors
/// The results are incomplete.
pub fn curve(tables: &Tables, model: &str) -> Result<Vec<Point>, NotTested> {
    let own = |r: &Record| r.model == model;
    curve::curve(tables.of(), "sublayer-ratio", own, |r| {
        point(r.layer, r.relative_depth, r.ratio, r.ratio_se)
    })
}
