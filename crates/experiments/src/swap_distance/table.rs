//! The records of this experiment.

use crate::core::table::{misplaced, negative_error, record};

record! {
    /// One line of `swap-distance.csv`: two blocks that are exchanged.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The first block ℓ, from 0.
        pub layer: usize,
        /// The other block m, with m > ℓ.
        pub other_layer: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// Mean KL(plain ‖ altered), nats.
        pub kl_nats: f64,
        /// Its standard error, clustered by sequence, nats.
        pub kl_nats_se: Option<f64>,
        /// Altered minus plain loss, paired, nats a token.
        pub loss_difference_nats: f64,
        /// Its standard error, nats a token.
        pub loss_difference_nats_se: Option<f64>,
        /// Sequences, all of one length.
        pub sequences: u64,
        /// Positions over which the divergence is averaged.
        pub positions: u64,
    }
    table("swap-distance") key(model, layer, other_layer) fault(|r| {
        misplaced(("layers", r.layers), [("layer", r.layer), ("other_layer", r.other_layer)])
            .or_else(|| {
                let expected = || ("other_layer", format!("a block after {}", r.layer));
                (r.other_layer <= r.layer).then(expected)
            })
            .or_else(|| negative_error([("kl_nats_se", r.kl_nats_se), ("loss_difference_nats_se", r.loss_difference_nats_se)]))
    })
}
