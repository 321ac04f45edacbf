//! GPT-NeoX and Pythia: partly rotary heads, blocks of two norms in parallel, queries, keys and values fused by head.

use super::keys::{Field, KeyTable, Presence::*};
use super::table::{Block, FamilyTable, RotaryDefaults};
use super::templates::{out_in, vector};
use crate::config::{Activation, Mlp, Norm, Residual};
use crate::tensors::{Fused, Role};

pub(super) static TABLE: FamilyTable = FamilyTable {
    keys: KeyTable {
        read: &[
            ("num_hidden_layers", Field::Layers, Required),
            ("hidden_size", Field::Model, Required),
            ("num_attention_heads", Field::Heads, Required),
            ("intermediate_size", Field::Neurons, Required),
            ("vocab_size", Field::Vocab, Required),
            ("max_position_embeddings", Field::Context, Required),
            ("layer_norm_eps", Field::Epsilon, Optional),
            ("hidden_act", Field::Activation, Optional),
            ("tie_word_embeddings", Field::Tied, Optional),
            ("bos_token_id", Field::Bos, Optional),
            ("use_parallel_residual", Field::ParallelResidual, Optional),
            ("attention_bias", Field::AttentionBias, Optional),
            ("rotary_emb_base", Field::RotaryTheta, Optional),
            ("rope_theta", Field::RotaryTheta, Optional),
            ("rotary_pct", Field::RotaryFraction, Optional),
            ("partial_rotary_factor", Field::RotaryFraction, Optional),
            ("rope_scaling", Field::RotaryScaling, Nullable),
            ("rope_parameters", Field::RotaryParameters, Nullable),
        ],
        refused: &[],
        ignored: &["attention_dropout", "classifier_dropout", "hidden_dropout"],
    },
    block: Block {
        norm: Norm::LayerNorm,
        norm_epsilon: 1e-5,
        residual: Residual::ParallelTwoNorms,
        mlp: Mlp::Plain,
        activation: Activation::Gelu,
        qkv_bias: true,
        attention_out_bias: true,
        mlp_bias: true,
        unembedding_bias: false,
    },
    rotary: Some(RotaryDefaults {
        theta: 10_000.0,
        fraction: 0.25,
    }),
    tied: false,
    bos: Some(0),
    prefix: "gpt_neox.",
    tensors: &[
        out_in(Role::TokenEmbedding, "embed_in.weight"),
        vector(Role::AttnNormGain, "layers.{}.input_layernorm.weight"),
        vector(Role::AttnNormBias, "layers.{}.input_layernorm.bias"),
        out_in(Role::Qkv, "layers.{}.attention.query_key_value.weight").fused(Fused::PerHead),
        vector(Role::QkvBias, "layers.{}.attention.query_key_value.bias").fused(Fused::PerHead),
        out_in(Role::AttnOut, "layers.{}.attention.dense.weight"),
        vector(Role::AttnOutBias, "layers.{}.attention.dense.bias"),
        vector(
            Role::MlpNormGain,
            "layers.{}.post_attention_layernorm.weight",
        ),
        vector(Role::MlpNormBias, "layers.{}.post_attention_layernorm.bias"),
        out_in(Role::MlpIn, "layers.{}.mlp.dense_h_to_4h.weight"),
        vector(Role::MlpInBias, "layers.{}.mlp.dense_h_to_4h.bias"),
        out_in(Role::MlpOut, "layers.{}.mlp.dense_4h_to_h.weight"),
        vector(Role::MlpOutBias, "layers.{}.mlp.dense_4h_to_h.bias"),
        vector(Role::FinalNormGain, "final_layer_norm.weight"),
        vector(Role::FinalNormBias, "final_layer_norm.bias"),
        out_in(Role::Unembedding, "embed_out.weight").without_prefix(),
    ],
    // The causal mask, its fill value, and the rotary frequencies, which the config gives.
    ignored_tensors: &[
        "layers.{}.attention.bias",
        "layers.{}.attention.masked_bias",
        "layers.{}.attention.rotary_emb.inv_freq",
    ],
};
