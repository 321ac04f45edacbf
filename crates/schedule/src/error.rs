use crate::site::{Grain, Site};
use crate::sublayer::Sublayer;

/// Why a text, an edit or a family was refused.
///
/// `edit` fields hold the edit of the chain that is at fault, printed without spaces.
/// Byte positions count from the start of the text that was parsed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The text is longer than [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES).
    #[error("the edit text has {bytes} bytes; at most {max} are read")]
    TextTooLong {
        /// Length of the text in bytes.
        bytes: usize,
        /// The longest text that is read, in bytes.
        max: usize,
    },
    /// The text does not follow the grammar.
    #[error("expected {expected} at byte {at}, found {found}")]
    Syntax {
        /// Byte position of the fault.
        at: usize,
        /// What the grammar allows there.
        expected: &'static str,
        /// What was found there.
        found: String,
    },
    /// The text names an edit that does not exist.
    #[error("unknown edit `{name}` at byte {at}; nearest: {}", nearest.join(", "))]
    UnknownEdit {
        /// The name as written.
        name: String,
        /// Byte position of the name.
        at: usize,
        /// The known names that are closest to it.
        nearest: Vec<&'static str>,
    },
    /// A single edit is needed, but the text has a free variable, which makes it a family.
    #[error(
        "free variable `{variable}` at byte {at}: this is a family of edits; give a single edit"
    )]
    FreeVariable {
        /// `l`, `m`, `h` or `p`.
        variable: char,
        /// Byte position of the variable's first use.
        at: usize,
    },
    /// The count of `repeat` or `loop`, or the width of `window`, is 0 or too large.
    #[error("count {count} of `{edit}` at byte {at} is outside 1..={max}")]
    Count {
        /// The name of the edit.
        edit: &'static str,
        /// Byte position of the count.
        at: usize,
        /// The count as written.
        count: u64,
        /// The largest count.
        max: usize,
    },
    /// The factor of `scale` is too large to be a finite number.
    #[error("factor {factor} at byte {at} is not finite")]
    FactorNotFinite {
        /// The factor as written.
        factor: String,
        /// Byte position of the factor.
        at: usize,
    },
    /// An index expression leaves the range of 128-bit integers.
    #[error("`{edit}`: `{expression}` is too large to compute")]
    IndexOverflow {
        /// The edit, as written.
        edit: String,
        /// The index expression.
        expression: String,
    },
    /// An index is not a block of the stack.
    #[error("`{edit}`: {index} is out of range in a stack of {layers} blocks")]
    IndexOutOfRange {
        /// The edit, as written.
        edit: String,
        /// The value of the index; a literal negative number is left as written.
        index: i128,
        /// The number of blocks of the stack.
        layers: usize,
    },
    /// A range is empty or reversed.
    #[error("`{edit}`: range {start}..{end} is {}", if start == end { "empty" } else { "reversed" })]
    EmptyRange {
        /// The edit, as written.
        edit: String,
        /// First block of the range.
        start: usize,
        /// One past the last block of the range.
        end: usize,
    },
    /// The list of `permute` does not hold every block of its range exactly once.
    #[error(
        "`{edit}`: the list must hold every block of {start}..{end} exactly once, found {labels:?}"
    )]
    NotAPermutation {
        /// The edit, with its numbers resolved.
        edit: String,
        /// First block of the range.
        start: usize,
        /// One past the last block of the range.
        end: usize,
        /// The list.
        labels: Vec<usize>,
    },
    /// A stack without blocks has no schedule.
    #[error("a stack of 0 blocks has no schedule; expected at least 1")]
    EmptyStack,
    /// No step would be left.
    #[error("`{edit}` leaves an empty schedule; at least one step must remain")]
    EmptySchedule {
        /// The edit, with its numbers resolved.
        edit: String,
    },
    /// The schedule would be longer than the step cap.
    #[error("`{edit}` makes a schedule of {steps} steps; at most {max} are allowed")]
    TooManySteps {
        /// The edit, with its numbers resolved.
        edit: String,
        /// The number of steps that the edit would make (`u64::MAX` stands for anything larger).
        steps: u64,
        /// The step cap, [`MAX_STEPS`](crate::MAX_STEPS).
        max: usize,
    },
    /// `loop` or `parallel` on a segment that is no longer intact.
    #[error(
        "`{edit}` needs blocks {start}..{end} side by side, ascending, one unbroken run each; found {found}"
    )]
    SegmentGone {
        /// The edit, with its numbers resolved.
        edit: String,
        /// First block of the range.
        start: usize,
        /// One past the last block of the range.
        end: usize,
        /// The runs from the first block of the range to the last; a parallel step is in parentheses.
        found: String,
    },
    /// `scale` makes a coefficient overflow.
    #[error("`{edit}` makes the coefficient of {sublayer}({block}) infinite, from {scale}")]
    ScaleOverflow {
        /// The edit, with its numbers resolved.
        edit: String,
        /// The block.
        block: usize,
        /// The sublayer.
        sublayer: Sublayer,
        /// The coefficient before the edit.
        scale: f64,
    },
    /// A family has no member for this stack.
    #[error("family `{family}` has no member in a stack of {layers} blocks")]
    NoMembers {
        /// The family.
        family: String,
        /// The number of blocks of the stack.
        layers: usize,
        /// Why the first binding was left out; `None` if it equals the plain model.
        #[source]
        first: Option<Box<ScheduleError>>,
    },
    /// A family has more members than allowed.
    #[error("family `{family}` has more than {max} members")]
    TooManyMembers {
        /// The family.
        family: String,
        /// The largest number of members.
        max: usize,
    },
    /// No site has this name.
    #[error("unknown site `{name}`; the nearest are {}", nearest.join(", "))]
    UnknownSite {
        /// What was given.
        name: String,
        /// The nearest names.
        nearest: Vec<&'static str>,
    },
    /// An edit text names a site that does not exist.
    #[error("unknown site `{name}` at byte {at}; the nearest are {}", nearest.join(", "))]
    UnknownSiteAt {
        /// What was given.
        name: String,
        /// Byte position of the name.
        at: usize,
        /// The nearest names.
        nearest: Vec<&'static str>,
    },
    /// Models with this stack lack the site.
    #[error("`{edit}`: site `{site}` does not exist in this model: {reason}")]
    NoSuchSite {
        /// The edit, as written.
        edit: String,
        /// The site.
        site: Site,
        /// Why not.
        reason: &'static str,
    },
    /// The site can be read but not written.
    #[error(
        "`{edit}`: site `{site}` can be read but not written; write what goes into it or comes out of it"
    )]
    ReadOnlySite {
        /// The edit, as written.
        edit: String,
        /// The site.
        site: Site,
    },
    /// `embed` was given blocks or units.
    #[error("`{edit}`: `{site}` belongs to no block; leave the brackets out")]
    BlockOfEmbed {
        /// The edit, as written.
        edit: String,
        /// The site.
        site: Site,
    },
    /// `mean`, `put` or `add` was applied to attention patterns.
    #[error(
        "`{edit}`: attention patterns have no mean and no tensor of one position; use zero, scale, plain, donor or resample, or hide keys with cut or window"
    )]
    NotOfPatterns {
        /// The edit, as written.
        edit: String,
    },
    /// An index is not a unit of the site.
    #[error("`{edit}`: {index} is out of range: `{site}` has {units} {grain} in this model")]
    UnitOutOfRange {
        /// The edit, as written.
        edit: String,
        /// The value of the index; a literal negative number is left as written.
        index: i128,
        /// The site.
        site: Site,
        /// How many units there are.
        units: usize,
        /// What they are.
        grain: Grain,
    },
    /// The sequence lacks a position.
    #[error("`{edit}`: position {index} is out of range{}", positions.map_or(String::new(), |positions| format!(" in a sequence of {positions} tokens")))]
    PositionOutOfRange {
        /// The edit.
        edit: String,
        /// The position; a negative number counts from the end.
        index: i128,
        /// Number of tokens of the sequence, if known.
        positions: Option<usize>,
    },
    /// A range of positions is empty.
    #[error("`{edit}`: the range of positions {start}..{end} is empty")]
    EmptyPositions {
        /// The edit.
        edit: String,
        /// The first position.
        start: i64,
        /// One past the last position.
        end: i64,
    },
    /// A set of indices is empty.
    #[error("`{edit}`: a set of indices is empty; give at least one index")]
    EmptySet {
        /// The edit.
        edit: String,
    },
    /// `cut` leaves a query without any key.
    #[error(
        "`{edit}`: in a sequence of {positions} tokens, query {query} of head {head} is left without any key; at least one must remain"
    )]
    NoKeyLeft {
        /// The edit.
        edit: String,
        /// The query head.
        head: usize,
        /// The query's position.
        query: usize,
        /// Number of tokens of the sequence.
        positions: usize,
    },
    /// The count of `repeat` or `loop`, or the width of `window`, is 0 or too large.
    #[error("`{edit}`: {count} is outside 1..={max}")]
    CountOutOfRange {
        /// The edit.
        edit: String,
        /// The count.
        count: usize,
        /// The largest count.
        max: usize,
    },
    /// The name is not allowed for a tensor.
    #[error("tensor name `{name}`: expected 1 to {max} letters, digits or `_ . - / :`")]
    TensorName {
        /// The name.
        name: String,
        /// The longest name, in bytes.
        max: usize,
    },
    /// A family runs over positions, but sequences differ in length.
    #[error(
        "family `{family}` runs over positions: give sequences that all have the same number of tokens"
    )]
    PositionsDiffer {
        /// The family.
        family: String,
    },
    /// A family runs over units that are not heads, and no limit on its members is set.
    #[error(
        "family `{family}` runs over the {units} {grain} of `{site}`: set the largest number of members"
    )]
    UnitsWithoutLimit {
        /// The family.
        family: String,
        /// The site.
        site: Site,
        /// What its units are.
        grain: Grain,
        /// How many there are.
        units: usize,
    },
}
