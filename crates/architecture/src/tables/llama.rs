//! Llama 1 to 3.2 and models of the same shape, such as SmolLM2: RMSNorm, gated MLP, rotary positions.

use super::keys::{Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, FamilyTable, Layers, RotaryDefaults};

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "Llama 1 to 3.2, TinyLlama, SmolLM2, Vicuna, Falcon3, DeepSeek LLM: rotary positions with every scaling",
    keys: KeyTable {
        read: &[
            SIZES,
            GATED,
            ROTARY,
            BOS,
            RMS_EPSILON,
            &[
                ("max_position_embeddings", Field::Context, Or(2048)),
                ("attention_bias", Field::AttentionBias, Optional),
                ("mlp_bias", Field::MlpBias, Optional),
            ],
        ],
        refused: &[],
        ignored: &["attention_dropout", "pretraining_tp"],
    },
    block: Block { ..Block::GATED },
    rotary: Some(RotaryDefaults::WHOLE),
    layers: Layers::Alike,
    tied: false,
    bos: Some(1),
    prefixes: &["model."],
    tensors: &[
        ENDS,
        FINAL_NORM,
        NORMS,
        ATTENTION,
        GATED_MLP,
        QKV_BIASES,
        OUT_BIAS,
        GATED_MLP_BIASES,
    ],
    ignored_tensors: FREQUENCIES,
    whole: None,
};
