use std::fmt;
use std::str::FromStr;

use crate::ScheduleError;
use crate::index::{Bindings, Expression};
use crate::operation::Operation;
use crate::schedule::{Schedule, write_joined};
use crate::syntax::{Parsed, parse};

/// A chain of edits: a map from schedules to schedules.
///
/// An edit is written down before the model is known, so it may say `L` for the number of blocks and count from the
/// end.
/// [`resolve`](Self::resolve) puts numbers in their place; [`apply`](Self::apply) does that on the way.
/// The text form, the meaning of every edit and the errors are described in the [crate documentation](crate).
///
/// ```
/// use layerwise_schedule::{Edit, Residual, Schedule, Stack};
///
/// let plain = Schedule::plain(Stack { layers: 12, residual: Residual::Sequential })?;
/// let edit: Edit = "drop(-1) ; swap(3, 4)".parse()?;
/// assert_eq!(edit.to_string(), "drop(-1);swap(3,4)");
/// assert_eq!(edit.resolve(12)?.to_string(), "drop(11);swap(3,4)");
/// assert_eq!(edit.apply(&plain)?.step_count(), 22);
/// # Ok::<(), layerwise_schedule::ScheduleError>(())
/// ```
///
/// # The shuffle
///
/// `shuffle(a..b,s)` is fixed by this description, whatever library draws the numbers.
/// ChaCha with 8 rounds is keyed with the eight little-endian bytes of `s` followed by 24 zero bytes; nonce and
/// 64-bit block counter start at 0.
/// Each draw is the next two 32-bit output words, the low word first.
/// The list p starts as a, a+1, …, b−1.
/// For i = b−a−1 down to 1: draw x until x < 2⁶⁴ − (2⁶⁴ mod (i+1)), then exchange p\[i\] and p\[x mod (i+1)\].
/// Label a+k becomes p\[k\].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Edit {
    /// Without free variables.
    operations: Vec<Operation<Expression>>,
}

impl Edit {
    /// First `self`, then `next`: the text `self;next`.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        self.operations.extend(next.operations);
        self
    }

    /// The edit for a stack of `layers` blocks, with every index a plain number.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::IndexOutOfRange`], [`ScheduleError::IndexOverflow`], [`ScheduleError::EmptyRange`] and
    /// [`ScheduleError::NotAPermutation`].
    pub fn resolve(&self, layers: usize) -> Result<Self, ScheduleError> {
        let operations = resolve(
            &self.operations,
            &Bindings {
                layers,
                l: None,
                m: None,
            },
        )?;
        Ok(Self::from_resolved(&operations))
    }

    /// The schedule that this edit makes of `schedule`.
    ///
    /// # Errors
    ///
    /// Those of [`resolve`](Self::resolve), and [`ScheduleError::EmptySchedule`], [`ScheduleError::TooManySteps`],
    /// [`ScheduleError::SegmentGone`] and [`ScheduleError::ScaleOverflow`].
    pub fn apply(&self, schedule: &Schedule) -> Result<Schedule, ScheduleError> {
        let layers = schedule.stack().layers;
        let operations = resolve(
            &self.operations,
            &Bindings {
                layers,
                l: None,
                m: None,
            },
        )?;
        apply(&operations, schedule)
    }

    pub(crate) fn from_resolved(operations: &[Operation<usize>]) -> Self {
        Self {
            operations: operations.iter().map(Operation::written).collect(),
        }
    }
}

impl FromStr for Edit {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let Parsed { operations, l, m } = parse(text)?;
        let positions = [('l', l), ('m', m)];
        let used = positions
            .into_iter()
            .filter_map(|(variable, at)| Some((at?, variable)));
        match used.min() {
            Some((at, variable)) => Err(ScheduleError::FreeVariable { variable, at }),
            None => Ok(Self { operations }),
        }
    }
}

/// Prints without spaces; the text parses to an equal edit.
impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_chain(f, &self.operations)
    }
}

/// Resolves a chain, indices and ranges before everything else.
pub(crate) fn resolve(
    operations: &[Operation<Expression>],
    bindings: &Bindings,
) -> Result<Vec<Operation<usize>>, ScheduleError> {
    let resolved = operations
        .iter()
        .map(|operation| operation.resolve(bindings))
        .collect::<Result<Vec<_>, _>>()?;
    resolved.iter().try_for_each(Operation::check_permutation)?;
    Ok(resolved)
}

/// Applies a chain from left to right.
pub(crate) fn apply(
    operations: &[Operation<usize>],
    schedule: &Schedule,
) -> Result<Schedule, ScheduleError> {
    operations
        .iter()
        .try_fold(schedule.clone(), |schedule, operation| {
            operation.apply(&schedule)
        })
}

/// Writes a chain; the empty one is `id`.
pub(crate) fn write_chain<I: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    operations: &[Operation<I>],
) -> fmt::Result {
    if operations.is_empty() {
        return f.write_str("id");
    }
    write_joined(f, operations, ";")
}
