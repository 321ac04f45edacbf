//! The records of this experiment.

use crate::core::curve::{self, Point, point};
use crate::core::finding::NotTested;
use crate::core::lens::Lens;
use crate::core::table::{negative_error, record};
use crate::core::tables::Tables;

record! {
    /// One line of `lens-kl.csv`: one lens on one residual stream.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The lens.
        pub lens: Lens,
        /// The residual stream s: 0 is the embedding, s the output of block s−1.
        pub state: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// s/L.
        pub relative_depth: f64,
        /// Mean KL(output ‖ lens), nats.
        pub kl_nats: f64,
        /// Its standard error, clustered by sequence, nats.
        pub kl_nats_se: Option<f64>,
        /// Mean KL(lens ‖ output), nats; the paper does not say which direction it shows (G.3).
        pub reverse_kl_nats: f64,
        /// Its standard error, nats.
        pub reverse_kl_nats_se: Option<f64>,
        /// Share of positions whose most probable token is the output's, 0 to 1.
        pub top1_agreement: f64,
        /// Its standard error.
        pub top1_agreement_se: Option<f64>,
        /// Sequences of the corpus.
        pub sequences: u64,
        /// Positions that means are taken over.
        pub positions: u64,
    }
    table("lens-kl") key(model, lens, state) fault(|r| negative_error([("kl_nats_se", r.kl_nats_se), ("reverse_kl_nats_se", r.reverse_kl_nats_se), ("top1_agreement_se", r.top1_agreement_se)]))
}

/// KL(output ‖ lens) on each residual stream, nats.
///
/// # Errors
/// The results are incomplete.
pub fn curve(tables: &Tables, model: &str, lens: Lens) -> Result<Vec<Point>, NotTested> {
    let own = |r: &Record| r.model == model && r.lens == lens;
    curve::curve(tables.of(), "lens-kl", own, |r| {
        point(r.state, r.relative_depth, r.kl_nats, r.kl_nats_se)
    })
}

/// The share of positions whose most probable token in the lens is the output's, on each residual stream.
///
/// # Errors
/// The results are incomplete.
pub fn agreement(tables: &Tables, model: &str, lens: Lens) -> Result<Vec<Point>, NotTested> {
    let own = |r: &Record| r.model == model && r.lens == lens;
    curve::curve(tables.of(), "lens-kl", own, |r| {
        point(
            r.state,
            r.relative_depth,
            r.top1_agreement,
            r.top1_agreement_se,
        )
    })
}
