//! Reads a `config.json` with the table of its family.
//!
//! A feature that transformers reads but that is not implemented here is an error that names it.
//! A key that transformers does not read for the family has no effect; [`unread_keys`] returns those.

mod attention;
mod rotary;
mod values;

use std::path::Path;

use serde_json::{Map, Value};

use self::attention::Sizes;
use self::values::{agreed, excerpt, number, out_of_range, text, whole, wrong_type};
use crate::config::{
    Activation, Alibi, Bos, LearnedPositions, ModelConfig, NormGain, NormPlace, Residual,
};
use crate::error::ConfigError;
use crate::family::Family;
use crate::tables::keys::{
    ACTIVATIONS, COMMON_IGNORED, COMMON_REFUSED, Field, KeyLine, KeyTable, Presence, Refused,
};
use crate::tables::{EmbeddingScale, FamilyTable, Whole, left_out, table};

/// The largest number of blocks in a config.
const LAYERS_CAP: u64 = 1 << 12;
/// The largest residual width, and the largest total width of a block's heads.
const WIDTH_CAP: u64 = 1 << 20;
/// The largest number of neurons in an MLP.
const NEURONS_CAP: u64 = 1 << 22;
/// The largest vocabulary.
const VOCAB_CAP: u64 = 1 << 24;
/// The longest context, in tokens.
const CONTEXT_CAP: u64 = 1 << 28;

impl ModelConfig {
    /// Reads the object of a `config.json`; `path` is only for messages.
    ///
    /// Both spellings of the rotary keys are accepted: `rope_theta` with `rope_scaling`, and `rope_parameters`. If they give
    /// different bases, that of `rope_parameters` counts, as in transformers 5.
    /// Missing keys take the defaults of Hugging Face's config class, except sizes, which must be given.
    ///
    /// # Errors
    ///
    /// One of the first variants of [`ConfigError`], up to [`ConfigError::Disagreement`]: an unknown family, key or name, a
    /// missing key, a wrong type, a value out of range, or a feature that is on but not implemented.
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
        match &table(family).whole {
            None => Self::of_text(map, path, family),
            Some(whole) => of_part(map, path, family, whole),
        }
    }

    /// Reads the config of a text model with the table of a family.
    fn of_text(map: &Map<String, Value>, path: &Path, family: Family) -> Result<Self, ConfigError> {
        let table = table(family);
        let reader = Reader::new(map, path, family)?;

        let layers = reader.required_size(Field::Layers, LAYERS_CAP)?;
        let model = reader.required_size(Field::Model, WIDTH_CAP)?;
        let heads = reader.required_size(Field::Heads, WIDTH_CAP)?;
        let vocab = reader.required_size(Field::Vocab, VOCAB_CAP)?;
        let block = &table.block;
        let context = reader.context()?;
        reader.refuse_slices()?;
        let kv_heads = reader.kv_heads(heads)?;
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
        let embedding = reader
            .size(Field::EmbeddingWidth, WIDTH_CAP)?
            .filter(|width| *width != model);
        let is_alibi = reader.switch(Field::Alibi)?;
        let affine = reader.switch(Field::NormAffine)?.unwrap_or(true);
        let all_biases = reader.switch(Field::Bias)?;
        let attention_bias = reader.switch(Field::AttentionBias)?.or(all_biases);
        let norm_place = match reader.switch(Field::NormBefore)? {
            Some(false) => NormPlace::OfSum,
            Some(true) | None => block.norm_place,
        };
        let query_key_norm = match reader.switch(Field::QueryKeyNorm)? {
            Some(true) => block.query_key_norm,
            None if reader.key_of(Field::QueryKeyNorm).is_none() => block.query_key_norm,
            Some(false) | None => None,
        };
        let bos = match table.bos {
            None => Bos::Nothing,
            Some(default) => match reader.token(Field::Bos)? {
                None => Bos::Token(default),
                Some(None) => Bos::EndOfText,
                Some(Some(id)) => Bos::Token(id),
            },
        };
        let logit_scale = reader.multiplier(Field::LogitScale)?;
        let logit_divisor = reader.multiplier(Field::LogitDivisor)?;

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
            embedding,
            embedding_scale: match block.embedding_scale {
                EmbeddingScale::RootOfWidth => (model as f64).sqrt(),
                EmbeddingScale::One => reader.multiplier(Field::EmbeddingScale)?.unwrap_or(1.0),
            },
            embedding_norm: block.embedding_norm,
            learned_positions: block.learned_positions.map(LearnedPositions::after),
            norm: block.norm,
            norm_epsilon: reader.epsilon()?.unwrap_or(block.norm_epsilon),
            norm_gain: if affine {
                block.norm_gain
            } else {
                NormGain::None
            },
            norm_bias: affine && block.norm_bias,
            norm_place,
            final_norm: norm_place != NormPlace::OfSum,
            residual: reader.residual(block.residual)?,
            residual_scale: reader.multiplier(Field::ResidualScale)?.unwrap_or(1.0),
            attention: reader.attention(&Sizes {
                layers,
                head,
                context,
                rotates: is_alibi != Some(true),
            })?,
            query_key_norm,
            qkv_clip: reader.multiplier(Field::QkvClip)?,
            score_cap: reader.cap(Field::ScoreCap, block.score_cap)?,
            alibi: match is_alibi {
                Some(false) => None,
                Some(true) => Some(Alibi::UnscaledInBf16),
                None => block.alibi,
            },
            mlp: block.mlp,
            activation: reader.activation()?.unwrap_or(block.activation),
            qkv_bias: match reader.switch(Field::QkvBias)? {
                Some(bias) => bias,
                None => attention_bias.unwrap_or(block.qkv_bias),
            },
            attention_out_bias: attention_bias.unwrap_or(block.attention_out_bias),
            mlp_bias: match reader.switch(Field::MlpBias)? {
                Some(bias) => bias,
                None => all_biases.unwrap_or(block.mlp_bias),
            },
            unembedding_bias: block.unembedding_bias,
            tied: reader.switch(Field::Tied)?.unwrap_or(table.tied),
            logit_scale: match (logit_scale, logit_divisor) {
                (_, Some(divisor)) => 1.0 / divisor,
                (Some(scale), None) => scale,
                (None, None) => block.logit_scale,
            },
            logit_cap: reader.cap(Field::LogitCap, block.logit_cap)?,
            bos,
        })
    }
}

