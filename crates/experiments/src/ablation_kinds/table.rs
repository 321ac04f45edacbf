//! The records of this experiment.

use crate::core::ablation::Kind;
use crate::core::table::{negative_error, record};
use serde::{Deserialize, Serialize};

/// A sublayer of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sublayer {
    /// Attention.
    Attn,
    /// The MLP.
    Mlp,
}

impl Sublayer {
    /// Both sublayers.
    pub const ALL: [Self; 2] = [Self::Attn, Self::Mlp];

    /// The site of its update.
    pub(super) fn site(self) -> &'static str {
        match self {
            Self::Attn => "attn.out",
            Self::Mlp => "mlp.out",
        }
    }

    /// For titles.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Attn => "Attention",
            Self::Mlp => "MLP",
        }
    }
}

record! {
    /// One line of `ablation-kinds.csv`: one sublayer of one block under one kind of ablation.
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
        /// Attention or MLP.
        pub sublayer: Sublayer,
        /// The replacement of its update.
        pub kind: Kind,
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
    table("ablation-kinds") key(model, layer, sublayer, kind) fault(|r| negative_error([("kl_nats_se", r.kl_nats_se), ("loss_difference_nats_se", r.loss_difference_nats_se)]))
}

record! {
    /// One line of `ablation-kinds-agreement.csv`: two kinds of ablation of one sublayer, over blocks.
    pub struct AgreementRecord {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// Attention or MLP.
        pub sublayer: Sublayer,
        /// One kind.
        pub kind: Kind,
        /// The other kind.
        pub other_kind: Kind,
        /// Rank correlation of the blocks' divergences, −1 to 1.
        pub rank_correlation: f64,
        /// The median divergence under the first kind, divided by that under the other.
        pub ratio_of_medians: f64,
        /// Blocks of the model.
        pub blocks: usize,
    }
    table("ablation-kinds-agreement") key(model, sublayer, kind, other_kind) fault(|_| None)
}
