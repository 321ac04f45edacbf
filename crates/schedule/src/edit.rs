use std::fmt;
use std::str::FromStr;

use crate::ScheduleError;
use crate::index::{Bindings, Expression};
use crate::operation::{Operation, Written};
use crate::schedule::Schedule;
use crate::stack::Stack;
use crate::step::write_joined;
use crate::syntax::{Parsed, parse};

/// A chain of edits: a map from schedules to schedules.
///
/// An edit is written before the model is known, so it may say `L` for the number of blocks and count from the end.
/// [`resolve`](Self::resolve) replaces these with numbers; [`apply`](Self::apply) resolves first.
/// The [crate documentation](crate) describes the text form, the meaning of every edit and the errors.
///
/// ```
/// use layerwise_schedule::{Edit, Residual, Schedule, Stack};
///
/// let plain = Schedule::plain(Stack::new(12, Residual::Sequential))?;
/// let edit: Edit = "drop(-1) ; swap(3, 4)".parse()?;
/// assert_eq!(edit.to_string(), "drop(-1);swap(3,4)");
/// assert_eq!(edit.resolve(plain.stack())?.to_string(), "drop(11);swap(3,4)");
/// assert_eq!(edit.apply(&plain)?.step_count(), 22);
/// # Ok::<(), layerwise_schedule::ScheduleError>(())
/// ```
///
/// An edit can also be built from [`Operation`]s, and a parsed edit returns its operations.
///
/// ```
/// use layerwise_schedule::{Edit, Operation, Replacement, Residual, Selection, Site, Stack, Units};
///
/// let head = Selection::of(Site::AttnHeadOut).blocks(5).units(2);
/// let edit = Edit::from_iter([Operation::Swap(3, 4), Operation::Change(head, Replacement::Zero)]);
/// assert_eq!(edit.to_string(), "swap(3,4);zero(attn.head_out[5,2])");
///
/// let units = Units::new(12, 12, 3072, 768);
/// let stack = Stack::new(12, Residual::Sequential).with_units(units);
/// let read: Edit = "swap(3,4); zero(attn.head_out[5,-10])".parse()?;
/// assert_eq!(read.resolved(stack)?, edit.resolved(stack)?);
/// assert!(matches!(&read.resolved(stack)?[0], Operation::Swap(3, 4)));
/// # Ok::<(), layerwise_schedule::ScheduleError>(())
/// ```
///
/// # The shuffle
///
/// This description fixes `shuffle(a..b,s)`, whatever library draws the numbers.
/// ChaCha with 8 rounds is keyed with the eight little-endian bytes of `s` followed by 24 zero bytes; nonce and
/// 64-bit block counter start at 0.
/// Each draw is the next two 32-bit output words, the low word first.
/// The list p starts as a, a+1, …, b−1.
/// For i = b−a−1 down to 1: draw x until x < 2⁶⁴ − (2⁶⁴ mod (i+1)), then exchange p\[i\] and p\[x mod (i+1)\].
/// Label a+k becomes p\[k\].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Edit {
    /// Contain no free variables.
    operations: Vec<Written>,
}

impl Edit {
    /// Applies `self`, then `next`: the text `self;next`.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        self.operations.extend(next.operations);
        self
    }

    /// Resolves the edit for a stack: every index becomes a plain number. Positions may still count from the end.
    ///
    /// # Errors
    ///
    /// An index is out of range, a range is empty, a list is not a permutation, or models with this stack lack the site.
    pub fn resolve(&self, stack: Stack) -> Result<Self, ScheduleError> {
        self.resolved(stack)
            .map(|operations| Self::from_resolved(&operations))
    }

    /// The operations, resolved for a stack: every index is a plain number.
    ///
    /// # Errors
    ///
    /// As [`resolve`](Self::resolve).
    pub fn resolved(&self, stack: Stack) -> Result<Vec<Operation>, ScheduleError> {
        resolve(&self.operations, &Bindings::of(stack))
    }

    /// The operations as written.
    pub fn operations(&self) -> &[Operation<Expression, Expression>] {
        &self.operations
    }

    /// Applies the edit to `schedule`.
    ///
    /// # Errors
    ///
    /// Those of [`resolve`](Self::resolve), and [`ScheduleError::EmptySchedule`], [`ScheduleError::TooManySteps`],
    /// [`ScheduleError::SegmentGone`] and [`ScheduleError::ScaleOverflow`].
    pub fn apply(&self, schedule: &Schedule) -> Result<Schedule, ScheduleError> {
        apply(&self.resolved(schedule.stack())?, schedule)
    }

    pub(crate) fn into_written(self) -> Vec<Written> {
        self.operations
    }

    pub(crate) fn from_resolved(operations: &[Operation]) -> Self {
        Self {
            operations: operations.iter().map(Operation::written).collect(),
        }
    }
}

impl FromIterator<Operation> for Edit {
    fn from_iter<T: IntoIterator<Item = Operation>>(operations: T) -> Self {
        Self {
            operations: operations.into_iter().map(|own| own.written()).collect(),
        }
    }
}

/// An edit of one operation.
impl From<Operation> for Edit {
    fn from(operation: Operation) -> Self {
        Self::from_iter([operation])
    }
}

impl FromStr for Edit {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let Parsed {
            operations,
            first_uses,
        } = parse(text)?;
        match first_uses.first() {
            Some((variable, at)) => Err(ScheduleError::FreeVariable {
                variable: variable.name(),
                at: *at,
            }),
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

/// Resolves a chain; every index and range is checked before any edit is applied.
pub(crate) fn resolve(
    operations: &[Written],
    bindings: &Bindings,
) -> Result<Vec<Operation>, ScheduleError> {
    let resolved = operations
        .iter()
        .map(|operation| operation.resolve(bindings))
        .collect::<Result<Vec<_>, _>>()?;
    resolved.iter().try_for_each(Operation::check)?;
    Ok(resolved)
}

/// Applies a chain from left to right.
pub(crate) fn apply(
    operations: &[Operation],
    schedule: &Schedule,
) -> Result<Schedule, ScheduleError> {
    operations
        .iter()
        .try_fold(schedule.clone(), |schedule, operation| {
            operation.apply(&schedule)
        })
}

/// Writes a chain; an empty chain prints as `id`.
pub(crate) fn write_chain(f: &mut fmt::Formatter<'_>, operations: &[Written]) -> fmt::Result {
    if operations.is_empty() {
        return f.write_str("id");
    }
    write_joined(f, operations, ";")
}
