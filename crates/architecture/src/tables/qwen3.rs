//! Qwen3: as Qwen2, without biases, with a norm of each head's queries and keys, and no BOS.

use super::keys::{Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, FamilyTable, Layers, RotaryDefaults};

use crate::config::{Norm, QueryKeyNorm, QueryKeyWidth};

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "Qwen3 (dense): normed queries and keys; windows from a given block on",
    keys: KeyTable {
        read: &[
            SIZES,
            &[
                ("num_key_value_heads", Field::KvHeads, Or(32)),
                ("intermediate_size", Field::Neurons, Required),
                ("hidden_act", Field::Activation, Optional),
                ("head_dim", Field::Head, Or(128)),
                ("attention_bias", Field::AttentionBias, Optional),
                ("use_sliding_window", Field::UseWindow, Optional),
                ("sliding_window", Field::Window, Or(4096)),
                ("max_window_layers", Field::WindowFrom, Or(28)),
                ("layer_types", Field::LayerTypes, Nullable),
                ("max_position_embeddings", Field::Context, Or(32_768)),
            ],
            ROTARY,
            RMS_EPSILON,
        ],
        refused: &[],
        ignored: &["attention_dropout", "bos_token_id"],
    },
    block: Block {
        query_key_norm: Some(QueryKeyNorm {
            over: QueryKeyWidth::Head,
            norm: Norm::RmsNorm,
            bias: false,
        }),
        ..Block::GATED
    },
    rotary: Some(RotaryDefaults::WHOLE),
    layers: Layers::WindowedFrom,
    tied: false,
    bos: None,
    prefixes: &["model."],
    tensors: &[
        ENDS, FINAL_NORM, NORMS, ATTENTION, GATED_MLP, HEAD_NORMS, QKV_BIASES, OUT_BIAS,
    ],
    ignored_tensors: FREQUENCIES,
    whole: None,
};
