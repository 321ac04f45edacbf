//! Entropy of the logit lens after each block, with both lenses.
//!
//! - **Stands for** Figures 7b and 19 of the NeurIPS version (`standard`), and v1's and v3's entropy figures (`legacy`).
//! - **Needs** any models and any corpus: the plain pass.
//! - **Feeds the claims** D13 (with `wic`), D14, D21, D27.

use super::table::{negative_error, record};

pub use crate::readings::Lens;

record! {
    /// One line of `lens-entropy.csv`: one lens on one residual stream.
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
        /// Mean entropy of the lens distribution, bits.
        pub entropy_bits: f64,
        /// Its standard error, clustered by sequence, bits.
        pub entropy_bits_se: Option<f64>,
        /// Standard deviation of the sequences' mean entropies, the band of the published notebook, bits.
        pub entropy_bits_sd: Option<f64>,
        /// Sequences of the corpus.
        pub sequences: u64,
        /// Positions over which the means go.
        pub positions: u64,
    }
    key(model, lens, state) fault(|r| negative_error([("entropy_bits_se", r.entropy_bits_se)]))
}
