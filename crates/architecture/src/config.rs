//! The architecture of one model as plain values: the axis lengths and the switches of its block equation.
//!
//! The enums are exhaustive on purpose: each variant is an equation, and what runs a model has to answer all of them.

use crate::family::Family;
use crate::per_layer::PerLayer;
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
    /// Width of the token embedding and of what the unembedding reads, where projections stand between them and the
    /// residual stream; `model` if `None`.
    pub embedding: Option<usize>,
    /// What a token's embedding is multiplied with.
    pub embedding_scale: f64,
    /// Whether a norm with gain and bias follows the embedding.
    pub embedding_norm: bool,
    /// The learned vectors of positions that are added to the embedding.
    pub learned_positions: Option<LearnedPositions>,
    /// The kind of all norms over the residual width.
    pub norm: Norm,
    /// Added to the variance (LayerNorm) or the mean square (RMSNorm) under the root.
    pub norm_epsilon: f64,
    /// What the norms multiply with.
    pub norm_gain: NormGain,
    /// Whether a LayerNorm adds a bias; an RMSNorm has none.
    pub norm_bias: bool,
    /// Where the norms of a block stand.
    pub norm_place: NormPlace,
    /// Whether a norm stands before the unembedding.
    pub final_norm: bool,
    /// How the two sublayers of a block read and write the residual stream.
    pub residual: Residual,
    /// What a sublayer's output is multiplied with before it is added.
    pub residual_scale: f64,
    /// Windows, rotary positions and scales of attention, block by block.
    pub attention: PerLayer<Attention>,
    /// The norm of queries and keys, before they are rotated.
    pub query_key_norm: Option<QueryKeyNorm>,
    /// The largest absolute value that queries, keys and values keep.
    pub qkv_clip: Option<f64>,
    /// Scores s become cap·tanh(s/cap) before the softmax.
    pub score_cap: Option<f64>,
    /// The bias of scores that grows with the position of the key.
    pub alibi: Option<Alibi>,
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
    /// What logits are multiplied with.
    pub logit_scale: f64,
    /// Logits z become cap·tanh(z/cap), after their scale; what is linear in the final state ends there.
    pub logit_cap: Option<f64>,
    /// Whether the unembedding is the token embedding.
    pub tied: bool,
    /// What an automatic BOS prepends to a text.
    pub bos: Bos,
}

impl ModelConfig {
    /// Whether the MLP multiplies its activations with an up projection, so that a neuron's signs are a symmetry of the model.
    pub fn has_gated_mlp(&self) -> bool {
        self.mlp == Mlp::Gated
    }

    /// Width of the token embedding and of what the unembedding reads.
    pub fn embedding_width(&self) -> usize {
        self.embedding.unwrap_or(self.model)
    }

    /// Whether the norms over the residual width have a bias.
    pub fn has_norm_bias(&self) -> bool {
        self.norm_bias && self.norm == Norm::LayerNorm
    }
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

/// What norms multiply with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormGain {
    /// Nothing.
    None,
    /// The stored gain γ.
    Stored,
    /// 1 + γ.
    OnePlusStored,
}

/// Where the norms of a block stand, for a sublayer f that reads the stream h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormPlace {
    /// `h + f(norm(h))`.
    Before,
    /// `h + norm(f(h))`.
    After,
    /// `h + norm2(f(norm1(h)))`.
    Around,
    /// `norm(h + f(h))`: the stream itself is normed. The sublayer's update is then `norm(h + f(h)) - h`.
    OfSum,
}

impl NormPlace {
    /// Whether a sublayer reads a normed stream.
    pub fn is_before(self) -> bool {
        matches!(self, Self::Before | Self::Around)
    }

    /// Whether a sublayer's output is normed before it is added.
    pub fn is_after(self) -> bool {
        matches!(self, Self::After | Self::Around)
    }
}

/// A table of learned vectors `[offset + context, model]`; the token at index t has row `offset + t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LearnedPositions {
    /// Rows before that of the first position.
    pub offset: usize,
}

impl LearnedPositions {
    /// A table whose first row is that of the first token.
    pub fn new() -> Self {
        Self { offset: 0 }
    }

    /// A table whose first rows belong to no position.
    pub fn after(offset: usize) -> Self {
        Self { offset }
    }
}

impl Default for LearnedPositions {
    fn default() -> Self {
        Self::new()
    }
}

/// The attention of one block.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Attention {
    /// The number of latest positions that a query sees, its own among them; all earlier ones if `None`.
    pub window: Option<usize>,
    /// The rotation of queries and keys; none if `None`.
    pub rotary: Option<Rotary>,
    /// What scores are multiplied with; 1/√head if `None`.
    pub scale: Option<f64>,
}

impl Attention {
    /// Attention with rotary positions.
    pub fn rotary(rotary: Rotary) -> Self {
        Self {
            rotary: Some(rotary),
            ..Self::default()
        }
    }

    /// The attention with some settings changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// The norm of queries and keys, over the width of one head or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryKeyNorm {
    /// What one gain reaches over.
    pub over: QueryKeyWidth,
    /// LayerNorm or RMSNorm, with the epsilon of the other norms.
    pub norm: Norm,
    /// Whether a bias is added.
    pub bias: bool,
}

impl QueryKeyNorm {
    /// A norm without bias.
    pub fn new(norm: Norm, over: QueryKeyWidth) -> Self {
        Self {
            over,
            norm,
            bias: false,
        }
    }

    /// With a bias.
    #[must_use]
    pub fn biased(self) -> Self {
        Self { bias: true, ..self }
    }
}

/// What a norm of queries and keys reaches over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryKeyWidth {
    /// Each head by itself, all with one gain `[head]`.
    Head,
    /// Each head by itself, with a gain of its own: `[heads, head]`.
    OwnHead,
    /// All heads together: `[heads * head]`.
    AllHeads,
}

/// A bias of scores that grows with the position of the key (ALiBi): slope of the head times position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alibi {
    /// Added to the scaled scores, as Bloom does.
    Scaled,
    /// Slopes and products rounded to bf16, and added before the scores are scaled, as Falcon does.
    UnscaledInBf16,
}

impl Alibi {
    /// The slopes of `heads` heads: 2^(-8i/n) for the largest power of two n ≤ heads, and every other of those for 2n.
    pub fn slopes(heads: usize) -> Vec<f64> {
        let whole = 1_usize << heads.ilog2();
        let series = |n: usize, step: usize| {
            let base = 2_f64.powf(-8.0 / n as f64);
            (1..).step_by(step).map(move |power: i32| base.powi(power))
        };
        series(whole, 1)
            .take(whole)
            .chain(series(2 * whole, 2).take(heads - whole))
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
