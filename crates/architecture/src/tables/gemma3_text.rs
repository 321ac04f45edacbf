//! Gemma 3, its text model: as Gemma 2, with normed queries and keys instead of caps, and two rotations.

use super::keys::{Accept, Field, KeyLine, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, EmbeddingScale, FamilyTable, Layers, RotaryDefaults};
use super::templates::{TensorTemplate, vector};
use crate::config::{Activation, Norm, NormGain, NormPlace, QueryKeyNorm, QueryKeyWidth};
use crate::tensors::Role;

/// The keys of a text model's config, except the one that the model with images does not read.
pub(super) const KEYS: &[KeyLine] = &[
    ("num_hidden_layers", Field::Layers, Or(26)),
    ("hidden_size", Field::Model, Or(2304)),
    ("num_attention_heads", Field::Heads, Or(8)),
    ("vocab_size", Field::Vocab, Or(262_208)),
    ("tie_word_embeddings", Field::Tied, Optional),
    ("num_key_value_heads", Field::KvHeads, Or(4)),
    ("head_dim", Field::Head, Or(256)),
    ("intermediate_size", Field::Neurons, Or(9216)),
    ("max_position_embeddings", Field::Context, Or(131_072)),
    ("attention_bias", Field::AttentionBias, Optional),
    ("hidden_activation", Field::Activation, Optional),
    ("query_pre_attn_scalar", Field::QueryScalar, Optional),
    ("sliding_window", Field::Window, Or(4096)),
    ("layer_types", Field::LayerTypes, Nullable),
    ("sliding_window_pattern", Field::WindowPattern, Or(6)),
    ("rope_local_base_freq", Field::LocalTheta, Optional),
];

/// Keys of the model with images that every config of transformers 5 contains, and the dropout of training.
pub(super) const IGNORED: &[&str] = &[
    "attention_dropout",
    "image_token_id",
    "mm_tokens_per_image",
    "text_config",
    "vision_config",
];

pub(super) const BLOCK: Block = Block {
    norm_gain: NormGain::OnePlusStored,
    norm_place: NormPlace::Around,
    activation: Activation::GeluTanh,
    embedding_scale: EmbeddingScale::RootOfWidth,
    query_scalar: Some(256.0),
    query_key_norm: Some(QueryKeyNorm {
        over: QueryKeyWidth::Head,
        norm: Norm::RmsNorm,
        bias: false,
    }),
    ..Block::GATED
};

pub(super) const ROTATION: RotaryDefaults = RotaryDefaults {
    theta: 1_000_000.0,
    local_theta: Some(10_000.0),
    ..RotaryDefaults::WHOLE
};

/// The four norms of a block.
pub(super) const AROUND: &[TensorTemplate] = &[
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
];

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "Gemma 3, text: norms around the sublayers, normed queries and keys, a window and another rotation in five blocks of six",
    keys: KeyTable {
        read: &[
            KEYS,
            &[("final_logit_softcapping", Field::LogitCap, Nullable)],
            ROTARIES,
            BOS,
            RMS_EPSILON,
        ],
        refused: &[
            // Its attention never applies the cap that the config declares.
            (
                "attn_logit_softcapping",
                Accept::Off,
                "a cap on attention scores",
            ),
            (
                "use_bidirectional_attention",
                Accept::Off,
                "attention to later tokens",
            ),
        ],
        ignored: IGNORED,
    },
    block: BLOCK,
    rotary: Some(ROTATION),
    layers: Layers::WindowedBut(6),
    tied: true,
    bos: Some(2),
    prefixes: &["model."],
    tensors: &[
        ENDS, FINAL_NORM, AROUND, ATTENTION, GATED_MLP, HEAD_NORMS, QKV_BIASES, OUT_BIAS,
    ],
    ignored_tensors: FREQUENCIES,
    whole: None,
};
