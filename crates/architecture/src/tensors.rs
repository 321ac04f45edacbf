//! What the block equation needs of a checkpoint, and how a family names and stores it.

use crate::config::{Mlp, ModelConfig, Norm, Position, Residual};

/// The part that a tensor plays in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Role {
    /// `[vocab, model]`.
    TokenEmbedding,
    /// `[context, model]`.
    PositionEmbedding,
    /// `[model]`; the one norm of a [`Residual::ParallelOneNorm`] block.
    AttnNormGain,
    /// `[model]`.
    AttnNormBias,
    /// `[heads * head, model]`.
    Q,
    /// `[heads * head]`.
    QBias,
    /// `[kv_heads * head, model]`.
    K,
    /// `[kv_heads * head]`.
    KBias,
    /// `[kv_heads * head, model]`.
    V,
    /// `[kv_heads * head]`.
    VBias,
    /// Queries, keys and values in one: `[(heads + 2 * kv_heads) * head, model]`.
    Qkv,
    /// `[(heads + 2 * kv_heads) * head]`.
    QkvBias,
    /// `[model, heads * head]`.
    AttnOut,
    /// `[model]`.
    AttnOutBias,
    /// `[model]`.
    MlpNormGain,
    /// `[model]`.
    MlpNormBias,
    /// The projection that the activation acts on in a gated MLP: `[neurons, model]`.
    MlpGate,
    /// `[neurons]`.
    MlpGateBias,
    /// The input projection of a plain MLP, the up projection of a gated one: `[neurons, model]`.
    MlpIn,
    /// `[neurons]`.
    MlpInBias,
    /// `[model, neurons]`.
    MlpOut,
    /// `[model]`.
    MlpOutBias,
    /// `[model]`.
    FinalNormGain,
    /// `[model]`.
    FinalNormBias,
    /// `[vocab, model]`.
    Unembedding,
    /// `[vocab]`.
    UnembeddingBias,
}

impl Role {
    /// Every role, in the order of a forward pass.
    pub fn all() -> &'static [Self] {
        &[
            Self::TokenEmbedding,
            Self::PositionEmbedding,
            Self::AttnNormGain,
            Self::AttnNormBias,
            Self::Q,
            Self::QBias,
            Self::K,
            Self::KBias,
            Self::V,
            Self::VBias,
            Self::Qkv,
            Self::QkvBias,
            Self::AttnOut,
            Self::AttnOutBias,
            Self::MlpNormGain,
            Self::MlpNormBias,
            Self::MlpGate,
            Self::MlpGateBias,
            Self::MlpIn,
            Self::MlpInBias,
            Self::MlpOut,
            Self::MlpOutBias,
            Self::FinalNormGain,
            Self::FinalNormBias,
            Self::Unembedding,
            Self::UnembeddingBias,
        ]
    }

    /// Whether every block has a tensor of this role, rather than the model one.
    pub fn is_per_layer(self) -> bool {
        !matches!(
            self,
            Self::TokenEmbedding
                | Self::PositionEmbedding
                | Self::FinalNormGain
                | Self::FinalNormBias
                | Self::Unembedding
                | Self::UnembeddingBias
        )
    }

    /// Whether a model of this config has a tensor of this role.
    ///
    /// Queries, keys and values count as had both apart and fused; a checkpoint has them one way.
    pub(crate) fn is_used(self, config: &ModelConfig) -> bool {
        let norm_bias = config.norm == Norm::LayerNorm;
        let mlp_norm = config.residual != Residual::ParallelOneNorm;
        let gated = config.mlp == Mlp::Gated;
        match self {
            Self::TokenEmbedding
            | Self::AttnNormGain
            | Self::Q
            | Self::K
            | Self::V
            | Self::Qkv
            | Self::AttnOut
            | Self::MlpIn
            | Self::MlpOut
            | Self::FinalNormGain
            | Self::Unembedding => true,
            Self::PositionEmbedding => config.position == Position::Learned,
            Self::AttnNormBias | Self::FinalNormBias => norm_bias,
            Self::QBias | Self::KBias | Self::VBias | Self::QkvBias => config.qkv_bias,
            Self::AttnOutBias => config.attention_out_bias,
            Self::MlpNormGain => mlp_norm,
            Self::MlpNormBias => mlp_norm && norm_bias,
            Self::MlpGate => gated,
            Self::MlpGateBias => gated && config.mlp_bias,
            Self::MlpInBias | Self::MlpOutBias => config.mlp_bias,
            Self::UnembeddingBias => config.unembedding_bias,
        }
    }

    /// The shape of the tensor, outputs first.
    pub(crate) fn shape(self, config: &ModelConfig) -> Vec<usize> {
        let ModelConfig {
            model,
            heads,
            kv_heads,
            head,
            neurons,
            vocab,
            context,
            ..
        } = *config;
        match self {
            Self::TokenEmbedding | Self::Unembedding => vec![vocab, model],
            Self::PositionEmbedding => vec![context, model],
            Self::AttnNormGain
            | Self::AttnNormBias
            | Self::AttnOutBias
            | Self::MlpNormGain
            | Self::MlpNormBias
            | Self::MlpOutBias
            | Self::FinalNormGain
            | Self::FinalNormBias => vec![model],
            Self::Q => vec![heads * head, model],
            Self::QBias => vec![heads * head],
            Self::K | Self::V => vec![kv_heads * head, model],
            Self::KBias | Self::VBias => vec![kv_heads * head],
            Self::Qkv => vec![(heads + 2 * kv_heads) * head, model],
            Self::QkvBias => vec![(heads + 2 * kv_heads) * head],
            Self::AttnOut => vec![model, heads * head],
            Self::MlpGate | Self::MlpIn => vec![neurons, model],
            Self::MlpGateBias | Self::MlpInBias => vec![neurons],
            Self::MlpOut => vec![model, neurons],
            Self::UnembeddingBias => vec![vocab],
        }
    }

    /// Whether the first axis is the vocabulary, which a checkpoint may pad.
    pub(crate) fn is_vocabulary(self) -> bool {
        matches!(
            self,
            Self::TokenEmbedding | Self::Unembedding | Self::UnembeddingBias
        )
    }
}

/// The order of a stored matrix's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// As PyTorch's `Linear` and `Embedding`: outputs (or rows of a table) first. Vectors are this too.
    OutIn,
    /// As GPT-2's `Conv1D`: inputs first.
    InOut,
}

/// How the outputs of a fused query-key-value tensor are stacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fused {
    /// All queries, then all keys, then all values: `[3, heads, head]`.
    Stacked,
    /// Query, key and value of one head together: `[heads, 3, head]`.
    PerHead,
}

impl ModelConfig {
    /// How many numbers the model's weights are; tied matrices count once, padded rows of a vocabulary not at all.
    pub fn parameters(&self) -> u64 {
        let fused = [Role::Qkv, Role::QkvBias];
        let own = Role::all().iter().filter(|role| {
            role.is_used(self)
                && !fused.contains(role)
                && !(self.tied && **role == Role::Unembedding)
        });
        own.map(|role| {
            let shape = role.shape(self);
            let of_one: u64 = shape.iter().map(|&axis| axis as u64).product();
            let copies = if role.is_per_layer() {
                self.layers as u64
            } else {
                1
            };
            of_one.saturating_mul(copies)
        })
        .fold(0, u64::saturating_add)
    }
}
