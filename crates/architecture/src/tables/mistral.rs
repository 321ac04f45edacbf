//! Mistral: as Llama, with a window in every block.

use super::keys::{Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, FamilyTable, Layers, RotaryDefaults};

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "Mistral 7B and models of its shape: a window in every block, if the config has one",
    keys: KeyTable {
        read: &[
            SIZES,
            &[
                ("num_key_value_heads", Field::KvHeads, Or(8)),
                ("head_dim", Field::Head, Nullable),
                ("intermediate_size", Field::Neurons, Required),
                ("hidden_act", Field::Activation, Optional),
                ("max_position_embeddings", Field::Context, Or(131_072)),
                ("sliding_window", Field::Window, Or(4096)),
            ],
            ROTARY,
            BOS,
            RMS_EPSILON,
        ],
        refused: &[],
        ignored: &["attention_dropout"],
    },
    block: Block { ..Block::GATED },
    rotary: Some(RotaryDefaults::WHOLE),
    layers: Layers::Windowed,
    tied: false,
    bos: Some(1),
    prefixes: &["model."],
    tensors: &[ENDS, FINAL_NORM, NORMS, ATTENTION, GATED_MLP],
    ignored_tensors: FREQUENCIES,
    whole: None,
};
