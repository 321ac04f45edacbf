//! The shape of a model's stack of blocks.

/// How the two sublayers of a block read the residual stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Residual {
    /// The MLP reads the stream after the attention's update: a block is two steps.
    Sequential,
    /// Both read the block's input (GPT-NeoX, Phi): a block is one step with two parts.
    Parallel,
}

/// The shape of a model's stack of blocks.
///
/// ```
/// use layerwise_schedule::{Edit, Residual, Schedule, Stack, Units};
///
/// let blocks = Stack::new(12, Residual::Sequential);
/// let head: Edit = "zero(attn.head_out[5,2])".parse()?;
/// assert!(head.apply(&Schedule::plain(blocks)?).is_err()); // how many heads are there?
/// let stack = blocks.with_units(Units::new(12, 12, 3072, 768));
/// assert!(head.apply(&Schedule::plain(stack)?).is_ok());
/// # Ok::<(), layerwise_schedule::ScheduleError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Stack {
    /// The number of blocks, `L`.
    pub layers: usize,
    /// The residual structure of every block.
    pub residual: Residual,
    /// The units of a block's activations.
    pub units: Units,
}

impl Stack {
    /// A stack of blocks with unknown units. It suffices for edits that move blocks, not for edits of values.
    pub const fn new(layers: usize, residual: Residual) -> Self {
        Self {
            layers,
            residual,
            units: Units::UNKNOWN,
        }
    }

    /// The same stack with these units in each block.
    #[must_use]
    pub const fn with_units(self, units: Units) -> Self {
        Self { units, ..self }
    }
}

/// The units of a block's activations, which edits of values select from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Units {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Neurons of the MLP.
    pub neurons: usize,
    /// Dimensions of the residual stream.
    pub width: usize,
    /// Whether the MLP has a gate beside its up projection.
    pub gated: bool,
}

impl Units {
    const UNKNOWN: Self = Self::new(0, 0, 0, 0);

    /// The units of a block without a gated MLP.
    pub const fn new(heads: usize, kv_heads: usize, neurons: usize, width: usize) -> Self {
        Self {
            heads,
            kv_heads,
            neurons,
            width,
            gated: false,
        }
    }

    /// Sets whether the MLP has a gate.
    #[must_use]
    pub const fn gated(self, gated: bool) -> Self {
        Self { gated, ..self }
    }
}
