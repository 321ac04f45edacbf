//! SmolLM3: as Llama, with no rotation in every fourth block.

use super::keys::{Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, FamilyTable, Layers, RotaryDefaults};

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "SmolLM3: no rotation in some blocks",
    keys: KeyTable {
        read: &[
            SIZES,
            &[
                ("num_key_value_heads", Field::KvHeads, Or(4)),
                ("head_dim", Field::Head, Nullable),
                ("intermediate_size", Field::Neurons, Required),
                ("hidden_act", Field::Activation, Optional),
                ("max_position_embeddings", Field::Context, Or(32_768)),
                ("attention_bias", Field::AttentionBias, Optional),
                ("mlp_bias", Field::MlpBias, Optional),
                ("use_sliding_window", Field::UseWindow, Optional),
                ("sliding_window", Field::Window, Nullable),
                ("no_rope_layers", Field::RotaryLayers, Nullable),
                ("no_rope_layer_interval", Field::NoRotaryInterval, Or(4)),
                ("layer_types", Field::LayerTypes, Nullable),
            ],
            ROTARY,
            RMS_EPSILON,
        ],
        refused: &[],
        ignored: &["attention_dropout", "bos_token_id"],
    },
    block: Block { ..Block::GATED },
    rotary: Some(RotaryDefaults {
        theta: 2_000_000.0,
        ..RotaryDefaults::WHOLE
    }),
    layers: Layers::RotatedBut(4),
    tied: true,
    bos: None,
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
