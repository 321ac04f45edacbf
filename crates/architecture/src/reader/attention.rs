//! The keys of attention that may differ from block to block: windows, rotation, scales.

use serde_json::Value;

use super::{CONTEXT_CAP, LAYERS_CAP, Reader, out_of_range, text, whole, wrong_type};
use crate::config::Attention;
use crate::error::ConfigError;
use crate::per_layer::PerLayer;
use crate::rotary::Rotary;
use crate::tables::keys::Field;
use crate::tables::{Layers, RotaryDefaults};

/// The sizes that the settings of attention depend on.
pub(super) struct Sizes {
    pub(super) layers: usize,
    pub(super) head: usize,
    pub(super) context: usize,
    pub(super) rotates: bool,
}

impl Reader<'_> {
    /// The attention of each block.
    pub(super) fn attention(&self, sizes: &Sizes) -> Result<PerLayer<Attention>, ConfigError> {
        let scale = self.score_scale(sizes.head)?;
        let by_layer = self.switch(Field::ScaleByLayer)? == Some(true);
        let (whole, local) = match &self.table.rotary {
            Some(defaults) if sizes.rotates => self.rotaries(defaults, sizes)?,
            _ => (None, None),
        };
        let window = self.size(Field::Window, CONTEXT_CAP)?;
        let windowed = self.windowed(sizes.layers, window.is_some())?;
        let rotated = self.rotated(sizes.layers)?;
        // A window as long as the context hides nothing.
        let window = window.filter(|window| *window < sizes.context);
        let attention = (0..sizes.layers).map(|layer| Attention {
            window: window.filter(|_| windowed[layer]),
            rotary: match windowed[layer] {
                true => local.clone().filter(|_| rotated[layer]),
                false => whole.clone().filter(|_| rotated[layer]),
            },
            scale: match by_layer {
                true => {
                    let scale = scale.unwrap_or_else(|| 1.0 / (sizes.head as f64).sqrt());
                    Some(scale / (layer + 1) as f64)
                }
                false => scale,
            },
        });
        Ok(PerLayer::each(attention))
    }

    /// The rotation of blocks without a window, and that of blocks with one.
    fn rotaries(
        &self,
        defaults: &RotaryDefaults,
        sizes: &Sizes,
    ) -> Result<(Option<Rotary>, Option<Rotary>), ConfigError> {
        let whole = self.rotary(defaults, sizes)?;
        let local = match defaults.local_theta {
            Some(theta) => self.local_rotary(defaults, theta, sizes)?,
            None => whole.clone(),
        };
        Ok((whole, local))
    }

    /// The factor of the scores, unless it is 1/√head.
    fn score_scale(&self, head: usize) -> Result<Option<f64>, ConfigError> {
        let block = &self.table.block;
        if let Some(scale) = self.multiplier(Field::AttentionScale)? {
            return Ok(Some(scale));
        }
        let is_scaled = self
            .switch(Field::ScaleScores)?
            .unwrap_or(block.scaled_scores);
        if !is_scaled {
            return Ok(Some(1.0));
        }
        let scalar = self.multiplier(Field::QueryScalar)?.or(block.query_scalar);
        let scalar = scalar.filter(|scalar| *scalar != head as f64);
        Ok(scalar.map(|scalar| 1.0 / scalar.sqrt()))
    }

    /// For each block, whether it has the window, if there is one.
    fn windowed(&self, layers: usize, is_given: bool) -> Result<Vec<bool>, ConfigError> {
        let is_on = self.switch(Field::UseWindow)?.unwrap_or(false);
        // These families always have a window in transformers, even if no block uses it.
        let is_needed = matches!(self.table.layers, Layers::WindowedBut(_) | Layers::Listed);
        if is_needed && !is_given {
            let expected = format!("a whole number from 1 to {CONTEXT_CAP}");
            let key = self.key(Field::Window);
            return Err(wrong_type(key, &expected, &Value::Null, self.path));
        }
        if let Some(types) = self.layer_types(layers)? {
            let is_off = self.table.layers == Layers::WindowedFrom && !is_on;
            if types.contains(&true) && (is_off || !is_given) {
                let window = if is_off {
                    Field::UseWindow
                } else {
                    Field::Window
                };
                return Err(self.excluded(Field::LayerTypes, window));
            }
            return Ok(types);
        }
        Ok(match self.table.layers {
            Layers::Alike => vec![false; layers],
            Layers::Windowed => vec![true; layers],
            Layers::WindowedFrom => {
                let first = self.value(Field::WindowFrom, |key, value| {
                    if value.as_u64() == Some(0) {
                        return Ok(0);
                    }
                    whole(key, value, LAYERS_CAP, self.path)
                })?;
                let first = first.or(self.default(Field::WindowFrom)).unwrap_or(0);
                (0..layers).map(|layer| is_on && layer >= first).collect()
            }
            Layers::WindowedBut(pattern) => {
                let pattern = self.size(Field::WindowPattern, 1 << 20)?.unwrap_or(pattern);
                (0..layers)
                    .map(|layer| !(layer + 1).is_multiple_of(pattern))
                    .collect()
            }
            Layers::RotatedBut(_) => {
                let rotated = self.rotated(layers)?;
                rotated
                    .into_iter()
                    .map(|rotates| is_on && !rotates)
                    .collect()
            }
            Layers::Listed => (0..layers).map(|layer| layer % 2 == 1).collect(),
        })
    }

    /// The blocks to which `layer_types` or `attention_types` gives a window.
    fn layer_types(&self, layers: usize) -> Result<Option<Vec<bool>>, ConfigError> {
        let kinds = self.value(Field::LayerTypes, |key, value| {
            let expected =
                format!("a list of {layers} times \"full_attention\" or \"sliding_attention\"");
            let list = value
                .as_array()
                .ok_or_else(|| wrong_type(key, &expected, value, self.path))?;
            if list.len() != layers {
                return Err(out_of_range(key, &expected, value, self.path));
            }
            list.iter()
                .map(|kind| match text(key, kind, self.path)? {
                    "full_attention" => Ok(false),
                    "sliding_attention" => Ok(true),
                    _ => Err(out_of_range(key, &expected, value, self.path)),
                })
                .collect::<Result<Vec<bool>, _>>()
        })?;
        if kinds.is_some() {
            return Ok(kinds);
        }
        self.value(Field::AttentionTypes, |key, value| {
            let expected =
                format!("lists of [[\"global\" or \"local\", …], times] for {layers} blocks");
            let wrong = || out_of_range(key, &expected, value, self.path);
            let mut kinds = Vec::new();
            for run in value.as_array().ok_or_else(wrong)? {
                let [Value::Array(pattern), times] = run.as_array().ok_or_else(wrong)?.as_slice()
                else {
                    return Err(wrong());
                };
                let times = whole(key, times, layers as u64, self.path)?;
                for _ in 0..times {
                    for kind in pattern {
                        kinds.push(match kind.as_str() {
                            Some("global") => false,
                            Some("local") => true,
                            _ => return Err(wrong()),
                        });
                    }
                    if kinds.len() > layers || pattern.is_empty() {
                        return Err(wrong());
                    }
                }
            }
            if kinds.len() != layers {
                return Err(wrong());
            }
            Ok(kinds)
        })
    }

    /// For each block, whether it rotates queries and keys.
    fn rotated(&self, layers: usize) -> Result<Vec<bool>, ConfigError> {
        let Layers::RotatedBut(interval) = self.table.layers else {
            return Ok(vec![true; layers]);
        };
        let listed = self.value(Field::RotaryLayers, |key, value| {
            let expected = format!("a list of {layers} times 0 or 1");
            let wrong = || out_of_range(key, &expected, value, self.path);
            let list = value.as_array().filter(|list| list.len() == layers);
            list.ok_or_else(wrong)?
                .iter()
                .map(|flag| match flag.as_u64() {
                    Some(0) => Ok(false),
                    Some(1) => Ok(true),
                    _ => Err(wrong()),
                })
                .collect::<Result<Vec<bool>, _>>()
        })?;
        let interval = self
            .size(Field::NoRotaryInterval, 1 << 20)?
            .unwrap_or(interval);
        Ok(listed.unwrap_or_else(|| {
            (0..layers)
                .map(|layer| !(layer + 1).is_multiple_of(interval))
                .collect()
        }))
    }
}
