//! GPT-J: parallel blocks with one norm, rotation of neighbouring dimensions in part of each head, a biased unembedding.

use super::keys::{Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, FamilyTable, Layers, RotaryDefaults};
use super::templates::{out_in, vector};
use crate::config::Residual;
use crate::rotary::Pairs;
use crate::tensors::Role;

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "GPT-J 6B: parallel blocks with one norm, neighbours rotated in part of each head",
    keys: KeyTable {
        read: &[
            &[
                ("n_layer", Field::Layers, Required),
                ("num_hidden_layers", Field::Layers, Optional),
                ("n_embd", Field::Model, Required),
                ("hidden_size", Field::Model, Optional),
                ("n_head", Field::Heads, Required),
                ("num_attention_heads", Field::Heads, Optional),
                ("n_inner", Field::Neurons, Nullable),
                ("vocab_size", Field::Vocab, Required),
                ("n_positions", Field::Context, Or(2048)),
                ("max_position_embeddings", Field::Context, Optional),
                ("rotary_dim", Field::RotaryDims, Or(64)),
                ("layer_norm_epsilon", Field::Epsilon, Optional),
                ("activation_function", Field::Activation, Optional),
                ("tie_word_embeddings", Field::Tied, Optional),
            ],
            BOS,
        ],
        refused: &[],
        ignored: &["attn_pdrop", "embd_pdrop", "resid_pdrop"],
    },
    block: Block {
        residual: Residual::ParallelOneNorm,
        qkv_bias: false,
        attention_out_bias: false,
        unembedding_bias: true,
        ..Block::PLAIN
    },
    rotary: Some(RotaryDefaults {
        pairs: Pairs::Neighbours,
        partial: true,
        ..RotaryDefaults::WHOLE
    }),
    layers: Layers::Alike,
    tied: false,
    bos: Some(50256),
    prefixes: &["transformer."],
    tensors: &[&[
        out_in(Role::TokenEmbedding, "wte.weight"),
        vector(Role::AttnNormGain, "h.{}.ln_1.weight"),
        vector(Role::AttnNormBias, "h.{}.ln_1.bias"),
        out_in(Role::Q, "h.{}.attn.q_proj.weight"),
        out_in(Role::K, "h.{}.attn.k_proj.weight"),
        out_in(Role::V, "h.{}.attn.v_proj.weight"),
        out_in(Role::AttnOut, "h.{}.attn.out_proj.weight"),
        out_in(Role::MlpIn, "h.{}.mlp.fc_in.weight"),
        vector(Role::MlpInBias, "h.{}.mlp.fc_in.bias"),
        out_in(Role::MlpOut, "h.{}.mlp.fc_out.weight"),
        vector(Role::MlpOutBias, "h.{}.mlp.fc_out.bias"),
        vector(Role::FinalNormGain, "ln_f.weight"),
        vector(Role::FinalNormBias, "ln_f.bias"),
        out_in(Role::Unembedding, "lm_head.weight").without_prefix(),
        vector(Role::UnembeddingBias, "lm_head.bias").without_prefix(),
    ]],
    ignored_tensors: &[
        "h.{}.attn.bias",
        "h.{}.attn.masked_bias",
        "h.{}.attn.embed_positions",
    ],
    whole: None,
};
