//! The architecture of one model as plain values: the axis lengths and the switches of its block equation.
//!
//! The enums are exhaustive on purpose: each variant is an equation, and what runs a model has to answer all of them.

use crate::family::Family;
use crate::rotary::Rotary;

/// The architecture of a model: the axis lengths and the switches of its block equation.
///
/// Axis names are those of the whole workspace: `model` is the residual width, `neurons` the MLP width.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
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
