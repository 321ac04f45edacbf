//! Bloom: a norm after the embedding, ALiBi instead of positions, queries, keys and values fused by head.

use super::keys::{Accept, Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, FamilyTable, Layers};
use super::templates::{out_in, vector};

use crate::config::Alibi;
use crate::tensors::{Fused, Role};

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "Bloom 560M to 176B, BloomZ: a normed embedding, ALiBi",
    keys: KeyTable {
        read: &[
            &[
                ("n_layer", Field::Layers, Required),
                ("num_hidden_layers", Field::Layers, Optional),
                ("hidden_size", Field::Model, Required),
                ("n_embed", Field::Model, Optional),
                ("n_head", Field::Heads, Required),
                ("num_attention_heads", Field::Heads, Optional),
                ("vocab_size", Field::Vocab, Required),
                ("seq_length", Field::Context, Or(2048)),
                ("layer_norm_epsilon", Field::Epsilon, Optional),
                ("tie_word_embeddings", Field::Tied, Optional),
                ("slow_but_exact", Field::Sliced, Optional),
                ("pretraining_tp", Field::Slices, Optional),
            ],
            BOS,
        ],
        refused: &[
            ("sliding_window", Accept::Off, "attention within a window"),
            (
                "apply_residual_connection_post_layernorm",
                Accept::Off,
                "residual connections that begin after the norms",
            ),
        ],
        ignored: &[
            "max_position_embeddings",
            "attention_dropout",
            "hidden_dropout",
            "classifier_dropout",
        ],
    },
    block: Block {
        embedding_norm: true,
        alibi: Some(Alibi::Scaled),
        ..Block::PLAIN
    },
    rotary: None,
    layers: Layers::Alike,
    tied: true,
    bos: Some(1),
    prefixes: &["transformer."],
    tensors: &[&[
        out_in(Role::TokenEmbedding, "word_embeddings.weight"),
        vector(Role::AttnNormGain, "h.{}.input_layernorm.weight"),
        vector(Role::AttnNormBias, "h.{}.input_layernorm.bias"),
        vector(Role::MlpNormGain, "h.{}.post_attention_layernorm.weight"),
        vector(Role::MlpNormBias, "h.{}.post_attention_layernorm.bias"),
        out_in(Role::Qkv, "h.{}.self_attention.query_key_value.weight").fused(Fused::ByGroup),
        vector(Role::QkvBias, "h.{}.self_attention.query_key_value.bias").fused(Fused::ByGroup),
        out_in(Role::AttnOut, "h.{}.self_attention.dense.weight"),
        vector(Role::AttnOutBias, "h.{}.self_attention.dense.bias"),
        out_in(Role::MlpIn, "h.{}.mlp.dense_h_to_4h.weight"),
        vector(Role::MlpInBias, "h.{}.mlp.dense_h_to_4h.bias"),
        out_in(Role::MlpOut, "h.{}.mlp.dense_4h_to_h.weight"),
        vector(Role::MlpOutBias, "h.{}.mlp.dense_4h_to_h.bias"),
        vector(Role::FinalNormGain, "ln_f.weight"),
        vector(Role::FinalNormBias, "ln_f.bias"),
        out_in(Role::Unembedding, "lm_head.weight").without_prefix(),
        vector(Role::EmbeddingNormGain, "word_embeddings_layernorm.weight"),
        vector(Role::EmbeddingNormBias, "word_embeddings_layernorm.bias"),
    ]],
    ignored_tensors: &[],
    whole: None,
};
