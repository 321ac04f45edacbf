use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::overlay::Overlay;
use crate::stage::{Stage, stages};
use crate::{ScheduleError, Sublayer};

/// The largest number of steps of a schedule, counting those inside branches.
pub const MAX_STEPS: usize = 65_536;

/// How the two sublayers of a block read the residual stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Residual {
    /// The MLP reads what the attention has written: a block is two steps.
    Sequential,
    /// Both read the block's input (GPT-NeoX, Phi): a block is one step with two parts.
    Parallel,
}

/// The shape of a model's stack of blocks.
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
    /// A stack of blocks whose units are not known: enough for edits that move blocks, not for edits of values.
    pub const fn new(layers: usize, residual: Residual) -> Self {
        Self {
            layers,
            residual,
            units: Units::UNKNOWN,
        }
    }

    /// The same stack with the units of its blocks.
    #[must_use]
    pub const fn with_units(self, units: Units) -> Self {
        Self { units, ..self }
    }
}

/// The units of a block's activations, which edits of values choose from.
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

    /// The units of a block without a gate.
    pub const fn new(heads: usize, kv_heads: usize, neurons: usize, width: usize) -> Self {
        Self {
            heads,
            kv_heads,
            neurons,
            width,
            gated: false,
        }
    }

    /// With or without a gate.
    #[must_use]
    pub const fn gated(self, gated: bool) -> Self {
        Self { gated, ..self }
    }
}

/// A finite number that is compared and hashed by its bits; −0 is stored as 0.
#[derive(Debug, Clone, Copy)]
pub struct Coefficient(f64);

impl Coefficient {
    /// 1.
    pub const ONE: Self = Self(1.0);

    /// `None` if `value` is infinite or not a number.
    pub fn new(value: f64) -> Option<Self> {
        // Adding 0 turns −0 into 0 and changes no other number.
        value.is_finite().then_some(Self(value + 0.0))
    }

    /// 1/`count`, where `count` is at least 1.
    pub(crate) fn reciprocal(count: usize) -> Self {
        Self(1.0 / count as f64)
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// `None` if the product is infinite.
    pub(crate) fn times(self, other: Self) -> Option<Self> {
        Self::new(self.0 * other.0)
    }
}

impl PartialEq for Coefficient {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Coefficient {}

impl Hash for Coefficient {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl PartialOrd for Coefficient {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Coefficient {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Prints the shortest text that reads back as the same number.
impl fmt::Display for Coefficient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.abs();
        if size == 0.0 || (1e-5..1e15).contains(&size) {
            write!(f, "{}", self.0)
        } else {
            write!(f, "{:e}", self.0)
        }
    }
}

/// One summand α·f(h) of a residual update: a sublayer of a source block and its coefficient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Part {
    pub(crate) block: usize,
    pub(crate) sublayer: Sublayer,
    pub(crate) scale: Coefficient,
}

impl Part {
    /// The source block, `0..layers`.
    pub fn block(&self) -> usize {
        self.block
    }

    /// The sublayer of that block.
    pub fn sublayer(&self) -> Sublayer {
        self.sublayer
    }

    /// The coefficient α; always finite, never −0.
    pub fn scale(&self) -> f64 {
        self.scale.get()
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scale != Coefficient::ONE {
            write!(f, "{}*", self.scale)?;
        }
        write!(f, "{}{}", self.sublayer, self.block)
    }
}

/// One residual update, h ← h + Σᵢ αᵢ·fᵢ(h) or h ← h + Σᵢ wᵢ·(branchᵢ(h) − h).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// All parts read the same h.
    ///
    /// In a schedule there is at least one part, and all parts have the same source block.
    Update(Vec<Part>),
    /// All branches start from the same h.
    ///
    /// In a schedule there is at least one branch, and none of them is without steps.
    Branches(Vec<Branch>),
}

impl Step {
    /// The source block of an update; `None` for branches.
    pub(crate) fn source(&self) -> Option<usize> {
        match self {
            Self::Update(parts) => parts.first().map(Part::block),
            Self::Branches(_) => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Update(parts) => write_joined(f, parts, "+"),
            Self::Branches(branches) => {
                f.write_str("(")?;
                write_joined(f, branches, "|")?;
                f.write_str(")")
            }
        }
    }
}

/// A branch of a parallel step: steps run from the step's input, and the weight of their update.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Branch {
    pub(crate) weight: Coefficient,
    pub(crate) steps: Vec<Step>,
}

impl Branch {
    /// The weight of the branch's update; always finite.
    pub fn weight(&self) -> f64 {
        self.weight.get()
    }

    /// The steps of the branch, at least one.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.weight != Coefficient::ONE {
            write!(f, "{}*", self.weight)?;
        }
        f.write_str("[")?;
        write_joined(f, &self.steps, " ")?;
        f.write_str("]")
    }
}

