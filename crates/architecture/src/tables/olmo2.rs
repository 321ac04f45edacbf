//! OLMo 2: RMSNorms after the sublayers instead of before, normed queries and keys, no BOS.

use super::keys::{Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, FamilyTable, Layers, RotaryDefaults};
use super::templates::vector;
use crate::config::{Norm, NormPlace, QueryKeyNorm, QueryKeyWidth};
use crate::tensors::Role;

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "OLMo 2: norms after the sublayers, normed queries and keys",
    keys: KeyTable {
        read: &[
            SIZES,
            GATED,
            &[
                ("max_position_embeddings", Field::Context, Or(2048)),
                ("attention_bias", Field::AttentionBias, Optional),
            ],
            ROTARY,
            RMS_EPSILON,
        ],
        refused: &[],
        ignored: &["attention_dropout", "bos_token_id"],
    },
    block: Block {
        norm_epsilon: 1e-5,
        norm_place: NormPlace::After,
        query_key_norm: Some(QueryKeyNorm {
            over: QueryKeyWidth::AllHeads,
            norm: Norm::RmsNorm,
            bias: false,
        }),
        ..Block::GATED
    },
    rotary: Some(RotaryDefaults::WHOLE),
    layers: Layers::Alike,
    tied: false,
    bos: None,
    prefixes: &["model."],
    tensors: &[
        ENDS,
        FINAL_NORM,
        ATTENTION,
        GATED_MLP,
        HEAD_NORMS,
        QKV_BIASES,
        OUT_BIAS,
        &[
            vector(
                Role::AttnAfterNormGain,
                "layers.{}.post_attention_layernorm.weight",
            ),
            vector(
                Role::MlpAfterNormGain,
                "layers.{}.post_feedforward_layernorm.weight",
            ),
        ],
    ],
    ignored_tensors: FREQUENCIES,
    whole: None,
};