/// Reads the config of a larger model, of which `family` runs the text part.
fn of_part(
    map: &Map<String, Value>,
    path: &Path,
    family: Family,
    whole: &Whole,
) -> Result<ModelConfig, ConfigError> {
    let inside = |error| ConfigError::Inside {
        key: whole.key,
        error: Box::new(error),
    };
    refuse_switched_on(map, COMMON_REFUSED.iter(), path)?;
    let text_config = text_of(map, path, whole)?;
    if let Some(value) = text_config.get("model_type") {
        let name = text("model_type", value, path).map_err(inside)?;
        if name != whole.text {
            return Err(inside(ConfigError::UnknownName {
                path: path.into(),
                key: "model_type".into(),
                found: excerpt(value),
                supported: vec![whole.text],
            }));
        }
    }
    let config = ModelConfig::of_text(text_config, path, family).map_err(inside)?;
    // The outer key decides whether the head is tied.
    let outer = map.get(TIED).cloned().unwrap_or(whole.tied.into());
    let tied = outer
        .as_bool()
        .ok_or_else(|| wrong_type(TIED, "true or false", &outer, path))?;
    match text_config.get(TIED) {
        Some(inner) if config.tied != tied => Err(ConfigError::Disagreement {
            path: path.into(),
            key: TIED.into(),
            value: excerpt(&outer),
            other_key: format!("{}.{TIED}", whole.key),
            other_value: excerpt(inner),
        }),
        _ => Ok(config.with(|config| config.tied = tied)),
    }
}

