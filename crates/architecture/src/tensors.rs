//! The tensors that the block equation needs, and how a family names and stores them.

use crate::config::{Mlp, ModelConfig, NormGain, NormPlace, QueryKeyNorm, QueryKeyWidth, Residual};

/// The role of a tensor in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Role {
    /// `[vocab, embedding]`.
    TokenEmbedding,
    /// The norm after the embedding: `[model]`.
    EmbeddingNormGain,
    /// `[model]`.
    EmbeddingNormBias,
    /// From the embedding to the residual stream: `[model, embedding]`.
    EmbeddingIn,
    /// `[offset + context, model]`.
    PositionEmbedding,
    /// `[model]`; the one norm of a [`Residual::ParallelOneNorm`] block, the norm of the sum under
    /// [`NormPlace::OfSum`](crate::NormPlace::OfSum).
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
    /// Queries, keys and values in one tensor: `[(heads + 2 * kv_heads) * head, model]`.
    Qkv,
    /// `[(heads + 2 * kv_heads) * head]`.
    QkvBias,
    /// The norm of queries: `[head]`, `[heads, head]` or `[heads * head]`.
    QNormGain,
    /// As [`Role::QNormGain`].
    QNormBias,
    /// The norm of keys: `[head]`, `[kv_heads, head]` or `[kv_heads * head]`.
    KNormGain,
    /// As [`Role::KNormGain`].
    KNormBias,
    /// `[model, heads * head]`.
    AttnOut,
    /// `[model]`.
    AttnOutBias,
    /// The norm of the attention's output: `[model]`.
    AttnAfterNormGain,
    /// `[model]`.
    AttnAfterNormBias,
    /// `[model]`.
    MlpNormGain,
    /// `[model]`.
    MlpNormBias,
    /// In a gated MLP, the projection before the activation function: `[neurons, model]`.
    MlpGate,
    /// `[neurons]`.
    MlpGateBias,
    /// The input projection of a plain MLP, or the up projection of a gated one: `[neurons, model]`.
    MlpIn,
    /// `[neurons]`.
    MlpInBias,
    /// Gate and up projection of a gated MLP in one tensor: `[2 * neurons, model]`.
    MlpGateUp,
    /// `[model, neurons]`.
    MlpOut,
    /// `[model]`.
    MlpOutBias,
    /// The norm of the MLP's output: `[model]`.
    MlpAfterNormGain,
    /// `[model]`.
    MlpAfterNormBias,
    /// `[model]`.
    FinalNormGain,
    /// `[model]`.
    FinalNormBias,
    /// From the residual stream to the unembedding's input: `[embedding, model]`.
    EmbeddingOut,
    /// `[vocab, embedding]`.
    Unembedding,
    /// `[vocab]`.
    UnembeddingBias,
}

