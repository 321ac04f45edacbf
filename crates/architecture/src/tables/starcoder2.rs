//! StarCoder2: LayerNorm and a plain MLP, rotary positions, a window in every block.

use super::keys::{Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, FamilyTable, Layers, RotaryDefaults};
use super::templates::{out_in, vector};
use crate::tensors::Role;

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "StarCoder2: LayerNorm, plain MLP, rotary positions, a window in every block, if the config has one",
    keys: KeyTable {
        read: &[
            SIZES,
            &[
                ("num_key_value_heads", Field::KvHeads, Or(2)),
                ("head_dim", Field::Head, Nullable),
                ("intermediate_size", Field::Neurons, Required),
                ("hidden_act", Field::Activation, Optional),
                ("max_position_embeddings", Field::Context, Or(4096)),
                ("sliding_window", Field::Window, Nullable),
                ("norm_epsilon", Field::Epsilon, Optional),
                ("use_bias", Field::Bias, Optional),
            ],
            ROTARY,
        ],
        refused: &[],
        ignored: &[
            "attention_dropout",
            "residual_dropout",
            "embedding_dropout",
            "bos_token_id",
        ],
    },
    block: Block { ..Block::PLAIN },
    rotary: Some(RotaryDefaults::WHOLE),
    layers: Layers::Windowed,
    tied: true,
    bos: None,
    prefixes: &["model."],
    tensors: &[
        ENDS,
        FINAL_NORM,
        NORMS,
        NORM_BIASES,
        ATTENTION,
        QKV_BIASES,
        OUT_BIAS,
        &[
            out_in(Role::MlpIn, "layers.{}.mlp.c_fc.weight"),
            vector(Role::MlpInBias, "layers.{}.mlp.c_fc.bias"),
            out_in(Role::MlpOut, "layers.{}.mlp.c_proj.weight"),
            vector(Role::MlpOutBias, "layers.{}.mlp.c_proj.bias"),
        ],
    ],
    ignored_tensors: FREQUENCIES,
    whole: None,
};
