//! The records of this experiment.

use crate::core::table::{negative_error, record};

record! {
    /// One line of `repeats.csv`: one run of blocks, each of which runs twice in place.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// Blocks of the run: 3 or 5.
        pub blocks: usize,
        /// First block of the run, from 0.
        pub start: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// Depth of the run's middle block, from 0 to 1.
        pub relative_depth: f64,
        /// Mean entropy of the output, bits.
        pub entropy_bits: f64,
        /// Its standard error, clustered by sequence, bits.
        pub entropy_bits_se: Option<f64>,
        /// The plain model's, bits.
        pub plain_entropy_bits: f64,
        /// Altered minus plain, paired, bits.
        pub entropy_difference_bits: f64,
        /// Its standard error, bits.
        pub entropy_difference_bits_se: Option<f64>,
        /// Mean KL(plain ‖ altered), nats.
        pub kl_nats: f64,
        /// Its standard error, nats.
        pub kl_nats_se: Option<f64>,
        /// Altered minus plain loss, paired, nats a token.
        pub loss_difference_nats: f64,
        /// Its standard error, nats a token.
        pub loss_difference_nats_se: Option<f64>,
        /// Sequences of the corpus.
        pub sequences: u64,
        /// Positions that means are taken over.
        pub positions: u64,
    }
    table("repeats") key(model, blocks, start) fault(|r| negative_error([("entropy_bits_se", r.entropy_bits_se), ("entropy_difference_bits_se", r.entropy_difference_bits_se), ("kl_nats_se", r.kl_nats_se), ("loss_difference_nats_se", r.loss_difference_nats_se)]))
}
