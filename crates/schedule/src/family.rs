use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use crate::ScheduleError;
use crate::edit::{Edit, apply, resolve, write_chain};
use crate::index::{Bindings, Expression};
use crate::operation::Operation;
use crate::schedule::{Schedule, Stack};
use crate::syntax::{Parsed, parse};

/// The largest number of members of a family, unless the user allows more.
pub const DEFAULT_MAX_MEMBERS: usize = 4_096;

/// An edit text with the free variables `l` and `m`, or with none.
///
/// Each variable runs over `0..layers`, `l` in the outer and `m` in the inner loop.
/// A binding is left out if it puts an index out of range, makes a range empty or reversed, or leaves no step.
/// If both variables occur, so are members whose schedule equals the plain model's or an earlier member's.
/// A text without variables has one member, and nothing about it is left out.
///
/// ```
/// use layerwise_schedule::{DEFAULT_MAX_MEMBERS, EditFamily, Residual, Stack};
///
/// let stack = Stack { layers: 4, residual: Residual::Sequential };
/// let swaps = "swap(l,l+1)".parse::<EditFamily>()?.expand(stack, DEFAULT_MAX_MEMBERS)?;
/// let names: Vec<String> = swaps.iter().map(|member| member.edit.to_string()).collect();
/// assert_eq!(names, ["swap(0,1)", "swap(1,2)", "swap(2,3)"]);
/// # Ok::<(), layerwise_schedule::ScheduleError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EditFamily {
    operations: Vec<Operation<Expression>>,
    has_l: bool,
    has_m: bool,
}

/// One schedule of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The plain schedule with `edit` applied.
    pub schedule: Schedule,
    /// The instance with all numbers resolved; prints as `drop(5)`.
    pub edit: Edit,
    /// The block bound to `l`, if the family uses it.
    pub l: Option<usize>,
    /// The block bound to `m`, if the family uses it.
    pub m: Option<usize>,
}

impl EditFamily {
    /// All members for a stack, `l` ascending, then `m` ascending.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::NoMembers`] if none is left, [`ScheduleError::TooManyMembers`] beyond `max_members`, the errors
    /// of [`Schedule::plain`], and those of [`Edit::apply`] for which the family leaves no binding out.
    pub fn expand(&self, stack: Stack, max_members: usize) -> Result<Vec<Member>, ScheduleError> {
        let plain = Schedule::plain(stack)?;
        let mut members = Vec::new();
        let mut seen = HashSet::from([plain.clone()]);
        let mut first_left_out = None;
        for l in bindings_of(self.has_l, stack.layers) {
            for m in bindings_of(self.has_m, stack.layers) {
                let bindings = Bindings {
                    layers: stack.layers,
                    l,
                    m,
                };
                let made = resolve(&self.operations, &bindings)
                    .and_then(|operations| Ok((apply(&operations, &plain)?, operations)));
                let (schedule, operations) = match made {
                    Ok(made) => made,
                    Err(
                        error @ (ScheduleError::IndexOutOfRange { .. }
                        | ScheduleError::EmptyRange { .. }
                        | ScheduleError::EmptySchedule { .. }),
                    ) if self.has_l || self.has_m => {
                        first_left_out.get_or_insert(Box::new(error));
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                if self.has_l && self.has_m && !seen.insert(schedule.clone()) {
                    continue;
                }
                if members.len() == max_members {
                    return Err(ScheduleError::TooManyMembers {
                        family: self.to_string(),
                        max: max_members,
                    });
                }
                members.push(Member {
                    schedule,
                    edit: Edit::from_resolved(&operations),
                    l,
                    m,
                });
            }
        }
        if members.is_empty() {
            return Err(ScheduleError::NoMembers {
                family: self.to_string(),
                layers: stack.layers,
                first: first_left_out,
            });
        }
        Ok(members)
    }
}

/// What a variable is bound to in turn; once to nothing if the family does not use it.
fn bindings_of(used: bool, layers: usize) -> impl Iterator<Item = Option<usize>> {
    (0..if used { layers } else { 1 }).map(move |block| used.then_some(block))
}

impl FromStr for EditFamily {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let Parsed { operations, l, m } = parse(text)?;
        Ok(Self {
            operations,
            has_l: l.is_some(),
            has_m: m.is_some(),
        })
    }
}

/// Prints without spaces; the text parses to an equal family.
impl fmt::Display for EditFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_chain(f, &self.operations)
    }
}
