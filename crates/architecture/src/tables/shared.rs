//! Groups of keys and tensors that several families share.

use super::keys::{Field, KeyLine, Presence::*};
use super::templates::{TensorTemplate, out_in, vector};
use crate::tensors::Role;

/// Sizes under the names that most families use.
pub(super) const SIZES: &[KeyLine] = &[
    ("num_hidden_layers", Field::Layers, Required),
    ("hidden_size", Field::Model, Required),
    ("num_attention_heads", Field::Heads, Required),
    ("vocab_size", Field::Vocab, Required),
    ("tie_word_embeddings", Field::Tied, Optional),
];

/// Further keys of most families with gated MLPs.
pub(super) const GATED: &[KeyLine] = &[
    ("num_key_value_heads", Field::KvHeads, Nullable),
    ("head_dim", Field::Head, Nullable),
    ("intermediate_size", Field::Neurons, Required),
    ("hidden_act", Field::Activation, Optional),
];

/// The rotary keys, in both spellings.
pub(super) const ROTARY: &[KeyLine] = &[
    ("rope_theta", Field::RotaryTheta, Optional),
    ("partial_rotary_factor", Field::RotaryFraction, Nullable),
    ("rope_scaling", Field::RotaryScaling, Nullable),
    ("rope_parameters", Field::RotaryParameters, Nullable),
    ORIGINAL_CONTEXT,
];

/// As [`ROTARY`], for families that do not read the context before a stretch there, or that have a default for it.
pub(super) const ROTARIES: &[KeyLine] = &[ROTARY[0], ROTARY[1], ROTARY[2], ROTARY[3]];

/// It takes precedence over the same key inside a rotary object.
pub(super) const ORIGINAL_CONTEXT: KeyLine = (
    "original_max_position_embeddings",
    Field::OriginalContext,
    Optional,
);

pub(super) const RMS_EPSILON: &[KeyLine] = &[("rms_norm_eps", Field::Epsilon, Optional)];
pub(super) const LAYER_EPSILON: &[KeyLine] = &[("layer_norm_eps", Field::Epsilon, Optional)];
pub(super) const BOS: &[KeyLine] = &[("bos_token_id", Field::Bos, Optional)];

/// The tensors before and after the blocks, in Llama's naming.
pub(super) const ENDS: &[TensorTemplate] = &[
    out_in(Role::TokenEmbedding, "embed_tokens.weight"),
    out_in(Role::Unembedding, "lm_head.weight").without_prefix(),
];

pub(super) const FINAL_NORM: &[TensorTemplate] = &[vector(Role::FinalNormGain, "norm.weight")];

/// The two norms before the sublayers.
pub(super) const NORMS: &[TensorTemplate] = &[
    vector(Role::AttnNormGain, "layers.{}.input_layernorm.weight"),
    vector(
        Role::MlpNormGain,
        "layers.{}.post_attention_layernorm.weight",
    ),
];

/// The biases of [`NORMS`] and of the final norm.
pub(super) const NORM_BIASES: &[TensorTemplate] = &[
    vector(Role::AttnNormBias, "layers.{}.input_layernorm.bias"),
    vector(Role::MlpNormBias, "layers.{}.post_attention_layernorm.bias"),
    vector(Role::FinalNormBias, "norm.bias"),
];

pub(super) const ATTENTION: &[TensorTemplate] = &[
    out_in(Role::Q, "layers.{}.self_attn.q_proj.weight"),
    out_in(Role::K, "layers.{}.self_attn.k_proj.weight"),
    out_in(Role::V, "layers.{}.self_attn.v_proj.weight"),
    out_in(Role::AttnOut, "layers.{}.self_attn.o_proj.weight"),
];

pub(super) const QKV_BIASES: &[TensorTemplate] = &[
    vector(Role::QBias, "layers.{}.self_attn.q_proj.bias"),
    vector(Role::KBias, "layers.{}.self_attn.k_proj.bias"),
    vector(Role::VBias, "layers.{}.self_attn.v_proj.bias"),
];

pub(super) const OUT_BIAS: &[TensorTemplate] =
    &[vector(Role::AttnOutBias, "layers.{}.self_attn.o_proj.bias")];

pub(super) const HEAD_NORMS: &[TensorTemplate] = &[
    vector(Role::QNormGain, "layers.{}.self_attn.q_norm.weight"),
    vector(Role::KNormGain, "layers.{}.self_attn.k_norm.weight"),
];

pub(super) const GATED_MLP: &[TensorTemplate] = &[
    out_in(Role::MlpGate, "layers.{}.mlp.gate_proj.weight"),
    out_in(Role::MlpIn, "layers.{}.mlp.up_proj.weight"),
    out_in(Role::MlpOut, "layers.{}.mlp.down_proj.weight"),
];

pub(super) const GATED_MLP_BIASES: &[TensorTemplate] = &[
    vector(Role::MlpGateBias, "layers.{}.mlp.gate_proj.bias"),
    vector(Role::MlpInBias, "layers.{}.mlp.up_proj.bias"),
    vector(Role::MlpOutBias, "layers.{}.mlp.down_proj.bias"),
];

/// The rotary frequencies, which follow from the config.
pub(super) const FREQUENCIES: &[&str] = &["layers.{}.self_attn.rotary_emb.inv_freq"];
