//! The shape of a family's table.

use super::keys::KeyTable;
use super::templates::TensorTemplate;
use crate::config::{Activation, Mlp, Norm, Residual};

/// Everything that is particular to one family.
pub(crate) struct FamilyTable {
    /// The keys of the config: read, refused unless at a given value, ignored.
    pub(crate) keys: KeyTable,
    /// The block where the config says nothing else.
    pub(crate) block: Block,
    /// Rotary settings where the config says nothing; `None` for learned positions.
    pub(crate) rotary: Option<RotaryDefaults>,
    /// Whether the unembedding is tied where the config says nothing.
    pub(crate) tied: bool,
    /// The BOS id where the config has no key for it; `None` if the family prepends nothing.
    pub(crate) bos: Option<u32>,
    /// What precedes the names of all tensors but the unembedding, in all of them or in none.
    pub(crate) prefix: &'static str,
    /// The tensors, `{}` standing for the index of the block.
    pub(crate) tensors: &'static [TensorTemplate],
    /// Names of buffers that hold no weights, with the prefix where the tensors have it.
    pub(crate) ignored_tensors: &'static [&'static str],
}

/// The switches of the block equation that a family fixes, or sets where its config is silent.
pub(crate) struct Block {
    pub(crate) norm: Norm,
    pub(crate) norm_epsilon: f64,
    pub(crate) residual: Residual,
    pub(crate) mlp: Mlp,
    pub(crate) activation: Activation,
    pub(crate) qkv_bias: bool,
    pub(crate) attention_out_bias: bool,
    pub(crate) mlp_bias: bool,
    pub(crate) unembedding_bias: bool,
}

/// Rotary settings where a config says nothing.
pub(crate) struct RotaryDefaults {
    /// The base of the wavelengths.
    pub(crate) theta: f64,
    /// The rotated part of each head, in (0, 1].
    pub(crate) fraction: f64,
}
