//! Phi-1, Phi-1.5 and Phi-2: partly rotary heads, blocks of one norm in parallel, a biased unembedding.

use super::keys::{Accept, Field, KeyTable, Presence::*};
use super::table::{Block, FamilyTable, RotaryDefaults};
use super::templates::{out_in, vector};
use crate::config::{Activation, Mlp, Norm, Residual};
use crate::tensors::Role;

pub(super) static TABLE: FamilyTable = FamilyTable {
    keys: KeyTable {
        read: &[
            ("num_hidden_layers", Field::Layers, Required),
            ("hidden_size", Field::Model, Required),
            ("num_attention_heads", Field::Heads, Required),
            ("num_key_value_heads", Field::KvHeads, Nullable),
            ("head_dim", Field::Head, Nullable),
            ("intermediate_size", Field::Neurons, Required),
            ("vocab_size", Field::Vocab, Required),
            ("max_position_embeddings", Field::Context, Required),
            ("layer_norm_eps", Field::Epsilon, Optional),
            ("hidden_act", Field::Activation, Optional),
            ("tie_word_embeddings", Field::Tied, Optional),
            ("bos_token_id", Field::Bos, Optional),
            ("rope_theta", Field::RotaryTheta, Optional),
            ("partial_rotary_factor", Field::RotaryFraction, Optional),
            ("rope_scaling", Field::RotaryScaling, Nullable),
            ("rope_parameters", Field::RotaryParameters, Nullable),
        ],
        refused: &[("qk_layernorm", Accept::Off)],
        ignored: &[
            "attention_dropout",
            // Revisions of the published models point to a copy of the same code.
            "auto_map",
            "embd_pdrop",
            "resid_pdrop",
        ],
    },
    block: Block {
        norm: Norm::LayerNorm,
        norm_epsilon: 1e-5,
        residual: Residual::ParallelOneNorm,
        mlp: Mlp::Plain,
        activation: Activation::GeluTanh,
        qkv_bias: true,
        attention_out_bias: true,
        mlp_bias: true,
        unembedding_bias: true,
    },
    rotary: Some(RotaryDefaults {
        theta: 10_000.0,
        fraction: 0.5,
    }),
    tied: false,
    bos: Some(1),
    prefix: "model.",
    tensors: &[
        out_in(Role::TokenEmbedding, "embed_tokens.weight"),
        vector(Role::AttnNormGain, "layers.{}.input_layernorm.weight"),
        vector(Role::AttnNormBias, "layers.{}.input_layernorm.bias"),
        out_in(Role::Q, "layers.{}.self_attn.q_proj.weight"),
        vector(Role::QBias, "layers.{}.self_attn.q_proj.bias"),
        out_in(Role::K, "layers.{}.self_attn.k_proj.weight"),
        vector(Role::KBias, "layers.{}.self_attn.k_proj.bias"),
        out_in(Role::V, "layers.{}.self_attn.v_proj.weight"),
        vector(Role::VBias, "layers.{}.self_attn.v_proj.bias"),
        out_in(Role::AttnOut, "layers.{}.self_attn.dense.weight"),
        vector(Role::AttnOutBias, "layers.{}.self_attn.dense.bias"),
        out_in(Role::MlpIn, "layers.{}.mlp.fc1.weight"),
        vector(Role::MlpInBias, "layers.{}.mlp.fc1.bias"),
        out_in(Role::MlpOut, "layers.{}.mlp.fc2.weight"),
        vector(Role::MlpOutBias, "layers.{}.mlp.fc2.bias"),
        vector(Role::FinalNormGain, "final_layernorm.weight"),
        vector(Role::FinalNormBias, "final_layernorm.bias"),
        out_in(Role::Unembedding, "lm_head.weight").without_prefix(),
        vector(Role::UnembeddingBias, "lm_head.bias").without_prefix(),
    ],
    ignored_tensors: &["layers.{}.self_attn.rotary_emb.inv_freq"],
};
