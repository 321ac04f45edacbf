//! Size of what each MLP writes.
//!
//! - **Stands for** Figures 12b (10) and 20 of the NeurIPS version, and v1's and v3's figures of MLP norms.
//! - **Needs** any models and any corpus: the plain pass.
//! - **Feeds the claims** D22, D25.

use super::table::{negative_error, record};

record! {
    /// One line of `mlp-norm.csv`: one block.
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
        /// Mean L2 norm of the MLP's output over positions, before it is added to the residual stream (the residual stream's own unit).
        pub mlp_out_norm: f64,
        /// Its standard error, clustered by sequence.
        pub mlp_out_norm_se: Option<f64>,
        /// Sequences of the corpus.
        pub sequences: u64,
        /// Positions over which the means go.
        pub positions: u64,
    }
    key(model, layer) fault(|r| negative_error([("mlp_out_norm_se", r.mlp_out_norm_se)]))
}
