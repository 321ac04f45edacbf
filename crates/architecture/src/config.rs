//! The architecture of one model as plain values: the axis lengths and the switches of its block equation.
//!
//! The enums are exhaustive on purpose: each variant is an equation, and code that runs a model must handle all of them.

use crate::family::Family;
use crate::per_layer::PerLayer;
use crate::rotary::Rotary;

/// The architecture of a model: the axis lengths and the switches of its block equation.
///
/// Axis names are those of the whole workspace: `model` is the residual width, `neurons` the MLP width.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ModelConfig {
    /// The family, whose table gives the names of config keys and tensors.
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
    /// Width of the token embedding and of the unembedding's input, if projections connect them to the residual stream; `None`
    /// means `model`.
    pub embedding: Option<usize>,
    /// The factor of a token's embedding.
    pub embedding_scale: f64,
    /// Whether a norm with gain and bias follows the embedding.
    pub embedding_norm: bool,
    /// The learned position vectors that are added to the embedding.
    pub learned_positions: Option<LearnedPositions>,
    /// The kind of all norms over the residual width.
    pub norm: Norm,
    /// Added to the variance (LayerNorm) or the mean square (RMSNorm) under the root.
    pub norm_epsilon: f64,
    /// The gain of the norms.
    pub norm_gain: NormGain,
    /// Whether a LayerNorm adds a bias; an RMSNorm has none.
    pub norm_bias: bool,
    /// The position of the norms in a block.
    pub norm_place: NormPlace,
    /// Whether there is a norm before the unembedding.
    pub final_norm: bool,
    /// How the two sublayers of a block read and write the residual stream.
    pub residual: Residual,
    /// The factor of a sublayer's output before it is added.
    pub residual_scale: f64,
    /// Windows, rotary positions and score scales of attention, block by block.
    pub attention: PerLayer<Attention>,
    /// The norm of queries and keys, before they are rotated.
    pub query_key_norm: Option<QueryKeyNorm>,
    /// The largest absolute value that queries, keys and values keep.
    pub qkv_clip: Option<f64>,
    /// The soft cap of scores: s becomes cap·tanh(s/cap) before the softmax.
    pub score_cap: Option<f64>,
    /// The bias of scores that grows with the key's position.
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
    /// The factor of the logits.
    pub logit_scale: f64,
    /// The soft cap of logits: z becomes cap·tanh(z/cap), after their scale. Beyond it, logits are not linear in the final state.
    pub logit_cap: Option<f64>,
    /// Whether the unembedding is the token embedding.
    pub tied: bool,
    /// The token that an automatic BOS prepends to a text.
    pub bos: Bos,
}

impl ModelConfig {
    /// Whether the MLP multiplies its activations with an up projection, so that flipping a neuron's signs is a symmetry of the
    /// model.
    pub fn has_gated_mlp(&self) -> bool {
        self.mlp == Mlp::Gated
    }

    /// Width of the token embedding and of the unembedding's input.
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

/// The gain of norms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormGain {
    /// Nothing.
    None,
    /// The stored gain γ.
    Stored,
    /// 1 + γ.
    OnePlusStored,
}

/// The position of a block's norms, for a sublayer f that reads the stream h.
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
    /// The number of rows before that of the first position.
    pub offset: usize,
}

impl LearnedPositions {
    /// A table whose first row is that of the first token.
    pub fn new() -> Self {
        Self { offset: 0 }
    }

    /// A table with `offset` rows before that of the first token.
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
    /// The number of most recent positions that a query attends to, including its own; `None` for all earlier ones.
    pub window: Option<usize>,
    /// The rotation of queries and keys, if any.
    pub rotary: Option<Rotary>,
    /// The factor of the scores; `None` means 1/√head.
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

    /// The first position that the query at a position attends to.
    pub fn first_key(&self, query: usize) -> usize {
        self.window
            .map_or(0, |window| (query + 1).saturating_sub(window))
    }
}

/// The norm of queries and keys, over the width of one head or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryKeyNorm {
    /// The values that share one gain.
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

    /// Adds a bias.
    #[must_use]
    pub fn biased(self) -> Self {
        Self { bias: true, ..self }
    }
}

/// The values that a norm of queries and keys covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryKeyWidth {
    /// Each head separately, all with the same gain `[head]`.
    Head,
    /// Each head separately, each with its own gain: `[heads, head]`.
    OwnHead,
    /// All heads together: `[heads * head]`.
    AllHeads,
}

/// A bias of scores that grows with the key's position (ALiBi): slope of the head times position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alibi {
    /// Added to the scaled scores, as Bloom does.
    Scaled,
    /// Slopes and products rounded to bf16, and added before the scores are scaled, as Falcon does.
    UnscaledInBf16,
}

impl Alibi {
    /// The slopes of `heads` heads: 2^(-8i/n) for the largest power of two n ≤ heads, and every other of those for 2n.
    ///
    /// ```
    /// use layerwise_architecture::Alibi;
    ///
    /// assert_eq!(Alibi::slopes(4), [0.25, 0.0625, 0.015625, 0.00390625]);
    /// ```
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
    /// This id, where the tokenizer has it.
    Token(u32),
    /// The config gives no id: the tokenizer's `<|endoftext|>`.
    EndOfText,
    /// No token: the family was trained without a BOS.
    Nothing,
}
