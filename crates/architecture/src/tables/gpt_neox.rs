//! GPT-NeoX and Pythia: partly rotary heads, blocks of two norms in parallel, queries, keys and values fused by head.

use super::keys::{Field, KeyTable, Presence::*};
use super::shared::*;
use super::table::{Block, FamilyTable, Layers, RotaryDefaults};
use super::templates::{out_in, vector};
use crate::config::{Activation, Residual};
use crate::tensors::{Fused, Role};

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "GPT-NeoX, Pythia, StableLM-Alpha: parallel or sequential blocks, partly rotary heads",
    keys: KeyTable {
        read: &[SIZES, BOS, LAYER_EPSILON, &[("intermediate_size", Field::Neurons, Required), ("max_position_embeddings", Field::Context, Or(2048)), ("hidden_act", Field::Activation, Optional),
  ("use_parallel_residual", Field::ParallelResidual, Optional), ("attention_bias", Field::AttentionBias, Optional), ("rotary_emb_base", Field::RotaryTheta, Optional), ("rotary_pct", Field::RotaryFraction, Optional),
  // Only the rotary code reads it.
  ("head_dim", Field::RotaryWidth, Nullable), ("rope_scaling", Field::RotaryScaling, Nullable), ("rope_parameters", Field::RotaryParameters, Nullable), ORIGINAL_CONTEXT]],
        refused: &[],
        ignored: &["attention_dropout", "classifier_dropout", "hidden_dropout"],
    },
    block: Block { residual: Residual::ParallelTwoNorms, activation: Activation::Gelu, ..Block::PLAIN },
    rotary: Some(RotaryDefaults { fraction: 0.25, partial: true, odd: true, ..RotaryDefaults::WHOLE }),
    layers: Layers::Alike,
    tied: false,
    bos: Some(0),
    prefixes: &["gpt_neox."],
    tensors: &[&[out_in(Role::TokenEmbedding, "embed_in.weight"), vector(Role::AttnNormGain, "layers.{}.input_layernorm.weight"), vector(Role::AttnNormBias, "layers.{}.input_layernorm.bias"),
  out_in(Role::Qkv, "layers.{}.attention.query_key_value.weight").fused(Fused::ByGroup), vector(Role::QkvBias, "layers.{}.attention.query_key_value.bias").fused(Fused::ByGroup), out_in(Role::AttnOut, "layers.{}.attention.dense.weight"), vector(Role::AttnOutBias, "layers.{}.attention.dense.bias"),
  vector(Role::MlpNormGain, "layers.{}.post_attention_layernorm.weight"), vector(Role::MlpNormBias, "layers.{}.post_attention_layernorm.bias"), out_in(Role::MlpIn, "layers.{}.mlp.dense_h_to_4h.weight"), vector(Role::MlpInBias, "layers.{}.mlp.dense_h_to_4h.bias"), out_in(Role::MlpOut, "layers.{}.mlp.dense_4h_to_h.weight"), vector(Role::MlpOutBias, "layers.{}.mlp.dense_4h_to_h.bias"),
  vector(Role::FinalNormGain, "final_layer_norm.weight"), vector(Role::FinalNormBias, "final_layer_norm.bias"), out_in(Role::Unembedding, "embed_out.weight").without_prefix()]],
    ignored_tensors: // The causal mask, its fill value, and the rotary frequencies, which follow from the config.
    &["layers.{}.attention.bias", "layers.{}.attention.masked_bias", "layers.{}.attention.rotary_emb.inv_freq"],
    whole: None,
};
