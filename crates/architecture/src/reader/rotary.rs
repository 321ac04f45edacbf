//! The rotary keys, in both spellings.
//!
//! Older configs write `rope_theta`, a fraction and `rope_scaling` side by side; newer ones write one object,
//! `rope_parameters`. A config may hold both if they say the same.

use serde_json::{Map, Value};

use super::{CONTEXT_CAP, Reader, agreed, excerpt, number, text, whole, wrong_type};
use crate::error::ConfigError;
use crate::rotary::{RopeScaling, Rotary};
use crate::tables::RotaryDefaults;
use crate::tables::keys::Field;

const SCALINGS: [&str; 3] = ["default", "linear", "llama3"];

impl<'a> Reader<'a> {
    /// The rotary settings of heads of width `head`.
    pub(crate) fn rotary(
        &self,
        defaults: &RotaryDefaults,
        head: usize,
    ) -> Result<Rotary, ConfigError> {
        let mut objects = Vec::new();
        for field in [Field::RotaryScaling, Field::RotaryParameters] {
            for (key, value) in self.values(field) {
                let object = value
                    .as_object()
                    .ok_or_else(|| wrong_type(key, "an object", value, self.path))?;
                if !object.is_empty() {
                    objects.push((key, value, object));
                }
            }
        }
        // A setting may stand alone or in either object; wherever it stands, it must be the same.
        let spellings = |field: Field, inner: &'static str| -> Vec<(String, &'a Value)> {
            let alone = self
                .values(field)
                .map(|(key, value)| (key.to_owned(), value));
            let inside = objects.iter().filter_map(|(key, _, object)| {
                let value = object.get(inner).filter(|value| !value.is_null())?;
                Some((format!("{key}.{inner}"), value))
            });
            alone.chain(inside).collect()
        };

        let theta = agreed(
            spellings(Field::RotaryTheta, "rope_theta"),
            self.path,
            |key, value| {
                number(key, value, "a number from 1 to 1e15", self.path, |theta| {
                    (1.0..=1e15).contains(&theta)
                })
            },
        )?;
        let fractions = spellings(Field::RotaryFraction, "partial_rotary_factor");
        let fraction_key = fractions.first().map_or_else(
            || self.key(Field::RotaryFraction).to_owned(),
            |(key, _)| key.clone(),
        );
        let fraction = agreed(fractions, self.path, |key, value| {
            number(
                key,
                value,
                "a number above 0, at most 1",
                self.path,
                |fraction| 0.0 < fraction && fraction <= 1.0,
            )
        })?;
        let scalings = objects
            .iter()
            .map(|(key, value, _)| ((*key).to_owned(), *value));
        let scaling = agreed(scalings, self.path, |key, value| self.scaling(key, value))?;

        let fraction = fraction.unwrap_or(defaults.fraction);
        // Rounded towards zero, as Hugging Face does.
        let size = (head as f64 * fraction) as usize;
        if size < 2 || !size.is_multiple_of(2) {
            return Err(ConfigError::RotarySize {
                path: self.path.into(),
                key: fraction_key,
                fraction,
                head,
                size,
            });
        }
        Ok(Rotary {
            size,
            theta: theta.unwrap_or(defaults.theta),
            scaling: scaling.unwrap_or(RopeScaling::None),
        })
    }

    /// The scaling that the object under `outer` describes.
    fn scaling(&self, outer: &str, value: &'a Value) -> Result<RopeScaling, ConfigError> {
        let empty = Map::new();
        let object = value.as_object().unwrap_or(&empty);
        let inner = |key: &str| format!("{outer}.{key}");
        let kinds = ["rope_type", "type"]
            .into_iter()
            .filter_map(|key| Some((inner(key), object.get(key)?)));
        let kind = agreed(kinds, self.path, |key, value| {
            let name = text(key, value, self.path)?;
            SCALINGS
                .into_iter()
                .find(|known| *known == name)
                .ok_or_else(|| ConfigError::UnknownName {
                    path: self.path.into(),
                    key: key.into(),
                    found: excerpt(value),
                    supported: SCALINGS.to_vec(),
                })
        })?;
        let parameters: &[&str] = match kind {
            Some("linear") => &["factor"],
            Some("llama3") => &[
                "factor",
                "low_freq_factor",
                "high_freq_factor",
                "original_max_position_embeddings",
            ],
            _ => &[],
        };
        let known = |key: &str| {
            ["rope_type", "type", "rope_theta", "partial_rotary_factor"].contains(&key)
                || parameters.contains(&key)
        };
        let unknown: Vec<String> = object
            .keys()
            .filter(|key| !known(key))
            .map(|key| format!("{:?}", inner(key)))
            .collect();
        if !unknown.is_empty() {
            return Err(ConfigError::UnknownKeys {
                path: self.path.into(),
                family: self.family,
                keys: unknown,
            });
        }
        let given = |key: &str| {
            let missing = || ConfigError::MissingKey {
                path: self.path.into(),
                key: inner(key),
            };
            object.get(key).ok_or_else(missing)
        };
        let factor = |key: &str, least: f64| {
            let expected = format!("a number from {least} to 1e6");
            number(&inner(key), given(key)?, &expected, self.path, |factor| {
                (least..=1e6).contains(&factor)
            })
        };
        match kind {
            Some("linear") => Ok(RopeScaling::Linear {
                factor: factor("factor", 1.0)?,
            }),
            Some("llama3") => {
                let low_freq_factor = factor("low_freq_factor", 1e-6)?;
                let key = "high_freq_factor";
                let expected =
                    format!("a number above `low_freq_factor` = {low_freq_factor}, at most 1e6");
                let above = |factor: f64| low_freq_factor < factor && factor <= 1e6;
                let original = "original_max_position_embeddings";
                Ok(RopeScaling::Llama3 {
                    factor: factor("factor", 1.0)?,
                    low_freq_factor,
                    high_freq_factor: number(
                        &inner(key),
                        given(key)?,
                        &expected,
                        self.path,
                        above,
                    )?,
                    original_context: whole(
                        &inner(original),
                        given(original)?,
                        CONTEXT_CAP,
                        self.path,
                    )?,
                })
            }
            _ => Ok(RopeScaling::None),
        }
    }
}
