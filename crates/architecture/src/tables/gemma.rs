//! Gemma: like Llama, with gains of 1 + γ, scaled embeddings and GELU.

use super::keys::{Accept, Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, EmbeddingScale, FamilyTable, Layers, RotaryDefaults};

use crate::config::{Activation, NormGain};

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "Gemma 2B and 7B",
    keys: KeyTable {
        read: &[
            SIZES,
            &[
                ("num_key_value_heads", Field::KvHeads, Or(16)),
                ("head_dim", Field::Head, Or(256)),
                ("intermediate_size", Field::Neurons, Required),
                ("max_position_embeddings", Field::Context, Or(8192)),
                ("attention_bias", Field::AttentionBias, Optional),
                // Early configs say `gelu`, although the models were trained with its tanh approximation.
                ("hidden_act", Field::TanhActivation, Optional),
            ],
            ROTARY,
            BOS,
            RMS_EPSILON,
        ],
        refused: &[(
            "use_bidirectional_attention",
            Accept::Off,
            "attention to later tokens",
        )],
        ignored: &["attention_dropout", "hidden_activation"],
    },
    block: Block {
        norm_gain: NormGain::OnePlusStored,
        activation: Activation::GeluTanh,
        embedding_scale: EmbeddingScale::RootOfWidth,
        ..Block::GATED
    },
    rotary: Some(RotaryDefaults::WHOLE),
    layers: Layers::Alike,
    tied: true,
    bos: Some(2),
    prefixes: &["model."],
    tensors: &[
        ENDS, FINAL_NORM, NORMS, ATTENTION, GATED_MLP, QKV_BIASES, OUT_BIAS,
    ],
    ignored_tensors: FREQUENCIES,
    whole: None,
};
