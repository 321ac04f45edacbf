//! The records of this experiment.

use crate::core::table::{negative_error, record};

record! {
    /// One line of `locality-causal.csv`: one block with queries that see only a window.
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
        /// Tokens that a query sees, including itself, besides position 0.
        pub window: usize,
        /// Mean KL(plain ‖ altered), nats.
        pub kl_nats: f64,
        /// Its standard error, clustered by sequence, nats.
        pub kl_nats_se: Option<f64>,
        /// Sequences, all of one length.
        pub sequences: u64,
        /// Positions over which the divergence is averaged.
        pub positions: u64,
    }
    table("locality-causal") key(model, layer, window) fault(|r| negative_error([("kl_nats_se", r.kl_nats_se)]))
}

record! {
    /// One line of `locality-causal-difference.csv`: early blocks compared with those of the next stage, under one window.
    pub struct DifferenceRecord {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// Tokens that a query sees, including itself, besides position 0.
        pub window: usize,
        /// Mean divergence over the blocks of relative depth below 0.25, nats.
        pub early_kl_nats: f64,
        /// Mean divergence over the blocks of relative depth 0.25 to 0.6, nats.
        pub later_kl_nats: f64,
        /// The later minus the early divergence, paired by sequence, nats.
        pub difference_nats: f64,
        /// Its standard error, clustered by sequence, nats.
        pub difference_nats_se: Option<f64>,
        /// Blocks that count as early.
        pub early_blocks: usize,
        /// Blocks that count as later.
        pub later_blocks: usize,
        /// Sequences, all of one length.
        pub sequences: u64,
    }
    table("locality-causal-difference") key(model, window) fault(|r| negative_error([("difference_nats_se", r.difference_nats_se)]))
}
