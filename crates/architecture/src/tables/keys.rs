//! Config keys and their settings.

use serde_json::Value;

use crate::config::Activation;

/// The keys of one family's config, in three columns. transformers does not read any other key for the family, except the common
/// ones; such a key is reported and has no effect.
pub(crate) struct KeyTable {
    /// Keys that set something. A field with two keys has two spellings, which must agree.
    pub(crate) read: &'static [&'static [KeyLine]],
    /// Keys that leave the block equation unchanged only at one value.
    pub(crate) refused: &'static [Refused],
    /// Keys without effect on a forward pass.
    pub(crate) ignored: &'static [&'static str],
}

impl KeyTable {
    /// All lines of the keys that set something.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &'static KeyLine> + use<> {
        self.read.iter().copied().flatten()
    }
}

/// A key, its setting, and whether it is required.
pub(crate) type KeyLine = (&'static str, Field, Presence);

/// The setting of a key.
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
    /// The nonlinearity, for families in which `gelu` means the tanh approximation.
    TanhActivation,
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
    /// The base of windowed blocks, if it differs.
    LocalTheta,
    /// The number of rotated dimensions.
    RotaryDims,
    /// The width of which a fraction is rotated, if it is not that of a head.
    RotaryWidth,
    /// The context before a stretch, outside the rotary objects.
    OriginalContext,
    /// Biases of queries, keys and values.
    QkvBias,
    /// All biases of a block.
    Bias,
    /// Whether queries and keys are normed.
    QueryKeyNorm,
    QkvClip,
    /// The factor of the scores.
    AttentionScale,
    /// Scores are divided by its square root.
    QueryScalar,
    /// Whether scores are divided by √head at all.
    ScaleScores,
    /// Whether scores are also divided by the number of the block, from 1.
    ScaleByLayer,
    ScoreCap,
    LogitCap,
    LogitScale,
    LogitDivisor,
    EmbeddingScale,
    ResidualScale,
    EmbeddingWidth,
    NormBefore,
    /// Whether the norms have gains and biases.
    NormAffine,
    Window,
    UseWindow,
    /// The first windowed block.
    WindowFrom,
    /// Every n-th block has no window.
    WindowPattern,
    LayerTypes,
    /// Runs of kinds of attention: `[[[kind, …], times], …]`.
    AttentionTypes,
    /// For each block, 1 if it rotates.
    RotaryLayers,
    /// Every n-th block does not rotate.
    NoRotaryInterval,
    Alibi,
    MultiQuery,
    NewDecoder,
    ParallelNorms,
    /// Whether products are summed over slices, without their biases, if there are several.
    Sliced,
    /// The number of these slices.
    Slices,
}

/// Whether a key is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// The key is required, with a value other than null.
    Required,
    /// The key may be absent.
    Optional,
    /// The key may be absent or null.
    Nullable,
    /// The key may be absent, which means this size, or null.
    Or(u64),
}

/// The values of a key that leave the block equation unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accept {
    /// Null, false, zero, or an empty object or list.
    Off,
    /// True.
    On,
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
            _ => false,
        }
    }

    pub(crate) fn expected(self) -> &'static str {
        match self {
            Self::Off => "it to be absent, null, false, 0 or empty",
            Self::On => "true",
        }
    }
}

/// A key, the values that leave the block equation unchanged, and the feature that any other value asks for.
pub(crate) type Refused = (&'static str, Accept, &'static str);

/// Features that any config may switch on and that no family here supports.
pub(crate) const COMMON_REFUSED: &[Refused] = &[
    (
        "attention_chunk_size",
        Accept::Off,
        "attention within chunks of the text",
    ),
    (
        "auto_map",
        Accept::Off,
        "the checkpoint's own code, which may compute anything",
    ),
    ("is_causal", Accept::On, "attention to later tokens"),
    ("per_layer_config", Accept::Off, "a config for each block"),
    // The name that MLX uses.
    ("quantization", Accept::Off, "weights in a quantised form"),
    (
        "quantization_config",
        Accept::Off,
        "weights in a quantised form",
    ),
];

/// Keys of any config without effect on a forward pass: provenance, storage, training, generation, other heads.
pub(crate) const COMMON_IGNORED: &[&str] = &[
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_commit_hash",
    "_is_quantized",
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
    // The same formula with a ten-digit constant, which f32 cannot distinguish.
    ("gelu_fast", Activation::GeluTanh),
    ("gelu", Activation::Gelu),
    ("gelu_python", Activation::Gelu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("relu", Activation::Relu),
];
