//! Config keys: what each one sets.

use serde_json::Value;

use crate::config::Activation;

/// The keys of one family's config, in three columns; a key in none of them, nor in the common ones, is refused.
pub(crate) struct KeyTable {
    /// Keys that set something. A field with two keys has two spellings, which must agree.
    pub(crate) read: &'static [(&'static str, Field, Presence)],
    /// Keys that only one value of leaves the block equation as it is.
    pub(crate) refused: &'static [(&'static str, Accept)],
    /// Keys that change nothing in a forward pass.
    pub(crate) ignored: &'static [&'static str],
}

/// What a key sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Layers,
    Model,
    Heads,
    KvHeads,
    Head,
    Neurons,
    Vocab,
    Context,
    Epsilon,
    Activation,
    Tied,
    Bos,
    ParallelResidual,
    AttentionBias,
    MlpBias,
    RotaryTheta,
    RotaryFraction,
    /// The older object, `rope_scaling`.
    RotaryScaling,
    /// The newer object, `rope_parameters`.
    RotaryParameters,
}

/// Whether a key must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// The key and a value other than null.
    Required,
    /// The key may be absent.
    Optional,
    /// The key may be absent or null.
    Nullable,
}

/// The values of a key that leave the block equation as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accept {
    /// Null, false, zero, or an empty object or list.
    Off,
    /// True.
    On,
    /// A list of `full_attention`.
    FullAttention,
}

impl Accept {
    pub(crate) fn accepts(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Off, Value::Null) => true,
            (Self::Off, Value::Bool(on)) => !on,
            (Self::Off, Value::Number(number)) => number.as_f64() == Some(0.0),
            (Self::Off, Value::Array(items)) => items.is_empty(),
            (Self::Off, Value::Object(items)) => items.is_empty(),
            (Self::On, Value::Bool(on)) => *on,
            (Self::FullAttention, Value::Null) => true,
            (Self::FullAttention, Value::Array(kinds)) => {
                kinds.iter().all(|kind| kind == "full_attention")
            }
            _ => false,
        }
    }

    pub(crate) fn expected(self) -> &'static str {
        match self {
            Self::Off => "it absent, null, false, 0 or empty",
            Self::On => "true",
            Self::FullAttention => "only \"full_attention\"",
        }
    }
}

/// Features that any config may mention and no family here has.
pub(crate) const COMMON_REFUSED: &[(&str, Accept)] = &[
    ("add_cross_attention", Accept::Off),
    ("attn_logit_softcapping", Accept::Off),
    // Code of the checkpoint's own may compute anything.
    ("auto_map", Accept::Off),
    ("cross_attention_hidden_size", Accept::Off),
    ("final_logit_softcapping", Accept::Off),
    ("is_encoder_decoder", Accept::Off),
    ("layer_types", Accept::FullAttention),
    ("moe_intermediate_size", Accept::Off),
    ("num_experts", Accept::Off),
    ("num_experts_per_tok", Accept::Off),
    ("num_local_experts", Accept::Off),
    ("per_layer_config", Accept::Off),
    ("pruned_heads", Accept::Off),
    ("quantization_config", Accept::Off),
    ("sliding_window", Accept::Off),
    ("tie_encoder_decoder", Accept::Off),
    ("use_sliding_window", Accept::Off),
];

/// Keys of any config that change nothing in a forward pass: provenance, storage, training, generation, other heads.
pub(crate) const COMMON_IGNORED: &[&str] = &[
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_commit_hash",
    "_name_or_path",
    "_num_labels",
    "architectures",
    "attn_implementation",
    "bad_words_ids",
    "begin_suppress_tokens",
    "chunk_size_feed_forward",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "eos_token_id",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "id2label",
    "initializer_range",
    "is_decoder",
    "label2id",
    "length_penalty",
    "max_length",
    "min_length",
    "model_type",
    "name_or_path",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "prefix",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_last_hidden_states",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
];

pub(crate) const ACTIVATIONS: [(&str, Activation); 9] = [
    ("gelu_new", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("gelu_python_tanh", Activation::GeluTanh),
    // The same formula with a ten-digit constant, which f32 cannot tell apart.
    ("gelu_fast", Activation::GeluTanh),
    ("gelu", Activation::Gelu),
    ("gelu_python", Activation::Gelu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("relu", Activation::Relu),
];
