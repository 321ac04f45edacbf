//! The rotary keys, in both spellings.
//!
//! Older configs write `rope_theta`, a fraction and `rope_scaling` side by side. Newer ones write one object, `rope_parameters`,
//! which may contain one object for each kind of block. As in transformers, a setting inside an object counts, and a key of that
//! setting next to the object is not read; the exception is the context before a stretch, for which the key next to the object
//! counts. If both objects are present, each alone must give the same rotation, because transformers 5 uses the older one and
//! version 4 does too.

use serde_json::{Map, Value};

use super::attention::Sizes;
use super::{CONTEXT_CAP, Reader, WIDTH_CAP, agreed, excerpt, number, text, whole, wrong_type};
use crate::error::ConfigError;
use crate::rotary::{RopeScaling, Rotary};
use crate::tables::RotaryDefaults;
use crate::tables::keys::{Field, KeyTable, Presence};

/// The keys of a rotary object that transformers reads.
pub(super) const INNER_KEYS: [&str; 17] = [
    "rope_type",
    "type",
    "rope_theta",
    "partial_rotary_factor",
    "factor",
    "original_max_position_embeddings",
    "attention_factor",
    "beta_fast",
    "beta_slow",
    "mscale",
    "mscale_all_dim",
    "truncate",
    "short_factor",
    "long_factor",
    "low_freq_factor",
    "high_freq_factor",
    "mrope_section",
];

/// The objects inside a `rope_parameters` that has one for each kind of block.
const FULL: &str = "full_attention";
const SLIDING: &str = "sliding_attention";

/// The key of transformers 5 that names a scaling, and its older name.
const KIND: [&str; 2] = ["rope_type", "type"];

/// A rotary object: its key, for messages, and its members.
struct RotaryObject {
    key: String,
    members: Map<String, Value>,
}

/// The rotary settings that have no effect, because another place that takes precedence gives another value.
pub(super) fn overruled(keys: &KeyTable, map: &Map<String, Value>) -> Vec<String> {
    let is_object = |field| matches!(field, Field::RotaryScaling | Field::RotaryParameters);
    let outer = keys
        .lines()
        .filter(|(_, field, _)| is_object(*field))
        .filter_map(|(key, ..)| Some((*key, map.get(*key)?.as_object()?)));
    let outer: Vec<(&str, &Map<String, Value>)> = outer.collect();
    let is_overruled = |key: &str, kind: &str, inner: &str| {
        let said = |(_, object): &(&str, &Map<String, Value>)| match object.get(kind) {
            Some(nested) => nested.get(inner).and_then(Value::as_f64),
            None if kind == FULL => object.get(inner).and_then(Value::as_f64),
            None => None,
        };
        let beside = map.get(key).and_then(Value::as_f64);
        beside.is_some()
            && outer
                .iter()
                .filter_map(said)
                .any(|said| Some(said) != beside)
    };
    let beside = keys.lines().filter(|(key, field, _)| match field {
        Field::RotaryTheta => is_overruled(key, FULL, "rope_theta"),
        Field::LocalTheta => is_overruled(key, SLIDING, "rope_theta"),
        Field::RotaryFraction => is_overruled(key, FULL, "partial_rotary_factor"),
        _ => false,
    });
    let beside = beside.map(|(key, ..)| (*key).to_owned());
    let mut contexts = keys
        .lines()
        .filter(|(_, field, _)| *field == Field::OriginalContext);
    let inside = contexts.next().into_iter().flat_map(|(key, _, presence)| {
        let counts = map.get(*key).and_then(Value::as_f64).or(match presence {
            Presence::Or(size) => Some(*size as f64),
            _ => None,
        });
        let said = outer.iter().filter(move |(_, object)| {
            let inside = object.get(*key).and_then(Value::as_f64);
            inside.is_some() && counts.is_some() && inside != counts
        });
        said.map(move |(outer, _)| format!("{outer}.{key}"))
    });
    let [newer, older] = KIND;
    let unread_names = outer.iter().filter(|(_, object)| {
        let name = object.get(newer);
        name.is_some() && object.get(older).is_some_and(|old| Some(old) != name)
    });
    let unread_names = unread_names.map(|(key, _)| format!("{key}.{older}"));
    beside.chain(inside).chain(unread_names).collect()
}

