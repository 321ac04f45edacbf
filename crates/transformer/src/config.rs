//! The architecture of one model, read from its `config.json` and checked before any tensor is touched.
//!
//! A [`ModelConfig`] holds the numbers and switches that the block equation needs and nothing else.
//! Which keys a family may write, and what each means, is data in [`crate::family`]; the reading is fail-closed:
//! a key that no table knows, or a feature that is switched on and not implemented, is an error that names it.

mod error;

use std::path::Path;

use serde_json::{Map, Value};

pub use self::error::ConfigError;
use crate::family::Role;
use crate::family::keys::{Field, Reader};

/// The most blocks a config may declare.
const LAYERS_CAP: u64 = 1 << 12;
/// The largest width: of the residual stream, and of all heads of a block together.
const WIDTH_CAP: u64 = 1 << 20;
/// The most neurons of one MLP.
const NEURONS_CAP: u64 = 1 << 22;
/// The largest vocabulary.
const VOCAB_CAP: u64 = 1 << 24;
/// The longest context, in tokens.
pub(crate) const CONTEXT_CAP: u64 = 1 << 28;

/// The architecture of a model: the axis lengths and the switches of its block equation.
///
/// Axis names are those of the whole workspace: `model` is the residual width, `neurons` the MLP width.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// The family whose tables named the keys and name the tensors.
    pub family: Family,
    /// Number of blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub model: usize,
    /// Number of query heads of a block.
    pub heads: usize,
    /// Number of key and value heads of a block; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head; `heads * head` need not equal `model`.
    pub head: usize,
    /// Width of the MLP between its two projections.
    pub neurons: usize,
    /// Number of token ids, and of logits per position.
    pub vocab: usize,
    /// The longest sequence the model was built for, in tokens.
    pub context: usize,
    /// The kind of norm before each sublayer and before the unembedding.
    pub norm: Norm,
    /// Added to the variance (LayerNorm) or the mean square (RMSNorm) under the root.
    pub norm_epsilon: f64,
    /// How the two sublayers of a block read and write the residual stream.
    pub residual: Residual,
    /// How token positions enter.
    pub position: Position,
    /// Plain or gated MLP.
    pub mlp: Mlp,
    /// The nonlinearity of the MLP (of its gate, where it has one).
    pub activation: Activation,
    /// Whether the query, key and value projections have biases `[heads, head]`, `[kv_heads, head]` (twice).
    pub qkv_bias: bool,
    /// Whether the attention output projection has a bias `[model]`.
    pub attention_out_bias: bool,
    /// Whether the MLP's projections have biases (`[neurons]` in, `[model]` out).
    pub mlp_bias: bool,
    /// Whether the unembedding has a bias `[vocab]`.
    pub unembedding_bias: bool,
    /// Whether the unembedding is the token embedding.
    pub tied: bool,
    /// What an automatic BOS prepends to a text.
    pub bos: Bos,
}

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
    /// # use layerwise_transformer::config::{ConfigError, ModelConfig};
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
        let family = Family::of(map, path)?;
        let table = family.table();
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

    /// How many numbers the model's weights are; tied matrices count once, padded rows of a vocabulary not at all.
    pub fn parameters(&self) -> u64 {
        let templates = self.family.table().tensors.iter();
        let own = templates.filter(|template| {
            template.role.is_used(self) && !(self.tied && template.role == Role::Unembedding)
        });
        own.map(|template| {
            let of_one: u64 = template
                .shape(self)
                .iter()
                .map(|&axis| axis as u64)
                .product();
            let copies = if template.role.is_per_layer() {
                self.layers as u64
            } else {
                1
            };
            of_one.saturating_mul(copies)
        })
        .fold(0, u64::saturating_add)
    }
}

/// A family of checkpoints that share config keys, tensor names and a block equation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// GPT-2: sequential blocks, learned positions.
    Gpt2,
    /// GPT-NeoX and Pythia: parallel blocks with two norms, partly rotary heads.
    GptNeoX,
    /// Phi-1, Phi-1.5 and Phi-2: parallel blocks with one norm, partly rotary heads.
    Phi,
    /// Llama and models of the same shape: RMSNorm, gated MLP, rotary positions.
    Llama,
    /// Qwen2 and Qwen2.5: as Llama, with biases on queries, keys and values.
    Qwen2,
}

