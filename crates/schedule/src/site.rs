//! Names of activations.

use std::fmt;

use crate::stack::{Residual, Stack, Units};

/// A place in the forward pass whose activation can be read and, in most cases, written. One name, one tensor, one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Site {
    /// What the first block reads: the token embedding, scaled or normed as in the model, plus learned positions,
    /// \[seq, model\].
    Embed,
    /// The residual stream that a block reads, \[seq, model\], at the first step of each of its runs, even if an edit dropped one
    /// of its sublayers.
    ResidPre,
    /// The attention's normalised input, \[seq, model\].
    AttnNorm,
    /// Queries before rotary, normed if the model norms them, \[seq, heads, head\].
    AttnQ,
    /// Keys before rotary, normed if the model norms them, \[seq, kv_heads, head\].
    AttnK,
    /// Values, \[seq, kv_heads, head\].
    AttnV,
    /// Attention weights, \[heads, seq, seq\]; rows are queries and sum to one. If several sequences run together, the last axis
    /// holds the positions of the query's path and is as long as the longest path.
    AttnPattern,
    /// Each head's weighted values before the output projection, \[seq, heads, head\].
    AttnHeadOut,
    /// The attention's update before any scale of the schedule, \[seq, model\], normed and scaled as in the model before it is
    /// added. If the model norms the sum of stream and update, this is the update before that norm.
    AttnOut,
    /// The residual stream after the attention of a sequential block, \[seq, model\].
    ResidMid,
    /// The MLP's normalised input, \[seq, model\].
    MlpNorm,
    /// The MLP's values before the activation function (in gated MLPs, the gate), \[seq, neurons\].
    MlpPre,
    /// The up projection of a gated MLP, \[seq, neurons\].
    MlpUp,
    /// The neurons: the input of the down projection, \[seq, neurons\].
    MlpPost,
    /// The MLP's update before any scale of the schedule, \[seq, model\], normed and scaled as [`Site::AttnOut`].
    MlpOut,
    /// The residual stream after the last step of each run of a block, \[seq, model\].
    ResidPost,
    /// The final norm's output, \[seq, model\].
    FinalNorm,
    /// The logits, \[seq, vocab\].
    Logits,
}

impl Site {
    /// Every site, in the order of the forward pass.
    pub const ALL: &'static [Self] = &[
        Self::Embed,
        Self::ResidPre,
        Self::AttnNorm,
        Self::AttnQ,
        Self::AttnK,
        Self::AttnV,
        Self::AttnPattern,
        Self::AttnHeadOut,
        Self::AttnOut,
        Self::ResidMid,
        Self::MlpNorm,
        Self::MlpPre,
        Self::MlpUp,
        Self::MlpPost,
        Self::MlpOut,
        Self::ResidPost,
        Self::FinalNorm,
        Self::Logits,
    ];

    /// The canonical name, such as `attn.head_out`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embed => "embed",
            Self::ResidPre => "resid.pre",
            Self::AttnNorm => "attn.norm",
            Self::AttnQ => "attn.q",
            Self::AttnK => "attn.k",
            Self::AttnV => "attn.v",
            Self::AttnPattern => "attn.pattern",
            Self::AttnHeadOut => "attn.head_out",
            Self::AttnOut => "attn.out",
            Self::ResidMid => "resid.mid",
            Self::MlpNorm => "mlp.norm",
            Self::MlpPre => "mlp.pre",
            Self::MlpUp => "mlp.up",
            Self::MlpPost => "mlp.post",
            Self::MlpOut => "mlp.out",
            Self::ResidPost => "resid.post",
            Self::FinalNorm => "final.norm",
            Self::Logits => "logits",
        }
    }

    /// Whether the site belongs to a block, rather than to the embedding or the output.
    pub fn in_block(self) -> bool {
        !matches!(self, Self::Embed | Self::FinalNorm | Self::Logits)
    }

    /// Whether edits and observers can write the site: all sites except the outputs of norms and the logits.
    pub fn is_writable(self) -> bool {
        !matches!(
            self,
            Self::AttnNorm | Self::MlpNorm | Self::FinalNorm | Self::Logits
        )
    }

    /// What the site's units are.
    ///
    /// ```
    /// use layerwise_schedule::{Site, Units};
    ///
    /// let units = Units::new(12, 4, 3072, 768); // heads, KV heads, neurons, width
    /// let count = |site: Site| site.grain().count(units);
    /// assert_eq!((count(Site::AttnQ), count(Site::AttnK)), (12, 4));
    /// assert_eq!((count(Site::MlpPost), count(Site::ResidPost)), (3072, 768));
    /// ```
    pub fn grain(self) -> Grain {
        match self {
            Self::AttnQ | Self::AttnPattern | Self::AttnHeadOut => Grain::Heads,
            Self::AttnK | Self::AttnV => Grain::KvHeads,
            Self::MlpPre | Self::MlpUp | Self::MlpPost => Grain::Neurons,
            Self::Logits => Grain::Tokens,
            _ => Grain::Dimensions,
        }
    }

    /// Why models with this stack lack the site; `None` if they have it.
    pub(crate) fn missing(self, stack: Stack) -> Option<&'static str> {
        match self {
            _ if stack.units == Units::default() => {
                Some("the stack does not say how many units its blocks have")
            }
            Self::ResidMid if stack.residual == Residual::Parallel => {
                Some("attention and MLP read the same residual stream")
            }
            Self::MlpUp if !stack.units.gated => Some("the MLP has no gate"),
            _ => None,
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the units of a site are: the parts of an activation at one position that an edit can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Grain {
    /// Query heads.
    Heads,
    /// Key and value heads.
    KvHeads,
    /// Neurons of the MLP.
    Neurons,
    /// Dimensions of the residual stream.
    Dimensions,
    /// Tokens of the vocabulary.
    Tokens,
}

impl Grain {
    /// The number of such units in a model; 0 for tokens, because no edit can select them.
    pub fn count(self, units: Units) -> usize {
        match self {
            Self::Heads => units.heads,
            Self::KvHeads => units.kv_heads,
            Self::Neurons => units.neurons,
            Self::Dimensions => units.width,
            Self::Tokens => 0,
        }
    }
}

impl fmt::Display for Grain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Heads => "heads",
            Self::KvHeads => "KV heads",
            Self::Neurons => "neurons",
            Self::Dimensions => "dimensions",
            Self::Tokens => "tokens",
        })
    }
}