impl<'a> Reader<'a> {
    /// The rotation of blocks without a window; none if no dimension rotates.
    pub(super) fn rotary(
        &self,
        defaults: &RotaryDefaults,
        sizes: &Sizes,
    ) -> Result<Option<Rotary>, ConfigError> {
        let kind = defaults.local_theta.map(|_| FULL);
        let objects = self.rotary_objects(kind)?;
        let theta = (Field::RotaryTheta, defaults.theta);
        self.agreed_rotation(&objects, theta, defaults, sizes)
    }

    /// The rotation of blocks with a window, if it has its own base.
    pub(super) fn local_rotary(
        &self,
        defaults: &RotaryDefaults,
        theta: f64,
        sizes: &Sizes,
    ) -> Result<Option<Rotary>, ConfigError> {
        let objects = self.rotary_objects(Some(SLIDING))?;
        self.agreed_rotation(&objects, (Field::LocalTheta, theta), defaults, sizes)
    }

    /// The objects with rotary settings, the older spelling first, each as if it were alone; for a family that rotates two kinds
    /// of blocks differently, those of `kind`.
    fn rotary_objects(&self, kind: Option<&str>) -> Result<Vec<RotaryObject>, ConfigError> {
        let mut objects = Vec::new();
        for field in [Field::RotaryParameters, Field::RotaryScaling] {
            for (key, value) in self.values(field) {
                let object = value
                    .as_object()
                    .ok_or_else(|| wrong_type(key, "an object", value, self.path))?;
                if object.is_empty() {
                    continue;
                }
                let of_kind = |kind: &str| -> Result<Option<RotaryObject>, ConfigError> {
                    let Some(inner) = object.get(kind).filter(|inner| !inner.is_null()) else {
                        return Ok(None);
                    };
                    let key = format!("{key}.{kind}");
                    let members = inner
                        .as_object()
                        .ok_or_else(|| wrong_type(&key, "an object", inner, self.path))?;
                    let mut members = members.clone();
                    // transformers looks for it outside the objects of the kinds.
                    members.remove("truncate");
                    Ok(Some(RotaryObject { key, members }))
                };
                let inner = [of_kind(FULL)?, of_kind(SLIDING)?];
                let is_split = object.contains_key(FULL) || object.contains_key(SLIDING);
                let unsupported = |meaning, expected| ConfigError::Unsupported {
                    path: self.path.into(),
                    key: key.into(),
                    meaning,
                    expected,
                    found: excerpt(value),
                };
                match (kind, field) {
                    (None, _) if is_split => {
                        return Err(unsupported(
                            "a separate rotation for each kind of block",
                            "one object for all blocks",
                        ));
                    }
                    (None, _) => objects.push(RotaryObject {
                        key: key.to_owned(),
                        members: object.clone(),
                    }),
                    (Some(_), Field::RotaryParameters) if !is_split => {
                        return Err(unsupported(
                            "one rotation for all blocks",
                            "an object for each of full_attention and sliding_attention",
                        ));
                    }
                    (Some(kind), Field::RotaryParameters) => {
                        objects.extend(
                            inner
                                .into_iter()
                                .flatten()
                                .filter(|inner| inner.key.ends_with(kind)),
                        );
                    }
                    (Some(FULL), _) => {
                        // It overrides the object of these blocks, which names its scaling by the newer name.
                        if let [newer, older] = KIND
                            && let (None, Some(name)) = (object.get(newer), object.get(older))
                        {
                            return Err(ConfigError::Unsupported {
                                path: self.path.into(),
                                key: format!("{key}.{older}"),
                                meaning: "a scaling by a name that this family does not read",
                                expected: "its name as rope_type",
                                found: excerpt(name),
                            });
                        }
                        let mut members = match objects.first() {
                            Some(RotaryObject { members, .. }) => members.clone(),
                            None => Map::new(),
                        };
                        members.extend(object.clone());
                        objects.push(RotaryObject {
                            key: key.to_owned(),
                            members,
                        });
                    }
                    (Some(_), _) => {}
                }
            }
        }
        objects.reverse();
        Ok(objects)
    }

