//! GPT-Neo: as GPT-2, with unscaled scores and a window in every other block.

use super::keys::{Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, FamilyTable, Layers};
use super::templates::{out_in, vector};
use crate::tensors::Role;

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "GPT-Neo 125M to 2.7B: unscaled scores, a window in every other block",
    keys: KeyTable {
        read: &[
            &[
                ("num_layers", Field::Layers, Required),
                ("num_hidden_layers", Field::Layers, Optional),
                ("hidden_size", Field::Model, Required),
                ("num_heads", Field::Heads, Required),
                ("num_attention_heads", Field::Heads, Optional),
                ("intermediate_size", Field::Neurons, Nullable),
                ("vocab_size", Field::Vocab, Required),
                ("max_position_embeddings", Field::Context, Or(2048)),
                ("window_size", Field::Window, Or(256)),
                ("attention_types", Field::AttentionTypes, Nullable),
                ("layer_norm_epsilon", Field::Epsilon, Optional),
                ("activation_function", Field::Activation, Optional),
                ("tie_word_embeddings", Field::Tied, Optional),
            ],
            BOS,
        ],
        refused: &[],
        ignored: &[
            "attention_dropout",
            "classifier_dropout",
            "embed_dropout",
            "resid_dropout",
            "attention_layers",
        ],
    },
    block: Block {
        qkv_bias: false,
        learned_positions: Some(0),
        scaled_scores: false,
        ..Block::PLAIN
    },
    rotary: None,
    layers: Layers::Listed,
    tied: true,
    bos: Some(50256),
    prefixes: &["transformer."],
    tensors: &[&[
        out_in(Role::TokenEmbedding, "wte.weight"),
        out_in(Role::PositionEmbedding, "wpe.weight"),
        vector(Role::AttnNormGain, "h.{}.ln_1.weight"),
        vector(Role::AttnNormBias, "h.{}.ln_1.bias"),
        out_in(Role::Q, "h.{}.attn.attention.q_proj.weight"),
        out_in(Role::K, "h.{}.attn.attention.k_proj.weight"),
        out_in(Role::V, "h.{}.attn.attention.v_proj.weight"),
        out_in(Role::AttnOut, "h.{}.attn.attention.out_proj.weight"),
        vector(Role::AttnOutBias, "h.{}.attn.attention.out_proj.bias"),
        vector(Role::MlpNormGain, "h.{}.ln_2.weight"),
        vector(Role::MlpNormBias, "h.{}.ln_2.bias"),
        out_in(Role::MlpIn, "h.{}.mlp.c_fc.weight"),
        vector(Role::MlpInBias, "h.{}.mlp.c_fc.bias"),
        out_in(Role::MlpOut, "h.{}.mlp.c_proj.weight"),
        vector(Role::MlpOutBias, "h.{}.mlp.c_proj.bias"),
        vector(Role::FinalNormGain, "ln_f.weight"),
        vector(Role::FinalNormBias, "ln_f.bias"),
        out_in(Role::Unembedding, "lm_head.weight").without_prefix(),
    ]],
    ignored_tensors: &[
        "h.{}.attn.attention.bias",
        "h.{}.attn.attention.masked_bias",
    ],
    whole: None,
};