/// In the config of a whole model: whether the unembedding is the embedding.
const TIED: &str = "tie_word_embeddings";

/// The config of the text part of a model.
fn text_of<'a>(
    map: &'a Map<String, Value>,
    path: &Path,
    whole: &Whole,
) -> Result<&'a Map<String, Value>, ConfigError> {
    let value = map.get(whole.key).ok_or_else(|| ConfigError::MissingKey {
        path: path.into(),
        key: whole.key.into(),
    })?;
    value
        .as_object()
        .ok_or_else(|| wrong_type(whole.key, "an object", value, path))
}

/// Refuses the keys of a config that ask for features that are not implemented.
fn refuse_switched_on<'a>(
    map: &Map<String, Value>,
    refused: impl Iterator<Item = &'a Refused> + Clone,
    path: &Path,
) -> Result<(), ConfigError> {
    for (key, value) in map {
        if let Some((_, accept, meaning)) = refused.clone().find(|(known, ..)| known == key)
            && !accept.accepts(value)
        {
            return Err(ConfigError::Unsupported {
                path: path.into(),
                key: key.clone(),
                meaning,
                expected: accept.expected(),
                found: excerpt(value),
            });
        }
    }
    Ok(())
}

/// The keys of a config that transformers does not read for its family, so that they cannot change the model's outputs.
///
/// # Errors
/// As [`ModelConfig::from_json`] for the family.
pub fn unread_keys(map: &Map<String, Value>, path: &Path) -> Result<Vec<String>, ConfigError> {
    let table = table(family_of(map, path)?);
    let Some(whole) = &table.whole else {
        return Ok(unread_under(&table.keys, map));
    };
    let is_known = |key: &str| {
        key == whole.key
            || key == TIED
            || whole.ignored.contains(&key)
            || COMMON_IGNORED.contains(&key)
            || COMMON_REFUSED.iter().any(|(known, ..)| *known == key)
    };
    let outer = map.keys().filter(|key| !is_known(key)).cloned();
    let inner = unread_under(&table.keys, text_of(map, path, whole)?);
    let inner = inner.iter().map(|key| format!("{}.{key}", whole.key));
    Ok(outer.chain(inner).collect())
}

/// The keys of a config that no column of a table has, and those whose setting is read elsewhere.
fn unread_under(keys: &KeyTable, map: &Map<String, Value>) -> Vec<String> {
    let is_known = |key: &str| {
        keys.lines().any(|(known, ..)| *known == key)
            || keys.refused.iter().any(|(known, ..)| *known == key)
            || keys.ignored.contains(&key)
            || COMMON_IGNORED.contains(&key)
            || COMMON_REFUSED.iter().any(|(known, ..)| *known == key)
    };
    let rotary = keys
        .lines()
        .filter(|(_, field, _)| matches!(field, Field::RotaryScaling | Field::RotaryParameters));
    let inner = rotary.flat_map(|(outer, ..)| {
        let object = map.get(*outer).and_then(Value::as_object);
        let members = object.into_iter().flatten().filter(|(key, value)| {
            !rotary::INNER_KEYS.contains(&key.as_str()) && !value.is_object()
        });
        members.map(move |(key, _)| format!("{outer}.{key}"))
    });
    let outer = map.keys().filter(|key| !is_known(key)).cloned();
    outer
        .chain(inner)
        .chain(rotary::overruled(keys, map))
        .collect()
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
            reason: left_out()
                .iter()
                .find_map(|(left_out, reason)| (*left_out == name).then_some(*reason)),
            supported: Family::all()
                .iter()
                .map(|family| family.model_type())
                .collect(),
        })
}

/// A config object with the table of its family; every key of the object is accounted for.
struct Reader<'a> {
    map: &'a Map<String, Value>,
    path: &'a Path,
    table: &'static FamilyTable,
}

