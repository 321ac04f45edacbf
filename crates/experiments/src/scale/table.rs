//! The records of this experiment.

use crate::core::table::record;

record! {
    /// One line of `scale.csv`: one model.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// Blocks of the model, L.
        pub layers: usize,
        /// The number of parameters.
        pub parameters: u64,
        /// Median over blocks at depths 0.2 to 0.9 of the top-1 agreement after a drop.
        pub median_drop_agreement: Option<f64>,
        /// The same after a swap.
        pub median_swap_agreement: Option<f64>,
        /// Median KL(plain ‖ block left out) there, nats.
        pub median_drop_kl_nats: Option<f64>,
        /// Depth of the block with the most attention to the previous five.
        pub attention_peak_depth: Option<f64>,
        /// Depth of the block with the most prediction neurons.
        pub prediction_peak_depth: Option<f64>,
        /// Depth of the block with the most suppression neurons.
        pub suppression_peak_depth: Option<f64>,
        /// Depth of the largest MLP output norm.
        pub mlp_norm_peak_depth: Option<f64>,
    }
    table("scale") key(model) fault(|_| None)
}
