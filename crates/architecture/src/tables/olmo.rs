//! OLMo: like Llama, with LayerNorms without gain and bias, and no BOS.

use super::keys::{Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, FamilyTable, Layers, RotaryDefaults};

use crate::config::{Norm, NormGain};

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "OLMo 1B and 7B, OLMo 1.7: norms without parameters, queries, keys and values clipped as the config says",
    keys: KeyTable {
        read: &[
            SIZES,
            GATED,
            &[
                ("max_position_embeddings", Field::Context, Or(2048)),
                ("attention_bias", Field::AttentionBias, Optional),
                ("clip_qkv", Field::QkvClip, Nullable),
            ],
            ROTARY,
        ],
        refused: &[],
        ignored: &["attention_dropout", "bos_token_id"],
    },
    block: Block {
        norm: Norm::LayerNorm,
        norm_epsilon: 1e-5,
        norm_gain: NormGain::None,
        ..Block::GATED
    },
    rotary: Some(RotaryDefaults::WHOLE),
    layers: Layers::Alike,
    tied: false,
    bos: None,
    prefixes: &["model."],
    tensors: &[ENDS, ATTENTION, GATED_MLP, QKV_BIASES, OUT_BIAS],
    ignored_tensors: FREQUENCIES,
    whole: None,
};
