//! The records of this experiment.

use crate::core::table::{negative_error, record};
use serde::{Deserialize, Serialize};

record! {
    /// One line of `block-distances.csv`: the residual streams before one block and after another.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The block ℓ before which the first stream is, from 0.
        pub layer: usize,
        /// The block m after which the other is, ℓ or a later one.
        pub last_layer: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// Mean cosine of the two; 1 less that of ℓ = m is the influence of a block.
        pub cosine: f64,
        /// Its standard error, clustered by sequence.
        pub cosine_se: Option<f64>,
        /// Mean arccos(cosine)/π, 0 to 1.
        pub angular_distance: f64,
        /// Its standard error, clustered by sequence.
        pub angular_distance_se: Option<f64>,
        /// Sequences, all of one length.
        pub sequences: u64,
        /// Positions over which means are.
        pub positions: u64,
    }
    table("block-distances") key(model, layer, last_layer) fault(|r| negative_error([("cosine_se", r.cosine_se), ("angular_distance_se", r.angular_distance_se)]))
}

/// How the blocks that are left out are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The n of the least influence 1 − cos.
    BlockInfluence,
    /// The n in a row of the least angular distance.
    AngularDistance,
    /// The n whose leaving out alone has the least divergence.
    Divergence,
    /// One after another, each time the one with which the divergence stays least.
    GreedyDivergence,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Self; 4] = [
        Self::BlockInfluence,
        Self::AngularDistance,
        Self::Divergence,
        Self::GreedyDivergence,
    ];

    /// As legends call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::BlockInfluence => "block influence",
            Self::AngularDistance => "angular distance",
            Self::Divergence => "divergence",
            Self::GreedyDivergence => "divergence, greedy",
        }
    }
}

record! {
    /// One line of `block-pruning.csv`: some blocks left out.
    pub struct PruningRecord {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// How they are chosen.
        pub strategy: Strategy,
        /// How many, n.
        pub removed: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// The edit.
        pub schedule: String,
        /// Mean KL(plain ‖ altered), nats.
        pub kl_nats: f64,
        /// Its standard error, clustered by sequence, nats.
        pub kl_nats_se: Option<f64>,
        /// Altered less plain loss, paired, nats a token.
        pub loss_difference_nats: f64,
        /// Its standard error, nats a token.
        pub loss_difference_nats_se: Option<f64>,
        /// Sequences that the cost is measured on; as many others chose.
        pub sequences: u64,
        /// Positions over which the divergence is a mean.
        pub positions: u64,
    }
    table("block-pruning") key(model, strategy, removed) fault(|r| negative_error([("kl_nats_se", r.kl_nats_se), ("loss_difference_nats_se", r.loss_difference_nats_se)]))
}
