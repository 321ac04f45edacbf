//! Cohere (Command R, Aya): parallel blocks with one LayerNorm without bias, rotation of neighbouring dimensions, scaled logits.

use super::keys::{Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, FamilyTable, Layers, RotaryDefaults};
use super::templates::vector;
use crate::config::{Norm, QueryKeyNorm, QueryKeyWidth, Residual};
use crate::rotary::Pairs;
use crate::tensors::Role;

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "Command R, Aya: parallel blocks with one norm, scaled logits, with or without norms of each head",
    keys: KeyTable {
        read: &[
            SIZES,
            GATED,
            &[
                ("max_position_embeddings", Field::Context, Or(8192)),
                ("attention_bias", Field::AttentionBias, Optional),
                ("use_qk_norm", Field::QueryKeyNorm, Optional),
                ("logit_scale", Field::LogitScale, Optional),
            ],
            ROTARY,
            BOS,
            LAYER_EPSILON,
        ],
        refused: &[],
        ignored: &["attention_dropout"],
    },
    block: Block {
        norm: Norm::LayerNorm,
        norm_epsilon: 1e-5,
        residual: Residual::ParallelOneNorm,
        query_key_norm: Some(QueryKeyNorm {
            over: QueryKeyWidth::OwnHead,
            norm: Norm::LayerNorm,
            bias: false,
        }),
        logit_scale: 0.0625,
        ..Block::GATED
    },
    rotary: Some(RotaryDefaults {
        theta: 500_000.0,
        pairs: Pairs::Neighbours,
        ..RotaryDefaults::WHOLE
    }),
    layers: Layers::Alike,
    tied: true,
    bos: Some(5),
    prefixes: &["model."],
    tensors: &[
        ENDS,
        FINAL_NORM,
        &[vector(
            Role::AttnNormGain,
            "layers.{}.input_layernorm.weight",
        )],
        ATTENTION,
        GATED_MLP,
        HEAD_NORMS,
        QKV_BIASES,
        OUT_BIAS,
    ],
    ignored_tensors: FREQUENCIES,
    whole: None,
};
