use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use crate::edit::{Edit, apply, resolve, write_chain};
use crate::index::{Bindings, Variable};
use crate::operation::Written;
use crate::schedule::Schedule;
use crate::site::Grain;
use crate::stack::Stack;
use crate::syntax::{Parsed, parse};
use crate::{ScheduleError, Site};

/// The largest number of members of a family, unless the user allows more.
pub const DEFAULT_MAX_MEMBERS: usize = 4_096;

/// What a family's variables may run over.
///
/// ```
/// use layerwise_schedule::{Bounds, EditFamily, Residual, Stack, Units};
///
/// let stack = Stack::new(2, Residual::Sequential).with_units(Units::new(4, 4, 32, 16));
/// let family: EditFamily = "donor(resid.pre[l]@p)".parse()?;
/// let members = family.expand(stack, Bounds::default().positions(Some(3)))?;
/// assert_eq!(members.len(), 2 * 3);
/// assert_eq!(members[5].edit.to_string(), "donor(resid.pre[1]@2)");
/// assert!(family.expand(stack, Bounds::default()).is_err()); // how far does p run?
/// # Ok::<(), layerwise_schedule::ScheduleError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Bounds {
    /// The largest number of members. If `None`, [`DEFAULT_MAX_MEMBERS`] is the limit and `h` may run over heads only.
    pub max_members: Option<usize>,
    /// The number of positions of every sequence, which `p` runs over; `None` if the sequences differ in length.
    pub positions: Option<usize>,
}

impl Bounds {
    /// Sets the largest number of members.
    #[must_use]
    pub fn max_members(self, max_members: Option<usize>) -> Self {
        Self {
            max_members,
            ..self
        }
    }

    /// Sets the number of positions that every sequence has.
    #[must_use]
    pub fn positions(self, positions: Option<usize>) -> Self {
        Self { positions, ..self }
    }
}

/// Limits the number of members; sequences may have any lengths.
impl From<usize> for Bounds {
    fn from(max_members: usize) -> Self {
        Self::default().max_members(Some(max_members))
    }
}

/// An edit text with the free variables `l`, `m`, `h` and `p`, or with none.
///
/// `l` and `m` run over the blocks, `h` over the units of its site (of several sites, the largest number of units), and `p` over
/// the positions, which all sequences must have in the same number. `l` is the outermost loop and `p` the innermost.
/// A binding is left out if it puts an index out of range, makes a range empty or reversed, or leaves no step.
/// If several variables occur, members whose schedule equals the plain model's or an earlier member's are left out too.
/// A text without variables has one member, which is never left out.
///
/// ```
/// use layerwise_schedule::{DEFAULT_MAX_MEMBERS, EditFamily, Residual, Stack};
///
/// let stack = Stack::new(4, Residual::Sequential);
/// let swaps = "swap(l,l+1)".parse::<EditFamily>()?.expand(stack, DEFAULT_MAX_MEMBERS)?;
/// let names: Vec<String> = swaps.iter().map(|member| member.edit.to_string()).collect();
/// assert_eq!(names, ["swap(0,1)", "swap(1,2)", "swap(2,3)"]);
/// # Ok::<(), layerwise_schedule::ScheduleError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EditFamily {
    operations: Vec<Written>,
}

/// One schedule of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// The plain schedule with `edit` applied.
    pub schedule: Schedule,
    /// The instance with all numbers resolved; prints as `drop(5)`.
    pub edit: Edit,
    /// The block bound to `l`, if the family uses it.
    pub l: Option<usize>,
    /// The block bound to `m`, if the family uses it.
    pub m: Option<usize>,
    /// The unit bound to `h`, if the family uses it.
    pub h: Option<usize>,
    /// The position bound to `p`, if the family uses it.
    pub p: Option<usize>,
}

impl Member {
    /// The plain model of a stack.
    ///
    /// # Errors
    ///
    /// As [`Schedule::plain`].
    pub fn plain(stack: Stack) -> Result<Self, ScheduleError> {
        Ok(Self {
            schedule: Schedule::plain(stack)?,
            edit: Edit::from_resolved(&[]),
            l: None,
            m: None,
            h: None,
            p: None,
        })
    }
}