impl<'a> Reader<'a> {
    /// Checks the set of keys, and that no feature that is not implemented is on.
    fn new(
        map: &'a Map<String, Value>,
        path: &'a Path,
        family: Family,
    ) -> Result<Self, ConfigError> {
        let table = table(family);
        let keys = &table.keys;
        let is_own = |key: &str| {
            keys.ignored.contains(&key) || keys.lines().any(|(known, ..)| *known == key)
        };
        let common = COMMON_REFUSED.iter().filter(|(key, ..)| !is_own(key));
        refuse_switched_on(map, keys.refused.iter().chain(common), path)?;
        for (key, field, presence) in table.keys.lines() {
            let is_there = |other: &KeyLine| other.1 == *field && map.contains_key(other.0);
            if *presence == Presence::Required && !table.keys.lines().any(is_there) {
                return Err(ConfigError::MissingKey {
                    path: path.into(),
                    key: key.to_string(),
                });
            }
        }
        Ok(Self { map, path, table })
    }

    /// The keys of `field` that have a value, with their values.
    fn values(&self, field: Field) -> impl Iterator<Item = (&'static str, &'a Value)> {
        self.table
            .keys
            .lines()
            .filter_map(move |(key, of, presence)| {
                let value = self.map.get(*key)?;
                let is_nullable = matches!(presence, Presence::Nullable | Presence::Or(_));
                (*of == field && !(is_nullable && value.is_null())).then_some((*key, value))
            })
    }

    /// The value on which all keys of `field` agree; `None` if there is none.
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

    /// A count from 1 to `cap`; a missing key gives its default, if it has one.
    fn size(&self, field: Field, cap: u64) -> Result<Option<usize>, ConfigError> {
        let given = self.value(field, |key, value| whole(key, value, cap, self.path))?;
        let is_absent = || {
            let mut keys = self.table.keys.lines().filter(|(_, of, _)| *of == field);
            keys.all(|(key, ..)| !self.map.contains_key(*key))
        };
        Ok(match (given, self.default(field)) {
            (None, Some(default)) if is_absent() => Some(default),
            (given, _) => given,
        })
    }

    /// The default size of a missing key.
    fn default(&self, field: Field) -> Option<usize> {
        self.table
            .keys
            .lines()
            .find_map(|(_, of, presence)| match presence {
                Presence::Or(size) if *of == field => usize::try_from(*size).ok(),
                _ => None,
            })
    }

    /// A number above 0 that is a factor, a divisor or a limit.
    fn multiplier(&self, field: Field) -> Result<Option<f64>, ConfigError> {
        self.value(field, |key, value| {
            number(
                key,
                value,
                "a number from 1e-9 to 1e9",
                self.path,
                |number| (1e-9..=1e9).contains(&number),
            )
        })
    }

    /// A soft cap: the default if the key is missing, none if it is null.
    fn cap(&self, field: Field, default: Option<f64>) -> Result<Option<f64>, ConfigError> {
        match self.key_of(field) {
            Some(key) if self.map.contains_key(key) => self.multiplier(field),
            _ => Ok(default),
        }
    }

    /// The longest context, in tokens.
    fn context(&self) -> Result<usize, ConfigError> {
        if self.table.block.alibi.is_some() {
            // Positions of ALiBi have no end, and transformers does not read the key: it can only raise the usual length.
            let usual = self.default(Field::Context).unwrap_or(1);
            return Ok(self
                .size(Field::Context, CONTEXT_CAP)?
                .unwrap_or(usual)
                .max(usual));
        }
        self.required_size(Field::Context, CONTEXT_CAP)
    }

    /// Refuses products in slices, for which transformers omits two biases.
    fn refuse_slices(&self) -> Result<(), ConfigError> {
        if self.switch(Field::Sliced)? != Some(true)
            || self
                .size(Field::Slices, WIDTH_CAP)?
                .is_none_or(|slices| slices == 1)
        {
            return Ok(());
        }
        let key = self.key(Field::Sliced);
        Err(ConfigError::Unsupported {
            path: self.path.into(),
            key: key.into(),
            meaning: "products in `pretraining_tp` slices, without their biases",
            expected: "false, or `pretraining_tp` to be 1",
            found: self.map.get(key).map(excerpt).unwrap_or_default(),
        })
    }

