//! Reads a `config.json` under the table of its family.
//!
//! The reading is fail-closed: a key that no table knows, or a feature that is switched on and not implemented, is an
//! error that names it.

mod rotary;

use std::path::Path;

use serde_json::{Map, Value};

use crate::config::{Activation, Bos, ModelConfig, Position, Residual};
use crate::error::ConfigError;
use crate::family::Family;
use crate::tables::keys::{ACTIVATIONS, COMMON_IGNORED, COMMON_REFUSED, Field, Presence};
use crate::tables::{FamilyTable, table};

/// The most blocks a config may declare.
const LAYERS_CAP: u64 = 1 << 12;
/// The largest width: of the residual stream, and of all heads of a block together.
const WIDTH_CAP: u64 = 1 << 20;
/// The most neurons of one MLP.
const NEURONS_CAP: u64 = 1 << 22;
/// The largest vocabulary.
const VOCAB_CAP: u64 = 1 << 24;
/// The longest context, in tokens.
const CONTEXT_CAP: u64 = 1 << 28;

impl ModelConfig {
    /// Reads the object of a `config.json`; `path` is only for the messages.
    ///
    /// Both spellings of the rotary keys load: `rope_theta` with `rope_scaling`, and `rope_parameters`.
    /// Keys that are absent take the defaults of Hugging Face's config class, except sizes, which must be given.
    ///
    /// # Errors
    ///
    /// One of the first variants of [`ConfigError`], up to [`ConfigError::Disagreement`]: an unknown family, key or
    /// name, a missing key, a wrong type, a value out of range, or a feature that is on and not implemented.
    ///
    /// ```
    /// # use layerwise_architecture::{ConfigError, ModelConfig};
    /// # use std::path::Path;
    /// let json = serde_json::json!({
    ///     "model_type": "gpt2", "n_layer": 12, "n_embd": 768, "n_head": 12,
    ///     "n_positions": 1024, "vocab_size": 50257,
    /// });
    /// let config = ModelConfig::from_json(json.as_object().expect("an object"), Path::new("config.json"))?;
    /// assert_eq!((config.layers, config.head, config.neurons), (12, 64, 3072));
    /// # Ok::<(), ConfigError>(())
    /// ```
    pub fn from_json(map: &Map<String, Value>, path: &Path) -> Result<Self, ConfigError> {
        let family = family_of(map, path)?;
        let table = table(family);
        let reader = Reader::new(map, path, family)?;

        let layers = reader.required_size(Field::Layers, LAYERS_CAP)?;
        let model = reader.required_size(Field::Model, WIDTH_CAP)?;
        let heads = reader.required_size(Field::Heads, WIDTH_CAP)?;
        let vocab = reader.required_size(Field::Vocab, VOCAB_CAP)?;
        let context = reader.required_size(Field::Context, CONTEXT_CAP)?;
        let kv_heads = reader.size(Field::KvHeads, WIDTH_CAP)?.unwrap_or(heads);
        reader.divides((Field::Heads, heads), (Field::KvHeads, kv_heads))?;
        let head = match reader.size(Field::Head, WIDTH_CAP / heads as u64)? {
            Some(head) => head,
            None => {
                reader.divides((Field::Model, model), (Field::Heads, heads))?;
                model / heads
            }
        };
        let neurons = reader
            .size(Field::Neurons, NEURONS_CAP)?
            .unwrap_or(4 * model);
        let position = match &table.rotary {
            None => Position::Learned,
            Some(defaults) => Position::Rotary(reader.rotary(defaults, head)?),
        };
        let block = &table.block;
        let residual = match reader.switch(Field::ParallelResidual)? {
            Some(false) => Residual::Sequential,
            Some(true) | None => block.residual,
        };
        let attention_bias = reader.switch(Field::AttentionBias)?;
        let bos = match table.bos {
            None => Bos::Nothing,
            Some(default) => match reader.token(Field::Bos)? {
                None => Bos::Token(default),
                Some(None) => Bos::EndOfText,
                Some(Some(id)) => Bos::Token(id),
            },
        };

        Ok(Self {
            family,
            layers,
            model,
            heads,
            kv_heads,
            head,
            neurons,
            vocab,
            context,
            norm: block.norm,
            norm_epsilon: reader.epsilon()?.unwrap_or(block.norm_epsilon),
            residual,
            position,
            mlp: block.mlp,
            activation: reader.activation()?.unwrap_or(block.activation),
            qkv_bias: attention_bias.unwrap_or(block.qkv_bias),
            attention_out_bias: attention_bias.unwrap_or(block.attention_out_bias),
            mlp_bias: reader.switch(Field::MlpBias)?.unwrap_or(block.mlp_bias),
            unembedding_bias: block.unembedding_bias,
            tied: reader.switch(Field::Tied)?.unwrap_or(table.tied),
            bos,
        })
    }
}

