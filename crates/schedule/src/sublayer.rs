//! The sublayers of a block.

use std::fmt;

/// One of the two sublayers of a block, each including its own norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sublayer {
    /// Attention.
    Attn,
    /// The MLP.
    Mlp,
}

impl fmt::Display for Sublayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attn => "attn",
            Self::Mlp => "mlp",
        })
    }
}
