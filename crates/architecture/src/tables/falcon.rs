//! Falcon: parallel blocks with one or two norms, or sequential ones; one KV head for all heads, for groups, or for each.

use super::keys::{Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, FamilyTable, Layers, RotaryDefaults};
use super::templates::{out_in, vector};
use crate::config::{Activation, Residual};
use crate::tensors::{Fused, Role};

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "Falcon 7B, 40B, 180B, RW 1B, 2 11B: both forms, rotary positions or ALiBi",
    keys: KeyTable {
        read: &[
            SIZES,
            &[
                ("num_kv_heads", Field::KvHeads, Nullable),
                ("ffn_hidden_size", Field::Neurons, Nullable),
                ("activation", Field::Activation, Optional),
                ("max_position_embeddings", Field::Context, Or(2048)),
                ("layer_norm_epsilon", Field::Epsilon, Optional),
                ("bias", Field::Bias, Optional),
                ("parallel_attn", Field::ParallelResidual, Optional),
                ("alibi", Field::Alibi, Optional),
                ("multi_query", Field::MultiQuery, Optional),
                ("new_decoder_architecture", Field::NewDecoder, Optional),
                ("num_ln_in_parallel_attn", Field::ParallelNorms, Nullable),
            ],
            ROTARY,
            BOS,
        ],
        refused: &[],
        ignored: &[
            "attention_dropout",
            "hidden_dropout",
            "classifier_dropout",
            "auto_map",
            "head_dim",
        ],
    },
    block: Block {
        residual: Residual::ParallelOneNorm,
        activation: Activation::Gelu,
        qkv_bias: false,
        attention_out_bias: false,
        mlp_bias: false,
        ..Block::PLAIN
    },
    rotary: Some(RotaryDefaults::WHOLE),
    layers: Layers::Alike,
    tied: true,
    bos: Some(11),
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
        vector(Role::AttnNormGain, "h.{}.ln_attn.weight"),
        vector(Role::AttnNormBias, "h.{}.ln_attn.bias"),
        vector(Role::MlpNormGain, "h.{}.ln_mlp.weight"),
        vector(Role::MlpNormBias, "h.{}.ln_mlp.bias"),
    ]],
    ignored_tensors: &[],
    whole: None,
};
