//! Granite: as Llama, with scaled embeddings, scores, updates and logits.

use super::keys::{Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, FamilyTable, Layers, RotaryDefaults};

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "Granite 3 (dense): embeddings, scores, updates and logits scaled as the config says",
    keys: KeyTable {
        read: &[
            SIZES,
            GATED,
            &[
                ("max_position_embeddings", Field::Context, Or(2048)),
                ("attention_bias", Field::AttentionBias, Optional),
                ("mlp_bias", Field::MlpBias, Optional),
                ("embedding_multiplier", Field::EmbeddingScale, Optional),
                ("logits_scaling", Field::LogitDivisor, Optional),
                ("residual_multiplier", Field::ResidualScale, Optional),
                ("attention_multiplier", Field::AttentionScale, Optional),
            ],
            ROTARY,
            BOS,
            RMS_EPSILON,
        ],
        refused: &[],
        ignored: &["attention_dropout"],
    },
    block: Block {
        scaled_scores: false,
        ..Block::GATED
    },
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