/// The family that the config's `model_type` names.
fn family_of(map: &Map<String, Value>, path: &Path) -> Result<Family, ConfigError> {
    let value = map
        .get("model_type")
        .ok_or_else(|| ConfigError::MissingKey {
            path: path.into(),
            key: "model_type".into(),
        })?;
    let name = text("model_type", value, path)?;
    Family::all()
        .iter()
        .copied()
        .find(|family| family.model_type() == name)
        .ok_or_else(|| ConfigError::UnknownFamily {
            path: path.into(),
            found: excerpt(value),
            supported: Family::all()
                .iter()
                .map(|family| family.model_type())
                .collect(),
        })
}

/// One config object under the table of its family, with every key of the object accounted for.
struct Reader<'a> {
    map: &'a Map<String, Value>,
    path: &'a Path,
    family: Family,
    table: &'static FamilyTable,
}

impl<'a> Reader<'a> {
    /// Checks the set of keys, and that nothing unimplemented is on.
    fn new(
        map: &'a Map<String, Value>,
        path: &'a Path,
        family: Family,
    ) -> Result<Self, ConfigError> {
        let table = table(family);
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
                crate::tables::table(*other)
                    .keys
                    .read
                    .iter()
                    .any(|(known, ..)| known == key)
            };
            if let Some(other) = Family::all().iter().copied().find(reads) {
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
    fn values(&self, field: Field) -> impl Iterator<Item = (&'static str, &'a Value)> {
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
    fn size(&self, field: Field, cap: u64) -> Result<Option<usize>, ConfigError> {
        self.value(field, |key, value| whole(key, value, cap, self.path))
    }

    /// As [`Reader::size`], of a field that every table requires.
    fn required_size(&self, field: Field, cap: u64) -> Result<usize, ConfigError> {
        let missing = || ConfigError::MissingKey {
            path: self.path.into(),
            key: self.key(field).into(),
        };
        self.size(field, cap)?.ok_or_else(missing)
    }

    /// Refuses a `multiple` that is none of `divisor`.
    fn divides(
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
    fn switch(&self, field: Field) -> Result<Option<bool>, ConfigError> {
        self.value(field, |key, value| {
            value
                .as_bool()
                .ok_or_else(|| wrong_type(key, "true or false", value, self.path))
        })
    }

    /// The BOS id: `None` without the key, `Some(None)` for null.
    fn token(&self, field: Field) -> Result<Option<Option<u32>>, ConfigError> {
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
    fn epsilon(&self) -> Result<Option<f64>, ConfigError> {
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
    fn activation(&self) -> Result<Option<Activation>, ConfigError> {
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
    fn key(&self, field: Field) -> &'static str {
        let first = self.table.keys.read.iter().find(|(_, of, _)| *of == field);
        first.map_or("(no key of this family)", |(key, ..)| *key)
    }
}

/// The one value that all `spellings` parse to, or `None` where there are none.
fn agreed<'a, T: PartialEq>(
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
fn whole(key: &str, value: &Value, cap: u64, path: &Path) -> Result<usize, ConfigError> {
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
fn number(
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
fn text<'a>(key: &str, value: &'a Value, path: &Path) -> Result<&'a str, ConfigError> {
    value
        .as_str()
        .ok_or_else(|| wrong_type(key, "a string", value, path))
}

fn wrong_type(key: &str, expected: &str, found: &Value, path: &Path) -> ConfigError {
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
fn excerpt(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
