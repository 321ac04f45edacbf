//! Gemma 2: norms around the sublayers, capped scores and logits, a window in every other block.

use super::keys::{Accept, Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, EmbeddingScale, FamilyTable, Layers, RotaryDefaults};
use super::templates::vector;
use crate::config::{Activation, NormGain, NormPlace};
use crate::tensors::Role;

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "Gemma 2: norms around the sublayers, capped scores and logits, a window in every other block",
    keys: KeyTable {
        read: &[
            SIZES,
            &[
                ("num_key_value_heads", Field::KvHeads, Or(4)),
                ("head_dim", Field::Head, Or(256)),
                ("intermediate_size", Field::Neurons, Required),
                ("max_position_embeddings", Field::Context, Or(8192)),
                ("attention_bias", Field::AttentionBias, Optional),
                ("hidden_activation", Field::Activation, Optional),
                ("query_pre_attn_scalar", Field::QueryScalar, Optional),
                ("sliding_window", Field::Window, Or(4096)),
                ("layer_types", Field::LayerTypes, Nullable),
                ("attn_logit_softcapping", Field::ScoreCap, Nullable),
                ("final_logit_softcapping", Field::LogitCap, Nullable),
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
        ignored: &["attention_dropout", "hidden_act", "cache_implementation"],
    },
    block: Block {
        norm_gain: NormGain::OnePlusStored,
        norm_place: NormPlace::Around,
        activation: Activation::GeluTanh,
        embedding_scale: EmbeddingScale::RootOfWidth,
        query_scalar: Some(256.0),
        score_cap: Some(50.0),
        logit_cap: Some(30.0),
        ..Block::GATED
    },
    rotary: Some(RotaryDefaults::WHOLE),
    layers: Layers::WindowedBut(2),
    tied: true,
    bos: Some(2),
    prefixes: &["model."],
    tensors: &[
        ENDS,
        FINAL_NORM,
        &[
            vector(Role::AttnNormGain, "layers.{}.input_layernorm.weight"),
            vector(
                Role::AttnAfterNormGain,
                "layers.{}.post_attention_layernorm.weight",
            ),
            vector(
                Role::MlpNormGain,
                "layers.{}.pre_feedforward_layernorm.weight",
            ),
            vector(
                Role::MlpAfterNormGain,
                "layers.{}.post_feedforward_layernorm.weight",
            ),
        ],
        ATTENTION,
        GATED_MLP,
        QKV_BIASES,
        OUT_BIAS,
    ],
    ignored_tensors: FREQUENCIES,
    whole: None,
};