    /// The number of key and value heads.
    fn kv_heads(&self, heads: usize) -> Result<usize, ConfigError> {
        let given = self.size(Field::KvHeads, WIDTH_CAP)?;
        // Falcon's older form has one KV head for all heads, whatever the number says, or one for each.
        if self.key_of(Field::NewDecoder).is_some() && self.switch(Field::NewDecoder)? != Some(true)
        {
            return match self.switch(Field::MultiQuery)? {
                Some(true) | None => Ok(1),
                Some(false) if given.is_none_or(|given| given == heads) => Ok(heads),
                Some(false) => Err(self.excluded(Field::MultiQuery, Field::KvHeads)),
            };
        }
        Ok(given.unwrap_or(heads))
    }

    /// The structure of a block's residual connections.
    fn residual(&self, default: Residual) -> Result<Residual, ConfigError> {
        let new = self.switch(Field::NewDecoder)? == Some(true);
        let norms = self.size(Field::ParallelNorms, 2)?;
        let is_parallel = self.switch(Field::ParallelResidual)?;
        // transformers finds no norms for these forms of Falcon.
        if new && is_parallel == Some(false) {
            return Err(self.excluded(Field::NewDecoder, Field::ParallelResidual));
        }
        if !new && norms == Some(2) && is_parallel != Some(false) {
            return Err(self.excluded(Field::ParallelNorms, Field::NewDecoder));
        }
        Ok(match is_parallel {
            Some(false) => Residual::Sequential,
            _ if new && norms != Some(1) => Residual::ParallelTwoNorms,
            Some(true) if default == Residual::Sequential => Residual::ParallelOneNorm,
            Some(true) | None => default,
        })
    }

    /// The error for two keys whose values, given or by default, exclude each other.
    fn excluded(&self, one: Field, other: Field) -> ConfigError {
        let said = |field| {
            let key = self.key(field);
            let default = || match field {
                Field::Window => "null (its default)".to_owned(),
                _ => "false (its default)".to_owned(),
            };
            let value = self.map.get(key).map_or_else(default, excerpt);
            (key.to_owned(), value)
        };
        let ((key, value), (other_key, other_value)) = (said(one), said(other));
        ConfigError::Disagreement {
            path: self.path.into(),
            key,
            value,
            other_key,
            other_value,
        }
    }

    /// As [`Reader::size`], of a field that every table requires.
    fn required_size(&self, field: Field, cap: u64) -> Result<usize, ConfigError> {
        let missing = || ConfigError::MissingKey {
            path: self.path.into(),
            key: self.key(field).into(),
        };
        self.size(field, cap)?.ok_or_else(missing)
    }

    /// Refuses a `multiple` that `divisor` does not divide.
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

    /// The BOS id: `None` without the key, `Some(None)` for null and for -1, which some programs write for none.
    fn token(&self, field: Field) -> Result<Option<Option<u32>>, ConfigError> {
        self.value(field, |key, value| {
            if value.is_null() || value.as_i64() == Some(-1) {
                return Ok(None);
            }
            let expected = "a token id, -1 or null";
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
        let tanh = self.named_activation(Field::TanhActivation)?;
        let tanh = tanh.map(|activation| match activation {
            Activation::Gelu => Activation::GeluTanh,
            other => other,
        });
        Ok(self.named_activation(Field::Activation)?.or(tanh))
    }

    fn named_activation(&self, field: Field) -> Result<Option<Activation>, ConfigError> {
        self.value(field, |key, value| {
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
        self.key_of(field).unwrap_or("(no key of this family)")
    }

    /// The family's first key for `field`.
    fn key_of(&self, field: Field) -> Option<&'static str> {
        let mut lines = self.table.keys.lines();
        lines.find(|(_, of, _)| *of == field).map(|(key, ..)| *key)
    }
}