impl Role {
    /// Every role, in the order of a forward pass.
    pub fn all() -> &'static [Self] {
        &[
            Self::TokenEmbedding,
            Self::EmbeddingNormGain,
            Self::EmbeddingNormBias,
            Self::EmbeddingIn,
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
            Self::QNormGain,
            Self::QNormBias,
            Self::KNormGain,
            Self::KNormBias,
            Self::AttnOut,
            Self::AttnOutBias,
            Self::AttnAfterNormGain,
            Self::AttnAfterNormBias,
            Self::MlpNormGain,
            Self::MlpNormBias,
            Self::MlpGate,
            Self::MlpGateBias,
            Self::MlpIn,
            Self::MlpInBias,
            Self::MlpGateUp,
            Self::MlpOut,
            Self::MlpOutBias,
            Self::MlpAfterNormGain,
            Self::MlpAfterNormBias,
            Self::FinalNormGain,
            Self::FinalNormBias,
            Self::EmbeddingOut,
            Self::Unembedding,
            Self::UnembeddingBias,
        ]
    }

    /// Whether each block has a tensor of this role, rather than the model as a whole.
    pub fn is_per_layer(self) -> bool {
        !matches!(
            self,
            Self::TokenEmbedding
                | Self::EmbeddingNormGain
                | Self::EmbeddingNormBias
                | Self::EmbeddingIn
                | Self::PositionEmbedding
                | Self::FinalNormGain
                | Self::FinalNormBias
                | Self::EmbeddingOut
                | Self::Unembedding
                | Self::UnembeddingBias
        )
    }

    /// Whether a model of this config has a tensor of this role.
    ///
    /// A projection that may be stored fused counts as used in both forms; a checkpoint has one of them.
    pub(crate) fn is_used(self, config: &ModelConfig) -> bool {
        let gain = config.norm_gain != NormGain::None;
        let bias = config.has_norm_bias();
        let attn_norm = config.norm_place != NormPlace::After;
        let mlp_norm = attn_norm && config.residual != Residual::ParallelOneNorm;
        let after = config.norm_place.is_after();
        let gated = config.mlp == Mlp::Gated;
        let heads_normed = config.query_key_norm.is_some();
        let heads_biased = config.query_key_norm.is_some_and(|norm| norm.bias);
        match self {
            Self::TokenEmbedding
            | Self::Q
            | Self::K
            | Self::V
            | Self::Qkv
            | Self::AttnOut
            | Self::MlpIn
            | Self::MlpOut
            | Self::Unembedding => true,
            Self::EmbeddingNormGain | Self::EmbeddingNormBias => config.embedding_norm,
            Self::EmbeddingIn | Self::EmbeddingOut => config.embedding.is_some(),
            Self::PositionEmbedding => config.learned_positions.is_some(),
            Self::AttnNormGain => attn_norm && gain,
            Self::AttnNormBias => attn_norm && bias,
            Self::QBias | Self::KBias | Self::VBias | Self::QkvBias => config.qkv_bias,
            Self::QNormGain | Self::KNormGain => heads_normed,
            Self::QNormBias | Self::KNormBias => heads_biased,
            Self::AttnOutBias => config.attention_out_bias,
            Self::AttnAfterNormGain | Self::MlpAfterNormGain => after && gain,
            Self::AttnAfterNormBias | Self::MlpAfterNormBias => after && bias,
            Self::MlpNormGain => mlp_norm && gain,
            Self::MlpNormBias => mlp_norm && bias,
            Self::MlpGate | Self::MlpGateUp => gated,
            Self::MlpGateBias => gated && config.mlp_bias,
            Self::MlpInBias | Self::MlpOutBias => config.mlp_bias,
            Self::FinalNormGain => config.final_norm && gain,
            Self::FinalNormBias => config.final_norm && bias,
            Self::UnembeddingBias => config.unembedding_bias,
        }
    }

    /// For a fused role, the roles that it combines.
    pub(crate) fn parts(self) -> &'static [Self] {
        match self {
            Self::Qkv => &[Self::Q, Self::K, Self::V],
            Self::QkvBias => &[Self::QBias, Self::KBias, Self::VBias],
            Self::MlpGateUp => &[Self::MlpGate, Self::MlpIn],
            _ => &[],
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
        let embedding = config.embedding_width();
        let normed = |heads: usize| match config.query_key_norm {
            Some(QueryKeyNorm {
                over: QueryKeyWidth::OwnHead,
                ..
            }) => vec![heads, head],
            Some(QueryKeyNorm {
                over: QueryKeyWidth::AllHeads,
                ..
            }) => vec![heads * head],
            _ => vec![head],
        };
        match self {
            Self::TokenEmbedding | Self::Unembedding => vec![vocab, embedding],
            Self::EmbeddingIn => vec![model, embedding],
            Self::EmbeddingOut => vec![embedding, model],
            Self::PositionEmbedding => {
                let offset = config
                    .learned_positions
                    .map_or(0, |positions| positions.offset);
                vec![offset + context, model]
            }
            Self::EmbeddingNormGain
            | Self::EmbeddingNormBias
            | Self::AttnNormGain
            | Self::AttnNormBias
            | Self::AttnOutBias
            | Self::AttnAfterNormGain
            | Self::AttnAfterNormBias
            | Self::MlpNormGain
            | Self::MlpNormBias
            | Self::MlpOutBias
            | Self::MlpAfterNormGain
            | Self::MlpAfterNormBias
            | Self::FinalNormGain
            | Self::FinalNormBias => vec![model],
            Self::Q => vec![heads * head, model],
            Self::QBias => vec![heads * head],
            Self::K | Self::V => vec![kv_heads * head, model],
            Self::KBias | Self::VBias => vec![kv_heads * head],
            Self::Qkv => vec![(heads + 2 * kv_heads) * head, model],
            Self::QkvBias => vec![(heads + 2 * kv_heads) * head],
            Self::QNormGain | Self::QNormBias => normed(heads),
            Self::KNormGain | Self::KNormBias => normed(kv_heads),
            Self::AttnOut => vec![model, heads * head],
            Self::MlpGate | Self::MlpIn => vec![neurons, model],
            Self::MlpGateUp => vec![2 * neurons, model],
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
    /// Like PyTorch's `Linear` and `Embedding`: outputs (or rows of a table) first. Vectors count as this.
    OutIn,
    /// Like GPT-2's `Conv1D`: inputs first.
    InOut,
}

/// How the outputs of a fused query-key-value tensor are stacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fused {
    /// All queries, then all keys, then all values: `[(heads + 2 * kv_heads), head]`.
    Stacked,
    /// For each KV head its queries, its key and its value: `[kv_heads, heads / kv_heads + 2, head]`.
    ByGroup,
}

impl ModelConfig {
    /// The number of weights of the model; tied matrices count once, padding rows of a vocabulary do not count.
    pub fn parameters(&self) -> u64 {
        let own = Role::all().iter().filter(|role| {
            role.is_used(self)
                && role.parts().is_empty()
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
