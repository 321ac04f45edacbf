//! Config keys: what each one sets, and how it is read.

use std::path::Path;

use serde_json::{Map, Value};

use super::FamilyTable;
use crate::config::{Activation, ConfigError, Family};

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
    fn accepts(self, value: &Value) -> bool {
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

    fn expected(self) -> &'static str {
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

const ACTIVATIONS: [(&str, Activation); 9] = [
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

/// One config object under the table of its family, with every key of the object accounted for.
pub(crate) struct Reader<'a> {
    map: &'a Map<String, Value>,
    pub(super) path: &'a Path,
    pub(super) family: Family,
    table: &'static FamilyTable,
}

impl<'a> Reader<'a> {
    /// Checks the set of keys, and that nothing unimplemented is on.
    pub(crate) fn new(
        map: &'a Map<String, Value>,
        path: &'a Path,
        family: Family,
    ) -> Result<Self, ConfigError> {
        let table = family.table();
        let mut unknown = Vec::new();
        for (key, value) in map {
            let keys = &table.keys;
            let is_key = |known: &&str| known == key;
            if keys.read.iter().any(|(known, ..)| is_key(known)) || keys.ignored.iter().any(is_key)
            {
                continue;
            }
            let mut refused = keys.refused.iter().chain(COMMON_REFUSED);
            if let Some((_, accept)) = refused.find(|(known, _)| is_key(known)) {
                if !accept.accepts(value) {
                    return Err(ConfigError::Unsupported {
                        path: path.into(),
                        key: key.clone(),
                        expected: accept.expected(),
                        found: excerpt(value),
                    });
                }
            } else if !COMMON_IGNORED.iter().any(is_key) {
                unknown.push(key);
            }
        }
        for key in &unknown {
            let reads = |other: &Family| {
                other
                    .table()
                    .keys
                    .read
                    .iter()
                    .any(|(known, ..)| known == key)
            };
            if let Some(other) = Family::ALL.into_iter().find(reads) {
                return Err(ConfigError::MixedFamilies {
                    path: path.into(),
                    family,
                    key: key.to_string(),
                    other,
                });
            }
        }
        if !unknown.is_empty() {
            let keys = unknown.into_iter().map(|key| format!("{key:?}")).collect();
            return Err(ConfigError::UnknownKeys {
                path: path.into(),
                family,
                keys,
            });
        }
        for (key, _, presence) in table.keys.read {
            if *presence == Presence::Required && !map.contains_key(*key) {
                return Err(ConfigError::MissingKey {
                    path: path.into(),
                    key: key.to_string(),
                });
            }
        }
        Ok(Self {
            map,
            path,
            family,
            table,
        })
    }

    /// The keys of `field` that hold something, with their values.
    pub(super) fn values(&self, field: Field) -> impl Iterator<Item = (&'static str, &'a Value)> {
        self.table
            .keys
            .read
            .iter()
            .filter_map(move |(key, of, presence)| {
                let value = self.map.get(*key)?;
                (*of == field && !(*presence == Presence::Nullable && value.is_null()))
                    .then_some((*key, value))
            })
    }

    /// The one value that all keys of `field` hold, or `None` where there is none.
    fn value<T: PartialEq>(
        &self,
        field: Field,
        parse: impl Fn(&str, &'a Value) -> Result<T, ConfigError>,
    ) -> Result<Option<T>, ConfigError> {
        let spellings = self
            .values(field)
            .map(|(key, value)| (key.to_owned(), value));
        agreed(spellings, self.path, parse)
    }

    /// A count from 1 to `cap`.
    pub(crate) fn size(&self, field: Field, cap: u64) -> Result<Option<usize>, ConfigError> {
        self.value(field, |key, value| whole(key, value, cap, self.path))
    }

    /// As [`Reader::size`], of a field that every table requires.
    pub(crate) fn required_size(&self, field: Field, cap: u64) -> Result<usize, ConfigError> {
        let missing = || ConfigError::MissingKey {
            path: self.path.into(),
            key: self.key(field).into(),
        };
        self.size(field, cap)?.ok_or_else(missing)
    }

    /// Refuses a `multiple` that is none of `divisor`.
    pub(crate) fn divides(
        &self,
        multiple: (Field, usize),
        divisor: (Field, usize),
    ) -> Result<(), ConfigError> {
        if multiple.1.is_multiple_of(divisor.1) {
            return Ok(());
        }
        Err(ConfigError::Indivisible {
            path: self.path.into(),
            key: self.key(multiple.0).into(),
            value: multiple.1,
            divisor_key: self.key(divisor.0).into(),
            divisor: divisor.1,
        })
    }

    /// A boolean.
    pub(crate) fn switch(&self, field: Field) -> Result<Option<bool>, ConfigError> {
        self.value(field, |key, value| {
            value
                .as_bool()
                .ok_or_else(|| wrong_type(key, "true or false", value, self.path))
        })
    }

    /// The BOS id: `None` without the key, `Some(None)` for null.
    pub(crate) fn token(&self, field: Field) -> Result<Option<Option<u32>>, ConfigError> {
        self.value(field, |key, value| {
            if value.is_null() {
                return Ok(None);
            }
            let expected = "a token id or null";
            match value {
                Value::Number(number)
                    if number.as_i64().is_some_and(|id| id < 0) || number.as_u64().is_some() =>
                {
                    let id = number.as_u64().and_then(|id| u32::try_from(id).ok());
                    id.map(Some)
                        .ok_or_else(|| out_of_range(key, expected, value, self.path))
                }
                _ => Err(wrong_type(key, expected, value, self.path)),
            }
        })
    }

    /// The epsilon of the norms.
    pub(crate) fn epsilon(&self) -> Result<Option<f64>, ConfigError> {
        self.value(Field::Epsilon, |key, value| {
            number(
                key,
                value,
                "a number from 1e-30 to below 1",
                self.path,
                |epsilon| (1e-30..1.0).contains(&epsilon),
            )
        })
    }

    /// The nonlinearity of the MLP.
    pub(crate) fn activation(&self) -> Result<Option<Activation>, ConfigError> {
        self.value(Field::Activation, |key, value| {
            let name = text(key, value, self.path)?;
            let named = ACTIVATIONS.iter().find(|(known, _)| *known == name);
            named
                .map(|(_, activation)| *activation)
                .ok_or_else(|| ConfigError::UnknownName {
                    path: self.path.into(),
                    key: key.into(),
                    found: excerpt(value),
                    supported: ACTIVATIONS.map(|(known, _)| known).to_vec(),
                })
        })
    }

    /// The family's first key for `field`, for messages.
    pub(super) fn key(&self, field: Field) -> &'static str {
        let first = self.table.keys.read.iter().find(|(_, of, _)| *of == field);
        first.map_or("(no key of this family)", |(key, ..)| *key)
    }
}

/// The one value that all `spellings` parse to, or `None` where there are none.
pub(super) fn agreed<'a, T: PartialEq>(
    spellings: impl IntoIterator<Item = (String, &'a Value)>,
    path: &Path,
    parse: impl Fn(&str, &'a Value) -> Result<T, ConfigError>,
) -> Result<Option<T>, ConfigError> {
    let mut first: Option<(T, String, &Value)> = None;
    for (key, value) in spellings {
        let parsed = parse(&key, value)?;
        match &first {
            None => first = Some((parsed, key, value)),
            Some((agreed, ..)) if *agreed == parsed => {}
            Some((_, first_key, first_value)) => {
                return Err(ConfigError::Disagreement {
                    path: path.into(),
                    key: first_key.clone(),
                    value: excerpt(first_value),
                    other_key: key,
                    other_value: excerpt(value),
                });
            }
        }
    }
    Ok(first.map(|(value, ..)| value))
}

/// A whole number from 1 to `cap`.
pub(super) fn whole(key: &str, value: &Value, cap: u64, path: &Path) -> Result<usize, ConfigError> {
    let expected = format!("a whole number from 1 to {cap}");
    let Value::Number(number) = value else {
        return Err(wrong_type(key, &expected, value, path));
    };
    // Integers beyond 64 bits arrive as floats.
    let is_whole = number.is_u64()
        || number.is_i64()
        || number
            .as_f64()
            .is_some_and(|float| float.abs() >= 2f64.powi(63));
    if !is_whole {
        return Err(wrong_type(key, &expected, value, path));
    }
    let in_range = number.as_u64().filter(|count| (1..=cap).contains(count));
    in_range
        .and_then(|count| usize::try_from(count).ok())
        .ok_or_else(|| out_of_range(key, &expected, value, path))
}

/// A finite number that `accepts` takes.
pub(super) fn number(
    key: &str,
    value: &Value,
    expected: &str,
    path: &Path,
    accepts: impl Fn(f64) -> bool,
) -> Result<f64, ConfigError> {
    let number = value
        .as_f64()
        .ok_or_else(|| wrong_type(key, expected, value, path))?;
    if number.is_finite() && accepts(number) {
        Ok(number)
    } else {
        Err(out_of_range(key, expected, value, path))
    }
}

/// A JSON string.
pub(super) fn text<'a>(key: &str, value: &'a Value, path: &Path) -> Result<&'a str, ConfigError> {
    value
        .as_str()
        .ok_or_else(|| wrong_type(key, "a string", value, path))
}

pub(super) fn wrong_type(key: &str, expected: &str, found: &Value, path: &Path) -> ConfigError {
    ConfigError::WrongType {
        path: path.into(),
        key: key.into(),
        expected: expected.into(),
        found: excerpt(found),
    }
}

fn out_of_range(key: &str, expected: &str, found: &Value, path: &Path) -> ConfigError {
    ConfigError::OutOfRange {
        path: path.into(),
        key: key.into(),
        expected: expected.into(),
        found: excerpt(found),
    }
}

/// The JSON text of a value, cut to a length that a message can hold.
pub(super) fn excerpt(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
