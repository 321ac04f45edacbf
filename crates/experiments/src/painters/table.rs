//! The records of this experiment.

use crate::core::table::{negative_error, record};
use serde::{Deserialize, Serialize};

/// The change to the middle blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// They are left out.
    Skip,
    /// The middle block replaces each of them.
    MiddleRepeat,
    /// They run in reverse order.
    Reverse,
    /// They run in a random order.
    RandomOrder,
    /// They run in parallel, and their updates are averaged.
    Parallel,
    /// The same, three times over.
    LoopedParallel,
}

impl Variant {
    /// Every variant.
    pub const ALL: [Self; 6] = [
        Self::Skip,
        Self::MiddleRepeat,
        Self::Reverse,
        Self::RandomOrder,
        Self::Parallel,
        Self::LoopedParallel,
    ];

    /// The name in legends.
    pub fn name(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::MiddleRepeat => "middle repeat",
            Self::Reverse => "reverse",
            Self::RandomOrder => "random order",
            Self::Parallel => "parallel",
            Self::LoopedParallel => "looped parallel",
        }
    }
}

record! {
    /// One line of `painters.csv`: one variant of some middle blocks.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The variant.
        pub variant: Variant,
        /// The number of blocks around the middle, n.
        pub blocks: usize,
        /// The index among several random orders, from 0.
        pub draw: u64,
        /// Blocks of the model, L.
        pub layers: usize,
        /// The edit.
        pub schedule: String,
        /// Mean KL(plain ‖ altered), nats.
        pub kl_nats: f64,
        /// Its standard error, clustered by sequence, nats.
        pub kl_nats_se: Option<f64>,
        /// Altered minus plain loss, paired, nats a token.
        pub loss_difference_nats: f64,
        /// Its standard error, nats a token.
        pub loss_difference_nats_se: Option<f64>,
        /// 1 − (loss − plain loss)/(ln |V| − plain loss): 1 for the plain model, 0 for a uniform guess.
        pub normalised_score: f64,
        /// The standard error of the difference of losses in the same unit; the error of the plain loss is ignored.
        pub normalised_score_se: Option<f64>,
        /// Sequences, all of one length.
        pub sequences: u64,
        /// Positions over which the divergence is averaged.
        pub positions: u64,
    }
    table("painters") key(model, variant, blocks, draw) fault(|r| negative_error([("kl_nats_se", r.kl_nats_se), ("loss_difference_nats_se", r.loss_difference_nats_se), ("normalised_score_se", r.normalised_score_se)]))
}