impl EditFamily {
    /// All members for a stack, `l` ascending, then `m`, `h` and `p` ascending.
    ///
    /// `bounds` is the largest number of members, or [`Bounds`].
    ///
    /// # Errors
    ///
    /// [`ScheduleError::NoMembers`] if none is left, [`ScheduleError::TooManyMembers`] beyond the largest number,
    /// [`ScheduleError::PositionsDiffer`], [`ScheduleError::UnitsWithoutLimit`], the errors of [`Schedule::plain`], and
    /// those of [`Edit::apply`] for which the family leaves no binding out.
    pub fn expand(
        &self,
        stack: Stack,
        bounds: impl Into<Bounds>,
    ) -> Result<Vec<Member>, ScheduleError> {
        let bounds = bounds.into();
        let max_members = bounds.max_members.unwrap_or(DEFAULT_MAX_MEMBERS);
        let plain = Schedule::plain(stack)?;
        let uses = Variables::of(self);
        let units = match uses.h {
            true => self.units(stack, bounds)?,
            false => 0,
        };
        let positions = match (uses.p, bounds.positions) {
            (true, None) => {
                return Err(ScheduleError::PositionsDiffer {
                    family: self.to_string(),
                });
            }
            (_, positions) => positions.unwrap_or(0),
        };
        let mut members = Vec::new();
        let mut seen = HashSet::from([plain.clone()]);
        let mut first_left_out = None;
        for l in bindings_of(uses.l, stack.layers) {
            for m in bindings_of(uses.m, stack.layers) {
                for h in bindings_of(uses.h, units) {
                    for p in bindings_of(uses.p, positions) {
                        let bindings = Bindings {
                            stack,
                            positions: bounds.positions,
                            l,
                            m,
                            h,
                            p,
                        };
                        let made = resolve(&self.operations, &bindings)
                            .and_then(|operations| Ok((apply(&operations, &plain)?, operations)));
                        let (schedule, operations) = match made {
                            Ok(made) => made,
                            Err(error) if uses.any() && is_left_out(&error) => {
                                first_left_out.get_or_insert(Box::new(error));
                                continue;
                            }
                            Err(error) => return Err(error),
                        };
                        if uses.several() && !seen.insert(schedule.clone()) {
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
                            h,
                            p,
                        });
                    }
                }
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

    /// What `h` runs over.
    fn units(&self, stack: Stack, bounds: Bounds) -> Result<usize, ScheduleError> {
        let sites = self.operations.iter().filter_map(Written::site_of_units);
        let largest = |a: &Site, b: &Site| {
            let count = |site: &Site| site.grain().count(stack.units);
            count(a).cmp(&count(b))
        };
        // Without units, `h` numbers heads.
        let site = sites.max_by(largest).unwrap_or(Site::AttnHeadOut);
        let (grain, units) = (site.grain(), site.grain().count(stack.units));
        match grain {
            Grain::Heads | Grain::KvHeads => Ok(units),
            _ if bounds.max_members.is_some() => Ok(units),
            _ => Err(ScheduleError::UnitsWithoutLimit {
                family: self.to_string(),
                site,
                grain,
                units,
            }),
        }
    }
}

/// Whether a binding with this error is left out of a family.
fn is_left_out(error: &ScheduleError) -> bool {
    matches!(
        error,
        ScheduleError::IndexOutOfRange { .. }
            | ScheduleError::UnitOutOfRange { .. }
            | ScheduleError::PositionOutOfRange { .. }
            | ScheduleError::EmptyPositions { .. }
            | ScheduleError::EmptyRange { .. }
            | ScheduleError::EmptySchedule { .. }
    )
}

/// The variables that a family uses.
#[derive(Clone, Copy)]
struct Variables {
    l: bool,
    m: bool,
    h: bool,
    p: bool,
}

impl Variables {
    fn of(family: &EditFamily) -> Self {
        let uses = |variable| {
            let mut operations = family.operations.iter();
            operations.any(|operation| operation.mentions(variable))
        };
        Self {
            l: uses(Variable::L),
            m: uses(Variable::M),
            h: uses(Variable::H),
            p: uses(Variable::P),
        }
    }

    fn count(self) -> usize {
        [self.l, self.m, self.h, self.p]
            .map(usize::from)
            .iter()
            .sum()
    }

    fn any(self) -> bool {
        self.count() > 0
    }

    fn several(self) -> bool {
        self.count() > 1
    }
}

/// The values that a variable takes in turn; a single `None` if the family does not use it.
fn bindings_of(used: bool, count: usize) -> impl Iterator<Item = Option<usize>> {
    (0..if used { count } else { 1 }).map(move |at| used.then_some(at))
}

impl From<Edit> for EditFamily {
    fn from(edit: Edit) -> Self {
        Self {
            operations: edit.into_written(),
        }
    }
}

impl FromStr for EditFamily {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let Parsed { operations, .. } = parse(text)?;
        Ok(Self { operations })
    }
}

/// Prints without spaces; the text parses to an equal family.
impl fmt::Display for EditFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_chain(f, &self.operations)
    }
}