/// The kind of normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norm {
    /// `(x - mean) / sqrt(variance + epsilon) * gain + bias`.
    LayerNorm,
    /// `x / sqrt(mean(x^2) + epsilon) * gain`.
    RmsNorm,
}

/// How the two sublayers of a block read and write the residual stream `h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residual {
    /// `h += attn(norm1(h))`, then `h += mlp(norm2(h))`.
    Sequential,
    /// `h += attn(norm(h)) + mlp(norm(h))`.
    ParallelOneNorm,
    /// `h += attn(norm1(h)) + mlp(norm2(h))`.
    ParallelTwoNorms,
}

/// How token positions enter the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Position {
    /// A learned vector `[model]` for each of `context` positions is added to the token embedding.
    Learned,
    /// Queries and keys are rotated by an angle proportional to the position.
    Rotary(Rotary),
}

/// Rotary positions: which dimensions of a head turn, and how fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rotary {
    /// Number of leading dimensions of each head that are rotated; even, from 2 to `head`.
    pub size: usize,
    /// The base of the geometric series of wavelengths.
    pub theta: f64,
    /// The change of the frequencies for a longer context.
    pub scaling: RopeScaling,
}

/// A change of the rotary frequencies that stretches a model to a longer context.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    /// The frequencies as trained.
    None,
    /// Every frequency divided by `factor`.
    Linear {
        /// At least 1.
        factor: f64,
    },
    /// Llama 3.1: low frequencies divided by `factor`, high ones kept, those between interpolated.
    Llama3 {
        /// At least 1.
        factor: f64,
        /// Wavelengths above `original_context / low_freq_factor` tokens are stretched in full.
        low_freq_factor: f64,
        /// Wavelengths below `original_context / high_freq_factor` tokens are kept; above `low_freq_factor`.
        high_freq_factor: f64,
        /// Context length before the stretch, in tokens.
        original_context: usize,
    },
}

impl Rotary {
    /// The angle per token of each rotated pair, `[size / 2]`, in radians.
    ///
    /// `theta^(-2i / size)` for pair `i`, changed as [`RopeScaling`] says.
    /// The formulas are those of `modeling_rope_utils.py` in Hugging Face transformers, in `f64`.
    pub fn inverse_frequencies(&self) -> Vec<f64> {
        (0..self.size / 2)
            .map(|pair| {
                let frequency = self.theta.powf(-2.0 * pair as f64 / self.size as f64);
                match self.scaling {
                    RopeScaling::None => frequency,
                    RopeScaling::Linear { factor } => frequency / factor,
                    RopeScaling::Llama3 {
                        factor,
                        low_freq_factor,
                        high_freq_factor,
                        original_context,
                    } => {
                        let turns = original_context as f64 * frequency / std::f64::consts::TAU;
                        // The weight of the unscaled frequency: 0 for long wavelengths, 1 for short ones.
                        let kept = ((turns - low_freq_factor)
                            / (high_freq_factor - low_freq_factor))
                            .clamp(0.0, 1.0);
                        (1.0 - kept) * frequency / factor + kept * frequency
                    }
                }
            })
            .collect()
    }
}

/// The shape of the MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mlp {
    /// `out(activation(in(x)))`.
    Plain,
    /// `down(activation(gate(x)) * up(x))`.
    Gated,
}

/// The nonlinearity of the MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// GELU with the tanh approximation.
    GeluTanh,
    /// GELU with the error function.
    Gelu,
    /// `x * sigmoid(x)`.
    Silu,
    /// `max(x, 0)`.
    Relu,
}

/// The token that an automatic BOS prepends to a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bos {
    /// This id. It is checked against `vocab` where it is used, like every token.
    Token(u32),
    /// The config names no id: the tokenizer's `<|endoftext|>`.
    EndOfText,
    /// The family was trained without a BOS: nothing.
    Nothing,
}