    /// The name of an object's scaling, if it has one. As in transformers, an older name beside a newer one is not read.
    fn kind(
        &self,
        object: &RotaryObject,
        defaults: &RotaryDefaults,
    ) -> Result<Option<&'static str>, ConfigError> {
        let named = KIND
            .into_iter()
            .find_map(|key| Some((key, object.members.get(key)?)));
        let Some((key, value)) = named else {
            return Ok(None);
        };
        let key = format!("{}.{key}", object.key);
        let name = text(&key, value, self.path)?;
        let known = defaults.scalings.iter().find(|known| **known == name);
        match known {
            Some(known) => Ok(Some(*known)),
            None => Err(ConfigError::UnknownName {
                path: self.path.into(),
                key,
                found: excerpt(value),
                supported: defaults.scalings.to_vec(),
            }),
        }
    }

    /// The rotation on which all objects agree, or the one without any object.
    fn agreed_rotation(
        &self,
        objects: &[RotaryObject],
        theta: (Field, f64),
        defaults: &RotaryDefaults,
        sizes: &Sizes,
    ) -> Result<Option<Rotary>, ConfigError> {
        let rotations = objects
            .iter()
            .map(|object| self.rotation(Some(object), theta, defaults, sizes));
        let mut rotations = rotations
            .collect::<Result<Vec<Option<Rotary>>, _>>()?
            .into_iter();
        let Some(rotation) = rotations.next() else {
            return self.rotation(None, theta, defaults, sizes);
        };
        match (rotations.all(|other| other == rotation), objects) {
            (false, [one, other, ..]) => Err(self.disagreement(one, other)),
            _ => Ok(rotation),
        }
    }

    /// The error for two objects with different rotations; it names the differing member if both have one.
    fn disagreement(&self, one: &RotaryObject, other: &RotaryObject) -> ConfigError {
        let differing = one.members.iter().find_map(|(key, value)| {
            let other = other.members.get(key)?;
            let is_equal = match (value.as_f64(), other.as_f64()) {
                (Some(value), Some(other)) => value == other,
                _ => value == other,
            };
            (!is_equal).then(|| (format!(".{key}"), value.clone(), other.clone()))
        });
        let whole = |object: &RotaryObject| Value::Object(object.members.clone());
        let (member, value, other_value) =
            differing.unwrap_or_else(|| (String::new(), whole(one), whole(other)));
        ConfigError::Disagreement {
            path: self.path.into(),
            key: format!("{}{member}", one.key),
            value: excerpt(&value),
            other_key: format!("{}{member}", other.key),
            other_value: excerpt(&other_value),
        }
    }

    fn rotation(
        &self,
        object: Option<&RotaryObject>,
        (theta_field, theta): (Field, f64),
        defaults: &RotaryDefaults,
        sizes: &Sizes,
    ) -> Result<Option<Rotary>, ConfigError> {
        let head = sizes.head;
        let setting = |field: Field, inner: &str| -> Vec<(String, &Value)> {
            let inside = object.and_then(|RotaryObject { key, members }| {
                let value = members.get(inner).filter(|value| !value.is_null())?;
                Some((format!("{key}.{inner}"), value))
            });
            match inside {
                Some(inside) => vec![inside],
                None => {
                    let beside = self.values(field);
                    beside.map(|(key, value)| (key.to_owned(), value)).collect()
                }
            }
        };

        let given = agreed(
            setting(theta_field, "rope_theta"),
            self.path,
            |key, value| {
                number(key, value, "a number from 1 to 1e15", self.path, |theta| {
                    (1.0..=1e15).contains(&theta)
                })
            },
        )?;
        let kind = match object {
            Some(object) => self.kind(object, defaults)?,
            None => None,
        };
        let scaling = match object {
            Some(object) => self.scaling(object, kind, sizes)?,
            None => RopeScaling::None,
        };

        let fractions = setting(Field::RotaryFraction, "partial_rotary_factor");
        let fraction_key = fractions.first().map_or_else(
            || self.key(Field::RotaryFraction).to_owned(),
            |(key, _)| key.clone(),
        );
        let fraction = agreed(fractions, self.path, |key, value| {
            number(key, value, "a number from 0 to 1", self.path, |fraction| {
                (0.0..=1.0).contains(&fraction)
            })
        })?;
        // For most families transformers rotates whole heads, whatever the key says, and fails if there is a scaling too.
        let fraction = match fraction {
            Some(fraction) if !defaults.partial => {
                if kind.is_some_and(|kind| kind != "default") && fraction < 1.0 {
                    return Err(ConfigError::Unsupported {
                        path: self.path.into(),
                        key: fraction_key,
                        meaning: "a scaling of partial rotations",
                        expected: "it to be absent or 1 next to a scaling",
                        found: fraction.to_string(),
                    });
                }
                defaults.fraction
            }
            fraction => fraction.unwrap_or(defaults.fraction),
        };
        let dims = self.size(Field::RotaryDims, head as u64)?;
        let width = self.size(Field::RotaryWidth, WIDTH_CAP)?;
        // Rounded towards zero, as in Hugging Face.
        let size = dims.unwrap_or((width.unwrap_or(head) as f64 * fraction) as usize);
        if size == 0 {
            return Ok(None);
        }
        let rotary = Rotary::new(size, given.unwrap_or(theta))
            .pairing(defaults.pairs)
            .scaled(scaling);
        // The ramp of YaRN has no place for the pair that an odd number completes.
        let is_even = size.is_multiple_of(2)
            || defaults.odd && !matches!(rotary.scaling, RopeScaling::Yarn { .. });
        if rotary.rotated() > head || !is_even {
            let (key, value) = match (dims, width) {
                (Some(dims), _) => (self.key(Field::RotaryDims).to_owned(), dims as f64),
                (None, Some(width)) if width != head => {
                    (self.key(Field::RotaryWidth).to_owned(), width as f64)
                }
                _ => (fraction_key, fraction),
            };
            return Err(ConfigError::RotarySize {
                path: self.path.into(),
                key,
                value,
                head,
                size,
            });
        }
        let pairs = rotary.rotated() / 2;
        if let RopeScaling::LongRope { short, long, .. } = &rotary.scaling
            && (short.len() != pairs || long.len() != pairs)
        {
            return Err(ConfigError::OutOfRange {
                path: self.path.into(),
                key: "short_factor and long_factor".into(),
                expected: format!("{pairs} factors each, one for each rotated pair"),
                found: format!("{} and {}", short.len(), long.len()),
            });
        }
        Ok(Some(rotary))
    }

    /// The scaling of this name that an object describes.
    fn scaling(
        &self,
        object: &RotaryObject,
        kind: Option<&str>,
        sizes: &Sizes,
    ) -> Result<RopeScaling, ConfigError> {
        let RotaryObject {
            key: outer,
            members: object,
        } = object;
        let inner = |key: &str| format!("{outer}.{key}");
        let given = |key: &str| object.get(key).filter(|value| !value.is_null());
        let required = |key: &str| {
            given(key).ok_or_else(|| ConfigError::MissingKey {
                path: self.path.into(),
                key: inner(key),
            })
        };
        let read = |key: &str, value: &Value, least: f64| {
            let expected = format!("a number from {least} to 1e6");
            number(&inner(key), value, &expected, self.path, |number| {
                (least..=1e6).contains(&number)
            })
        };
        let optional = |key: &str, least: f64| {
            let value = given(key).map(|value| read(key, value, least));
            value.transpose()
        };
        let factor = |key: &str, least: f64| read(key, required(key)?, least);
        let original_context = || -> Result<usize, ConfigError> {
            if let Some(original) = self.size(Field::OriginalContext, CONTEXT_CAP)? {
                return Ok(original);
            }
            let key = "original_max_position_embeddings";
            let Some(value) = given(key) else {
                return Ok(sizes.context);
            };
            // Some programs write it as a float, which transformers reads as well.
            let float = value.as_f64().filter(|_| value.is_f64());
            match float
                .filter(|float| float.fract() == 0.0 && (1.0..=CONTEXT_CAP as f64).contains(float))
            {
                Some(float) => Ok(float as usize),
                None => whole(&inner(key), value, CONTEXT_CAP, self.path),
            }
        };
        match kind {
            Some("linear") => Ok(RopeScaling::Linear {
                factor: factor("factor", 1.0)?,
            }),
            // It changes only sequences longer than the context, which are refused.
            Some("dynamic") => factor("factor", 1.0).map(|_| RopeScaling::None),
            Some("llama3") => {
                let low_freq_factor = factor("low_freq_factor", 1e-6)?;
                let key = "high_freq_factor";
                let expected =
                    format!("a number above `low_freq_factor` = {low_freq_factor}, at most 1e6");
                let above = |factor: f64| low_freq_factor < factor && factor <= 1e6;
                Ok(RopeScaling::Llama3 {
                    factor: factor("factor", 1.0)?,
                    low_freq_factor,
                    high_freq_factor: number(
                        &inner(key),
                        required(key)?,
                        &expected,
                        self.path,
                        above,
                    )?,
                    original_context: original_context()?,
                })
            }
            Some("yarn") => {
                let original_context = original_context()?;
                let factor = match optional("factor", 1.0)? {
                    Some(factor) => factor,
                    None if !object.contains_key("factor") => {
                        return Err(ConfigError::MissingKey {
                            path: self.path.into(),
                            key: inner("factor"),
                        });
                    }
                    None => sizes.context as f64 / original_context as f64,
                };
                let growth = |scale: f64| 1.0 + 0.1 * scale * factor.max(1.0).ln();
                let amplitude = match (
                    optional("attention_factor", 1e-6)?,
                    optional("mscale", 0.0)?,
                    optional("mscale_all_dim", 0.0)?,
                ) {
                    (Some(amplitude), ..) => amplitude,
                    (None, Some(of_one), Some(of_all)) if of_one > 0.0 && of_all > 0.0 => {
                        growth(of_one) / growth(of_all)
                    }
                    _ => growth(1.0),
                };
                let truncate = match given("truncate") {
                    None => true,
                    Some(value) => value.as_bool().ok_or_else(|| {
                        wrong_type(&inner("truncate"), "true or false", value, self.path)
                    })?,
                };
                Ok(RopeScaling::Yarn {
                    factor,
                    beta_fast: optional("beta_fast", 0.0)?
                        .filter(|beta| *beta > 0.0)
                        .unwrap_or(32.0),
                    beta_slow: optional("beta_slow", 0.0)?
                        .filter(|beta| *beta > 0.0)
                        .unwrap_or(1.0),
                    original_context,
                    truncate,
                    amplitude,
                })
            }
            Some("longrope") => {
                let original_context = original_context()?;
                let factors = |key: &str| -> Result<Vec<f64>, ConfigError> {
                    let value = required(key)?;
                    let list = value.as_array().ok_or_else(|| {
                        wrong_type(&inner(key), "a list of numbers", value, self.path)
                    })?;
                    list.iter().map(|value| read(key, value, 1e-6)).collect()
                };
                let factor = match optional("factor", 1e-6)? {
                    Some(factor) => factor,
                    None => sizes.context as f64 / original_context as f64,
                };
                let amplitude = match optional("attention_factor", 1e-6)? {
                    Some(amplitude) => amplitude,
                    None if factor <= 1.0 => 1.0,
                    None => (1.0 + factor.ln() / (original_context as f64).ln()).sqrt(),
                };
                Ok(RopeScaling::LongRope {
                    short: factors("short_factor")?,
                    long: factors("long_factor")?,
                    original_context,
                    amplitude,
                })
            }
            _ => Ok(RopeScaling::None),
        }
    }
}
