//! OPT: learned positions from the third row on, norms before the sublayers or of their sums.

use super::keys::{Accept, Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, FamilyTable, Layers};
use super::templates::{out_in, vector};
use crate::config::Activation;
use crate::tensors::Role;

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "OPT 125M to 66B: learned positions; the 350M form with norms of sums and projected embeddings",
    keys: KeyTable {
        read: &[
            SIZES,
            &[
                ("ffn_dim", Field::Neurons, Required),
                ("max_position_embeddings", Field::Context, Or(2048)),
                ("activation_function", Field::Activation, Optional),
                ("do_layer_norm_before", Field::NormBefore, Optional),
                ("word_embed_proj_dim", Field::EmbeddingWidth, Nullable),
                ("enable_bias", Field::Bias, Optional),
                ("layer_norm_elementwise_affine", Field::NormAffine, Optional),
            ],
            BOS,
        ],
        refused: &[(
            "_remove_final_layer_norm",
            Accept::Off,
            "no norm before the unembedding",
        )],
        ignored: &["attention_dropout", "dropout", "layerdrop"],
    },
    block: Block {
        activation: Activation::Relu,
        learned_positions: Some(2),
        ..Block::PLAIN
    },
    rotary: None,
    layers: Layers::Alike,
    tied: true,
    bos: Some(2),
    prefixes: &["model."],
    tensors: &[&[
        out_in(Role::TokenEmbedding, "decoder.embed_tokens.weight"),
        out_in(Role::PositionEmbedding, "decoder.embed_positions.weight"),
        out_in(Role::EmbeddingIn, "decoder.project_in.weight"),
        out_in(Role::EmbeddingOut, "decoder.project_out.weight"),
        vector(
            Role::AttnNormGain,
            "decoder.layers.{}.self_attn_layer_norm.weight",
        ),
        vector(
            Role::AttnNormBias,
            "decoder.layers.{}.self_attn_layer_norm.bias",
        ),
        out_in(Role::Q, "decoder.layers.{}.self_attn.q_proj.weight"),
        vector(Role::QBias, "decoder.layers.{}.self_attn.q_proj.bias"),
        out_in(Role::K, "decoder.layers.{}.self_attn.k_proj.weight"),
        vector(Role::KBias, "decoder.layers.{}.self_attn.k_proj.bias"),
        out_in(Role::V, "decoder.layers.{}.self_attn.v_proj.weight"),
        vector(Role::VBias, "decoder.layers.{}.self_attn.v_proj.bias"),
        out_in(Role::AttnOut, "decoder.layers.{}.self_attn.out_proj.weight"),
        vector(
            Role::AttnOutBias,
            "decoder.layers.{}.self_attn.out_proj.bias",
        ),
        vector(
            Role::MlpNormGain,
            "decoder.layers.{}.final_layer_norm.weight",
        ),
        vector(Role::MlpNormBias, "decoder.layers.{}.final_layer_norm.bias"),
        out_in(Role::MlpIn, "decoder.layers.{}.fc1.weight"),
        vector(Role::MlpInBias, "decoder.layers.{}.fc1.bias"),
        out_in(Role::MlpOut, "decoder.layers.{}.fc2.weight"),
        vector(Role::MlpOutBias, "decoder.layers.{}.fc2.bias"),
        vector(Role::FinalNormGain, "decoder.final_layer_norm.weight"),
        vector(Role::FinalNormBias, "decoder.final_layer_norm.bias"),
        out_in(Role::Unembedding, "lm_head.weight").without_prefix(),
    ]],
    ignored_tensors: &[],
    whole: None,
};
