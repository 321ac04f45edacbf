//! Llama 1 to 3.2 and models of the same shape, such as SmolLM2: RMSNorm, gated MLP, rotary positions.

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
            ("rms_norm_eps", Field::Epsilon, Optional),
            ("hidden_act", Field::Activation, Optional),
            ("tie_word_embeddings", Field::Tied, Optional),
            ("bos_token_id", Field::Bos, Optional),
            ("attention_bias", Field::AttentionBias, Optional),
            ("mlp_bias", Field::MlpBias, Optional),
            ("rope_theta", Field::RotaryTheta, Optional),
            ("partial_rotary_factor", Field::RotaryFraction, Optional),
            ("rope_scaling", Field::RotaryScaling, Nullable),
            ("rope_parameters", Field::RotaryParameters, Nullable),
        ],
        refused: &[("rope_interleaved", Accept::Off)],
        ignored: &[
            "attention_dropout",
            "is_llama_config",
            // How many pieces a product was cut into in training; the function is the same.
            "pretraining_tp",
        ],
    },
    block: Block {
        norm: Norm::RmsNorm,
        norm_epsilon: 1e-6,
        residual: Residual::Sequential,
        mlp: Mlp::Gated,
        activation: Activation::Silu,
        qkv_bias: false,
        attention_out_bias: false,
        mlp_bias: false,
        unembedding_bias: false,
    },
    rotary: Some(RotaryDefaults {
        theta: 10_000.0,
        fraction: 1.0,
    }),
    tied: false,
    bos: Some(1),
    prefix: "model.",
    tensors: &[
        out_in(Role::TokenEmbedding, "embed_tokens.weight"),
        vector(Role::AttnNormGain, "layers.{}.input_layernorm.weight"),
        out_in(Role::Q, "layers.{}.self_attn.q_proj.weight"),
        vector(Role::QBias, "layers.{}.self_attn.q_proj.bias"),
        out_in(Role::K, "layers.{}.self_attn.k_proj.weight"),
        vector(Role::KBias, "layers.{}.self_attn.k_proj.bias"),
        out_in(Role::V, "layers.{}.self_attn.v_proj.weight"),
        vector(Role::VBias, "layers.{}.self_attn.v_proj.bias"),
        out_in(Role::AttnOut, "layers.{}.self_attn.o_proj.weight"),
        vector(Role::AttnOutBias, "layers.{}.self_attn.o_proj.bias"),
        vector(
            Role::MlpNormGain,
            "layers.{}.post_attention_layernorm.weight",
        ),
        out_in(Role::MlpGate, "layers.{}.mlp.gate_proj.weight"),
        vector(Role::MlpGateBias, "layers.{}.mlp.gate_proj.bias"),
        out_in(Role::MlpIn, "layers.{}.mlp.up_proj.weight"),
        vector(Role::MlpInBias, "layers.{}.mlp.up_proj.bias"),
        out_in(Role::MlpOut, "layers.{}.mlp.down_proj.weight"),
        vector(Role::MlpOutBias, "layers.{}.mlp.down_proj.bias"),
        vector(Role::FinalNormGain, "norm.weight"),
        out_in(Role::Unembedding, "lm_head.weight").without_prefix(),
    ],
    // The rotary frequencies, which the config gives.
    ignored_tensors: &["layers.{}.self_attn.rotary_emb.inv_freq"],
};
