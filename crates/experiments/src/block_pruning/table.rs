//! The records of this experiment.

use crate::core::table::{misplaced, negative_error, record};
use serde::{Deserialize, Serialize};

record! {
    /// One line of `block-distances.csv`: the residual streams before one block and after another.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// The block ℓ, from 0; the first stream is its input.
        pub layer: usize,
        /// The block m, ℓ or later; the other stream is its output.
        pub last_layer: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// Mean cosine of the two; 1 minus that of ℓ = m is the influence of a block.
        pub cosine: f64,
        /// Its standard error, clustered by sequence.
        pub cosine_se: Option<f64>,
        /// Mean arccos(cosine)/π, 0 to 1.
        pub angular_distance: f64,
        /// Its standard error, clustered by sequence.
        pub angular_distance_se: Option<f64>,
        /// Sequences, all of one length.
        pub sequences: u64,
        /// Positions that means are taken over.
        pub positions: u64,
    }
    table("block-distances") key(model, layer, last_layer) fault(|r| {
        misplaced(("layers", r.layers), [("layer", r.layer), ("last_layer", r.last_layer)])
            .or_else(|| negative_error([("cosine_se", r.cosine_se), ("angular_distance_se", r.angular_distance_se)]))
    })
}

/// How the blocks to leave out are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The n of least influence 1 − cos.
    BlockInfluence,
    /// The n consecutive ones of least angular distance.
    AngularDistance,
    /// The n with the least divergence when left out singly.
    Divergence,
    /// One by one, each time the block without which the divergence stays least.
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

    /// The name in legends.
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
        /// How the blocks are chosen.
        pub strategy: Strategy,
        /// Their number, n.
        pub removed: usize,
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
        /// Sequences that the cost is measured on; the others chose the blocks.
        pub sequences: u64,
        /// Positions over which the divergence is averaged.
        pub positions: u64,
    }
    table("block-pruning") key(model, strategy, removed) fault(|r| negative_error([("kl_nats_se", r.kl_nats_se), ("loss_difference_nats_se", r.loss_difference_nats_se)]))
}
