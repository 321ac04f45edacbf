//! Qwen2 and Qwen2.5: as Llama, with biases on queries, keys and values, and no BOS.

use super::keys::{Accept, Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, FamilyTable, Layers, RotaryDefaults};

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "Qwen2, Qwen2.5: biased queries, keys and values; windows from a given block on",
    keys: KeyTable {
        read: &[
            SIZES,
            &[
                ("num_key_value_heads", Field::KvHeads, Or(32)),
                ("intermediate_size", Field::Neurons, Required),
                ("hidden_act", Field::Activation, Optional),
                ("head_dim", Field::Head, Nullable),
                ("use_sliding_window", Field::UseWindow, Optional),
                ("sliding_window", Field::Window, Or(4096)),
                ("max_window_layers", Field::WindowFrom, Or(28)),
                ("layer_types", Field::LayerTypes, Nullable),
                ("max_position_embeddings", Field::Context, Or(32_768)),
            ],
            ROTARY,
            RMS_EPSILON,
        ],
        refused: &[(
            "use_mrope",
            Accept::Off,
            "rotations by three positions of each token",
        )],
        ignored: &["attention_dropout", "bos_token_id"],
    },
    block: Block {
        qkv_bias: true,
        ..Block::GATED
    },
    rotary: Some(RotaryDefaults::WHOLE),
    layers: Layers::WindowedFrom,
    tied: false,
    bos: None,
    prefixes: &["model."],
    tensors: &[ENDS, FINAL_NORM, NORMS, ATTENTION, GATED_MLP, QKV_BIASES],
    ignored_tensors: FREQUENCIES,
    whole: None,
};
