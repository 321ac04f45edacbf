//! GPT-2: learned positions, sequential blocks, fused queries, keys and values, `[in, out]` matrices.

use super::keys::{Accept, Field, KeyTable, Presence::*};
use super::table::{Block, FamilyTable};
use super::templates::{in_out, out_in, vector};
use crate::config::{Activation, Mlp, Norm, Residual};
use crate::tensors::{Fused, Role};

pub(super) static TABLE: FamilyTable = FamilyTable {
    keys: KeyTable {
        read: &[
            ("n_layer", Field::Layers, Required),
            ("n_embd", Field::Model, Required),
            ("n_head", Field::Heads, Required),
            ("n_inner", Field::Neurons, Nullable),
            ("vocab_size", Field::Vocab, Required),
            ("n_positions", Field::Context, Required),
            ("n_ctx", Field::Context, Optional),
            ("layer_norm_epsilon", Field::Epsilon, Optional),
            ("activation_function", Field::Activation, Optional),
            ("tie_word_embeddings", Field::Tied, Optional),
            ("bos_token_id", Field::Bos, Optional),
        ],
        refused: &[
            ("scale_attn_by_inverse_layer_idx", Accept::Off),
            ("scale_attn_weights", Accept::On),
        ],
        ignored: &[
            "attn_pdrop",
            "embd_pdrop",
            "n_special",
            "output_past",
            "predict_special_tokens",
            // The order of two products, for half precision; the function is the same.
            "reorder_and_upcast_attn",
            "resid_pdrop",
            "summary_activation",
            "summary_first_dropout",
            "summary_proj_to_labels",
            "summary_type",
            "summary_use_proj",
        ],
    },
    block: Block {
        norm: Norm::LayerNorm,
        norm_epsilon: 1e-5,
        residual: Residual::Sequential,
        mlp: Mlp::Plain,
        activation: Activation::GeluTanh,
        qkv_bias: true,
        attention_out_bias: true,
        mlp_bias: true,
        unembedding_bias: false,
    },
    rotary: None,
    tied: true,
    bos: Some(50256),
    prefix: "transformer.",
    tensors: &[
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
    ],
    // The causal mask and its fill value.
    ignored_tensors: &["h.{}.attn.bias", "h.{}.attn.masked_bias"],
};
