//! Residual updates.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::sublayer::Sublayer;

/// A finite number, compared and hashed by its bits; −0 is stored as 0.
///
/// ```
/// use layerwise_schedule::Coefficient;
///
/// assert_eq!(Coefficient::new(-0.0), Coefficient::new(0.0));
/// assert_eq!(Coefficient::new(f64::NAN), None);
/// ```
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
///
/// ```
/// use layerwise_schedule::{Edit, Residual, Schedule, Stack, Step, Sublayer};
///
/// let plain = Schedule::plain(Stack::new(1, Residual::Sequential))?;
/// let halved = "scale_mlp(0,0.5)".parse::<Edit>()?.apply(&plain)?; // attn0 0.5*mlp0
/// let [Step::Update(_), Step::Update(parts)] = halved.steps() else { panic!("two steps") };
/// assert_eq!((parts[0].block(), parts[0].sublayer(), parts[0].scale()), (0, Sublayer::Mlp, 0.5));
/// # Ok::<(), layerwise_schedule::ScheduleError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Every part reads the same h.
    ///
    /// In a schedule there is at least one part, and all parts have the same source block.
    Update(Vec<Part>),
    /// Every branch starts from the same h.
    ///
    /// In a schedule there is at least one branch, and each has at least one step.
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

    /// How deeply branches are nested in the step: 0 for an update.
    pub fn levels(&self) -> usize {
        match self {
            Self::Update(_) => 0,
            Self::Branches(branches) => {
                let steps = branches.iter().flat_map(Branch::steps);
                1 + steps.map(Self::levels).max().unwrap_or(0)
            }
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

/// A branch of a parallel step: steps that run from the parallel step's input, and the weight of their update.
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
