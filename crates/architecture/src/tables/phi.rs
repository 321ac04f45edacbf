//! Phi-1, Phi-1.5 and Phi-2: partly rotary heads, blocks of one norm in parallel, a biased unembedding.

use super::keys::{Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, FamilyTable, Layers, RotaryDefaults};
use super::templates::{out_in, vector};
use crate::config::{Norm, QueryKeyNorm, QueryKeyWidth, Residual};
use crate::tensors::Role;

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "Phi-1, Phi-1.5, Phi-2: parallel blocks with one norm; with or without norms of queries and keys",
    keys: KeyTable {
        read: &[
            SIZES,
            GATED,
            ROTARY,
            BOS,
            LAYER_EPSILON,
            &[
                ("max_position_embeddings", Field::Context, Or(2048)),
                ("qk_layernorm", Field::QueryKeyNorm, Optional),
            ],
        ],
        refused: &[],
        ignored: &["attention_dropout", "auto_map", "embd_pdrop", "resid_pdrop"],
    },
    block: Block {
        residual: Residual::ParallelOneNorm,
        unembedding_bias: true,
        query_key_norm: Some(QueryKeyNorm {
            over: QueryKeyWidth::Head,
            norm: Norm::LayerNorm,
            bias: true,
        }),
        ..Block::PLAIN
    },
    rotary: Some(RotaryDefaults {
        fraction: 0.5,
        partial: true,
        ..RotaryDefaults::WHOLE
    }),
    layers: Layers::Alike,
    tied: false,
    bos: Some(1),
    prefixes: &["model."],
    tensors: &[
        &[
            out_in(Role::TokenEmbedding, "embed_tokens.weight"),
            vector(Role::AttnNormGain, "layers.{}.input_layernorm.weight"),
            vector(Role::AttnNormBias, "layers.{}.input_layernorm.bias"),
            out_in(Role::Q, "layers.{}.self_attn.q_proj.weight"),
            out_in(Role::K, "layers.{}.self_attn.k_proj.weight"),
            out_in(Role::V, "layers.{}.self_attn.v_proj.weight"),
            vector(Role::QNormGain, "layers.{}.self_attn.q_layernorm.weight"),
            vector(Role::QNormBias, "layers.{}.self_attn.q_layernorm.bias"),
            vector(Role::KNormGain, "layers.{}.self_attn.k_layernorm.weight"),
            vector(Role::KNormBias, "layers.{}.self_attn.k_layernorm.bias"),
            out_in(Role::AttnOut, "layers.{}.self_attn.dense.weight"),
            vector(Role::AttnOutBias, "layers.{}.self_attn.dense.bias"),
            out_in(Role::MlpIn, "layers.{}.mlp.fc1.weight"),
            vector(Role::MlpInBias, "layers.{}.mlp.fc1.bias"),
            out_in(Role::MlpOut, "layers.{}.mlp.fc2.weight"),
            vector(Role::MlpOutBias, "layers.{}.mlp.fc2.bias"),
            vector(Role::FinalNormGain, "final_layernorm.weight"),
            vector(Role::FinalNormBias, "final_layernorm.bias"),
            out_in(Role::Unembedding, "lm_head.weight").without_prefix(),
            vector(Role::UnembeddingBias, "lm_head.bias").without_prefix(),
        ],
        QKV_BIASES,
    ],
    ignored_tensors: FREQUENCIES,
    whole: None,
};
