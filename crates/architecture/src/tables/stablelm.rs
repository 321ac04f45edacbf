//! StableLM 2: LayerNorm, gated MLP, partly rotary heads.

use super::keys::{Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, FamilyTable, Layers, RotaryDefaults};
use super::templates::vector;
use crate::config::{Norm, QueryKeyNorm, QueryKeyWidth};
use crate::tensors::Role;

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "StableLM 3B and 2 1.6B: LayerNorm, gated MLP, partly rotary heads; StableLM 2 12B: in parallel, with norms of each head",
    keys: KeyTable {
        read: &[
            SIZES,
            &[
                ("num_key_value_heads", Field::KvHeads, Or(32)),
                ("head_dim", Field::Head, Nullable),
                ("intermediate_size", Field::Neurons, Required),
                ("hidden_act", Field::Activation, Optional),
                ("max_position_embeddings", Field::Context, Or(4096)),
                ("use_qkv_bias", Field::QkvBias, Optional),
                ("use_parallel_residual", Field::ParallelResidual, Optional),
                ("qk_layernorm", Field::QueryKeyNorm, Optional),
            ],
            ROTARY,
            LAYER_EPSILON,
        ],
        refused: &[],
        ignored: &["attention_dropout", "hidden_dropout", "bos_token_id"],
    },
    block: Block {
        norm: Norm::LayerNorm,
        norm_epsilon: 1e-5,
        norm_bias: true,
        query_key_norm: Some(QueryKeyNorm {
            over: QueryKeyWidth::OwnHead,
            norm: Norm::LayerNorm,
            bias: false,
        }),
        ..Block::GATED
    },
    rotary: Some(RotaryDefaults {
        fraction: 0.25,
        partial: true,
        ..RotaryDefaults::WHOLE
    }),
    layers: Layers::Alike,
    tied: false,
    bos: None,
    prefixes: &["model."],
    tensors: &[
        ENDS,
        FINAL_NORM,
        NORMS,
        ATTENTION,
        GATED_MLP,
        NORM_BIASES,
        QKV_BIASES,
        &[
            vector(
                Role::QNormGain,
                "layers.{}.self_attn.q_layernorm.norms.{}.weight",
            ),
            vector(
                Role::KNormGain,
                "layers.{}.self_attn.k_layernorm.norms.{}.weight",
            ),
        ],
    ],
    ignored_tensors: FREQUENCIES,
    whole: None,
};
