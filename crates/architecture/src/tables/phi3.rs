//! Phi-3 and Phi-4-mini: as Llama, with fused projections, a window and LongRoPE.

use super::keys::{Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, FamilyTable, Layers, RotaryDefaults};
use super::templates::out_in;
use crate::tensors::{Fused, Role};

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "Phi-3, Phi-3.5, Phi-4-mini: a window, LongRoPE, partly rotary heads",
    keys: KeyTable {
        read: &[
            SIZES,
            &[
                ("num_key_value_heads", Field::KvHeads, Nullable),
                ("head_dim", Field::Head, Nullable),
                ("intermediate_size", Field::Neurons, Required),
                ("hidden_act", Field::Activation, Optional),
                ("max_position_embeddings", Field::Context, Or(4096)),
                (
                    "original_max_position_embeddings",
                    Field::OriginalContext,
                    Or(4096),
                ),
                ("sliding_window", Field::Window, Nullable),
            ],
            ROTARIES,
            RMS_EPSILON,
        ],
        refused: &[],
        ignored: &[
            "attention_dropout",
            "auto_map",
            "embd_pdrop",
            "resid_pdrop",
            "bos_token_id",
        ],
    },
    block: Block {
        norm_epsilon: 1e-5,
        ..Block::GATED
    },
    rotary: Some(RotaryDefaults {
        partial: true,
        odd: true,
        scalings: &["default", "longrope"],
        ..RotaryDefaults::WHOLE
    }),
    layers: Layers::Windowed,
    tied: false,
    bos: None,
    prefixes: &["model."],
    tensors: &[
        ENDS,
        FINAL_NORM,
        NORMS,
        &[
            out_in(Role::Qkv, "layers.{}.self_attn.qkv_proj.weight").fused(Fused::Stacked),
            out_in(Role::AttnOut, "layers.{}.self_attn.o_proj.weight"),
            out_in(Role::MlpGateUp, "layers.{}.mlp.gate_up_proj.weight").fused(Fused::Stacked),
            out_in(Role::MlpOut, "layers.{}.mlp.down_proj.weight"),
        ],
    ],
    ignored_tensors: FREQUENCIES,
    whole: None,
};
