//! Divergence of the logit lens from the output after each block, with both lenses, beside the densities of neurons.
//!
//! - **Stands for** Figure 8 (a, b, c) of the NeurIPS version (`standard`), and the same figure of v1 and v3 (`legacy`).
//! - **Needs** any models and any corpus: the plain pass; and the weights alone for the densities (see `neurons`).
//! - **Feeds the claims** D14, D17, D18, D27.

use super::table::{negative_error, record};

pub use crate::readings::Lens;

record! {
    /// One line of `lens-kl.csv`: one lens on one residual stream.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// Its family, the `model_type` of its config.
        pub family: String,
        /// Which lens.
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
        /// Positions over which the means go.
        pub positions: u64,
    }
    key(model, lens, state) fault(|r| negative_error([("kl_nats_se", r.kl_nats_se), ("reverse_kl_nats_se", r.reverse_kl_nats_se), ("top1_agreement_se", r.top1_agreement_se)]))
}