/// A finite, non-empty sequence of steps over the blocks of a [`Stack`].
///
/// A schedule is made by [`Schedule::plain`] and changed by [`Edit::apply`](crate::Edit::apply), so it always fits
/// its stack.
/// It prints for reading only: `attn0 mlp0`, `attn0+mlp0` for one step with two parts, `0.5*mlp0` for a coefficient,
/// `(0.5*[attn0 mlp0]|0.5*[attn1 mlp1])` for branches, and in braces the edits of values.
///
/// Beside its steps a schedule has an [`Overlay`], which says what activations are replaced by while its blocks run.
/// Two schedules are equal if their steps and overlays are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Schedule {
    stack: Stack,
    steps: Vec<Step>,
    overlay: Overlay,
}

impl Schedule {
    /// The plain model: blocks `0..layers` in order, every coefficient 1.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::EmptyStack`] without blocks, [`ScheduleError::TooManySteps`] beyond [`MAX_STEPS`].
    pub fn plain(stack: Stack) -> Result<Self, ScheduleError> {
        if stack.layers == 0 {
            return Err(ScheduleError::EmptyStack);
        }
        let steps_per_block = match stack.residual {
            Residual::Sequential => 2,
            Residual::Parallel => 1,
        };
        let step_count = stack.layers.saturating_mul(steps_per_block);
        if step_count > MAX_STEPS {
            return Err(ScheduleError::TooManySteps {
                edit: "id".to_owned(),
                steps: step_count as u64,
                max: MAX_STEPS,
            });
        }
        let mut steps = Vec::with_capacity(step_count);
        for block in 0..stack.layers {
            let part = |sublayer| Part {
                block,
                sublayer,
                scale: Coefficient::ONE,
            };
            let (attn, mlp) = (part(Sublayer::Attn), part(Sublayer::Mlp));
            match stack.residual {
                Residual::Sequential => {
                    steps.extend([Step::Update(vec![attn]), Step::Update(vec![mlp])]);
                }
                Residual::Parallel => steps.push(Step::Update(vec![attn, mlp])),
            }
        }
        Ok(Self {
            stack,
            steps,
            overlay: Overlay::default(),
        })
    }

    /// The same stack with other steps, or `None` if there are none.
    pub(crate) fn with_steps(&self, steps: Vec<Step>) -> Option<Self> {
        (!steps.is_empty()).then_some(Self {
            stack: self.stack,
            steps,
            overlay: self.overlay.clone(),
        })
    }

    /// The same steps with another overlay.
    pub(crate) fn with_overlay(&self, overlay: Overlay) -> Self {
        Self {
            stack: self.stack,
            steps: self.steps.clone(),
            overlay,
        }
    }

    /// What acts on activations while the steps run.
    pub fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// The stack whose blocks the steps name.
    pub fn stack(&self) -> Stack {
        self.stack
    }

    /// The steps in the order in which they run, at least one.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The steps, each with what of the overlay acts on it; before them the change of the embedding, if there is one.
    pub fn stages(&self) -> impl Iterator<Item = Stage> + '_ {
        stages(self)
    }

    /// The number of residual updates, counting those inside branches and not the parallel steps that hold them.
    ///
    /// This is the count that [`MAX_STEPS`] bounds; it is at least `steps().len()`.
    pub fn step_count(&self) -> usize {
        count_updates(&self.steps)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_joined(f, &self.steps, " ")?;
        match self.overlay.is_empty() {
            true => Ok(()),
            false => write!(f, " {{{}}}", self.overlay),
        }
    }
}

/// The number of updates in `steps`, counting those inside branches.
pub(crate) fn count_updates(steps: &[Step]) -> usize {
    steps
        .iter()
        .map(|step| match step {
            Step::Update(_) => 1,
            Step::Branches(branches) => branches.iter().map(|b| count_updates(&b.steps)).sum(),
        })
        .sum()
}

/// Writes `items` with `separator` between them.
pub(crate) fn write_joined<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    separator: &str,
) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(separator)?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_are_finite_and_have_one_zero() {
        assert_eq!(Coefficient::new(-0.0), Coefficient::new(0.0));
        assert_eq!(Coefficient::new(f64::NAN), None);
        assert_eq!(Coefficient::new(f64::INFINITY), None);
        assert!(Coefficient::new(-1.0) < Coefficient::new(0.5));
    }

    #[test]
    fn coefficients_print_as_the_shortest_text_that_reads_back() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-0.5, "-0.5"),
            (0.1, "0.1"),
            (1e-3, "0.001"),
            (1e-5, "0.00001"),
            (1e-6, "1e-6"),
            (1e15, "1e15"),
            (f64::MAX, "1.7976931348623157e308"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(Coefficient::new(value).unwrap().to_string(), text);
            assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }
}
