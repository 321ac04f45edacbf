//! GPT-2: learned positions, sequential blocks, fused queries, keys and values, `[in, out]` matrices.

use super::keys::{Accept, Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, FamilyTable, Layers};
use super::templates::{in_out, out_in, vector};
use crate::tensors::{Fused, Role};

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "GPT-2, DistilGPT-2, Cerebras-GPT, CRFM models: learned positions; scores scaled as the config says",
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
                ("n_positions", Field::Context, Or(1024)),
                ("max_position_embeddings", Field::Context, Optional),
                ("layer_norm_epsilon", Field::Epsilon, Optional),
                ("activation_function", Field::Activation, Optional),
                ("tie_word_embeddings", Field::Tied, Optional),
                ("scale_attn_weights", Field::ScaleScores, Optional),
                (
                    "scale_attn_by_inverse_layer_idx",
                    Field::ScaleByLayer,
                    Optional,
                ),
            ],
            BOS,
        ],
        refused: &[(
            "add_cross_attention",
            Accept::Off,
            "attention to an encoder's states",
        )],
        ignored: &[
            "classifier_dropout",
            "hidden_dropout",
            "attn_pdrop",
            "embd_pdrop",
            "resid_pdrop",
            "reorder_and_upcast_attn",
            "summary_activation",
            "summary_first_dropout",
            "summary_last_dropout",
            "summary_proj_to_labels",
            "summary_type",
            "summary_use_proj",
        ],
    },
    block: Block {
        learned_positions: Some(0),
        ..Block::PLAIN
    },
    rotary: None,
    layers: Layers::Alike,
    tied: true,
    bos: Some(50256),
    prefixes: &["transformer."],
    tensors: &[&[
        out_in(Role::TokenEmbedding, "wte.weight"),
        out_in(Role::PositionEmbedding, "wpe.weight"),
        vector(Role::AttnNormGain, "h.{}.ln_1.weight"),
        vector(Role::AttnNormBias, "h.{}.ln_1.bias"),
        in_out(Role::Qkv, "h.{}.attn.c_attn.weight").fused(Fused::Stacked),
        vector(Role::QkvBias, "h.{}.attn.c_attn.bias").fused(Fused::Stacked),
        in_out(Role::AttnOut, "h.{}.attn.c_proj.weight"),
        vector(Role::AttnOutBias, "h.{}.attn.c_proj.bias"),
        vector(Role::MlpNormGain, "h.{}.ln_2.weight"),
        vector(Role::MlpNormBias, "h.{}.ln_2.bias"),
        in_out(Role::MlpIn, "h.{}.mlp.c_fc.weight"),
        vector(Role::MlpInBias, "h.{}.mlp.c_fc.bias"),
        in_out(Role::MlpOut, "h.{}.mlp.c_proj.weight"),
        vector(Role::MlpOutBias, "h.{}.mlp.c_proj.bias"),
        vector(Role::FinalNormGain, "ln_f.weight"),
        vector(Role::FinalNormBias, "ln_f.bias"),
        out_in(Role::Unembedding, "lm_head.weight").without_prefix(),
    ]],
    ignored_tensors: &["h.{}.attn.bias", "h.{}.attn.masked_bias"],
    whole: None,
};
