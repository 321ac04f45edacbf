//! The structure of a family's table.

use super::keys::KeyTable;
use super::templates::TensorTemplate;
use crate::config::{Activation, Alibi, Mlp, Norm, NormGain, NormPlace, QueryKeyNorm, Residual};
use crate::rotary::Pairs;

/// Everything that is particular to one family.
pub(crate) struct FamilyTable {
    /// What the family covers, for a list of families.
    pub(crate) covers: &'static str,
    /// The keys of the config: read, refused except at a given value, ignored.
    pub(crate) keys: KeyTable,
    /// The block, if the config does not say otherwise.
    pub(crate) block: Block,
    /// Rotary settings, if the config does not say otherwise; `None` if the family does not rotate.
    pub(crate) rotary: Option<RotaryDefaults>,
    /// Which blocks have a window, and which rotate.
    pub(crate) layers: Layers,
    /// Whether the unembedding is tied, if the config does not say.
    pub(crate) tied: bool,
    /// The BOS id, if the config has no key for it; `None` if the family prepends nothing.
    pub(crate) bos: Option<u32>,
    /// Possible prefixes of the tensor names; either all names except the unembedding's have one of these, or none has.
    pub(crate) prefixes: &'static [&'static str],
    /// The tensors in groups; `{}` stands for the index of the block.
    pub(crate) tensors: &'static [&'static [TensorTemplate]],
    /// Names of buffers without weights, with the prefix if the tensors have it.
    pub(crate) ignored_tensors: &'static [&'static str],
    /// If the model is the text part of a larger one, the form of that one.
    pub(crate) whole: Option<Whole>,
}

/// A model whose text part a family runs.
pub(crate) struct Whole {
    /// The key of the object that holds the config of the text part.
    pub(crate) key: &'static str,
    /// The `model_type` of the text part.
    pub(crate) text: &'static str,
    /// Whether the unembedding is tied, if the outer config does not say.
    pub(crate) tied: bool,
    /// Keys next to that object without effect on the text part.
    pub(crate) ignored: &'static [&'static str],
    /// Prefixes of the other parts' tensors.
    pub(crate) parts: &'static [&'static str],
}

impl FamilyTable {
    /// All lines of the tensor table.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &'static TensorTemplate> + use<> {
        self.tensors.iter().copied().flatten()
    }
}

/// The switches of the block equation that a family fixes, or sets if its config does not say.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    pub(crate) norm: Norm,
    pub(crate) norm_epsilon: f64,
    pub(crate) norm_gain: NormGain,
    pub(crate) norm_bias: bool,
    pub(crate) norm_place: NormPlace,
    pub(crate) residual: Residual,
    pub(crate) mlp: Mlp,
    pub(crate) activation: Activation,
    pub(crate) qkv_bias: bool,
    pub(crate) attention_out_bias: bool,
    pub(crate) mlp_bias: bool,
    pub(crate) unembedding_bias: bool,
    /// The norm of queries and keys, if the config has no switch for it or switches it on.
    pub(crate) query_key_norm: Option<QueryKeyNorm>,
    /// Rows before the first position in the table of learned positions; `None` if there is no such table.
    pub(crate) learned_positions: Option<usize>,
    pub(crate) embedding_norm: bool,
    pub(crate) alibi: Option<Alibi>,
    /// The factor of a token's embedding, if no key gives it.
    pub(crate) embedding_scale: EmbeddingScale,
    /// Whether scores are divided by √head, if no key says otherwise.
    pub(crate) scaled_scores: bool,
    pub(crate) query_scalar: Option<f64>,
    pub(crate) score_cap: Option<f64>,
    pub(crate) logit_cap: Option<f64>,
    pub(crate) logit_scale: f64,
}

/// The factor of a token's embedding.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum EmbeddingScale {
    One,
    /// √model.
    RootOfWidth,
}

impl Block {
    /// LayerNorm and a plain MLP, biases everywhere, as in GPT-2.
    pub(crate) const PLAIN: Self = Self {
        norm: Norm::LayerNorm,
        norm_epsilon: 1e-5,
        norm_gain: NormGain::Stored,
        norm_bias: true,
        norm_place: NormPlace::Before,
        residual: Residual::Sequential,
        mlp: Mlp::Plain,
        activation: Activation::GeluTanh,
        qkv_bias: true,
        attention_out_bias: true,
        mlp_bias: true,
        unembedding_bias: false,
        query_key_norm: None,
        learned_positions: None,
        embedding_norm: false,
        alibi: None,
        embedding_scale: EmbeddingScale::One,
        scaled_scores: true,
        query_scalar: None,
        score_cap: None,
        logit_cap: None,
        logit_scale: 1.0,
    };

    /// RMSNorm and a gated MLP without biases, as in Llama.
    pub(crate) const GATED: Self = Self {
        norm: Norm::RmsNorm,
        norm_epsilon: 1e-6,
        norm_bias: false,
        mlp: Mlp::Gated,
        activation: Activation::Silu,
        qkv_bias: false,
        attention_out_bias: false,
        mlp_bias: false,
        ..Self::PLAIN
    };
}

/// Rotary settings for configs that do not give them.
pub(crate) struct RotaryDefaults {
    /// The base of the wavelengths.
    pub(crate) theta: f64,
    /// The base in windowed blocks, if it differs.
    pub(crate) local_theta: Option<f64>,
    /// The rotated part of each head, in \[0, 1\].
    pub(crate) fraction: f64,
    /// Which dimensions form pairs.
    pub(crate) pairs: Pairs,
    /// Whether the family rotates partially; for other families transformers ignores the key.
    pub(crate) partial: bool,
    /// Whether an odd number of dimensions is rotated with one more; for other families transformers fails.
    pub(crate) odd: bool,
    /// The names of the scalings that the family supports.
    pub(crate) scalings: &'static [&'static str],
}

impl RotaryDefaults {
    /// Whole heads, paired by halves, at base 10000.
    pub(crate) const WHOLE: Self = Self {
        theta: 10_000.0,
        local_theta: None,
        fraction: 1.0,
        pairs: Pairs::Halves,
        partial: false,
        odd: false,
        scalings: &["default", "linear", "dynamic", "yarn", "longrope", "llama3"],
    };
}

/// Which blocks have a window, and which rotate.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Layers {
    /// All alike, without a window.
    Alike,
    /// All with the window, if there is one.
    Windowed,
    /// A window where `layer_types` says so, or from a given block on, if it is switched on.
    WindowedFrom,
    /// A window where `layer_types` says so, or in all but each n-th block.
    WindowedBut(usize),
    /// No rotation in each n-th block; a window in those without rotation, if it is switched on.
    RotatedBut(usize),
    /// As `attention_types` says; otherwise a window in every other block, from the second on.
    Listed,
}
