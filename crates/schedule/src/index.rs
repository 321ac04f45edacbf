use std::fmt;
use std::ops::{Range, RangeFrom};

use crate::error::ScheduleError;
use crate::site::{Grain, Site};
use crate::stack::Stack;
use crate::step::write_joined;

/// A sum of products over integers and the names `l`, `m`, `h`, `p`, `L`, kept as written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Expression {
    pub(crate) terms: Vec<Term>,
}

/// One summand with its sign.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Term {
    pub(crate) negative: bool,
    pub(crate) factors: Vec<Factor>,
}

/// One factor of a summand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Factor {
    Number(u64),
    Layers,
    Variable(Variable),
    Group(Expression),
}

/// A free variable of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Variable {
    L,
    M,
    H,
    P,
}

impl Variable {
    pub(crate) fn name(self) -> char {
        match self {
            Self::L => 'l',
            Self::M => 'm',
            Self::H => 'h',
            Self::P => 'p',
        }
    }
}

/// A half-open range of blocks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Span<I = usize> {
    pub(crate) start: I,
    pub(crate) end: I,
}

impl<I> Span<I> {
    /// The first block.
    pub fn start(&self) -> &I {
        &self.start
    }

    /// One past the last block.
    pub fn end(&self) -> &I {
        &self.end
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self {
            start: range.start,
            end: range.end,
        }
    }
}

/// One entry of a set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Item<I> {
    Block(I),
    Span(Span<I>),
    /// Everything from here on.
    From(I),
}

/// A set of blocks, units or positions, as a list in the order of writing.
///
/// ```
/// use layerwise_schedule::{Selection, Set, Site};
///
/// let blocks: Set = Set::from(0..2).and(5);
/// assert_eq!(blocks.members(12).collect::<Vec<_>>(), [0, 1, 5]);
/// let selection = Selection::of(Site::MlpOut).blocks(blocks);
/// assert_eq!(selection.to_string(), "mlp.out[[0..2,5]]");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Set<I = usize>(pub(crate) Vec<Item<I>>);

impl<I> From<I> for Set<I> {
    fn from(one: I) -> Self {
        Self(vec![Item::Block(one)])
    }
}

impl<I> From<Range<I>> for Set<I> {
    fn from(range: Range<I>) -> Self {
        Self(vec![Item::Span(Span {
            start: range.start,
            end: range.end,
        })])
    }
}

impl<I> From<RangeFrom<I>> for Set<I> {
    fn from(range: RangeFrom<I>) -> Self {
        Self(vec![Item::From(range.start)])
    }
}

impl<I> FromIterator<I> for Set<I> {
    fn from_iter<T: IntoIterator<Item = I>>(entries: T) -> Self {
        Self(entries.into_iter().map(Item::Block).collect())
    }
}

impl<I> Set<I> {
    /// Adds others to these.
    #[must_use]
    pub fn and(mut self, others: impl Into<Self>) -> Self {
        self.0.extend(others.into().0);
        self
    }
}

impl Set {
    /// The members among `0..limit`, ascending.
    pub fn members(&self, limit: usize) -> impl Iterator<Item = usize> + use<> {
        let mask = self.mask(limit);
        (0..limit).filter(move |at| mask[*at])
    }
}

/// The values of the names in an expression.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bindings {
    pub(crate) stack: Stack,
    /// The number of positions of every sequence, if all have the same number.
    pub(crate) positions: Option<usize>,
    pub(crate) l: Option<usize>,
    pub(crate) m: Option<usize>,
    pub(crate) h: Option<usize>,
    pub(crate) p: Option<usize>,
}

/// The kind of thing that an index counts.
#[derive(Clone, Copy)]
enum Kind {
    Block,
    Unit(Site, Grain),
    Position,
}

impl Expression {
    /// The expression for the number `value`; a negative one counts from the end.
    pub(crate) fn number(value: i64) -> Self {
        let factors = vec![Factor::Number(value.unsigned_abs())];
        Self {
            terms: vec![Term {
                negative: value < 0,
                factors,
            }],
        }
    }

    /// Whether the variable occurs in the expression.
    pub(crate) fn mentions(&self, variable: Variable) -> bool {
        let mut factors = self.terms.iter().flat_map(|term| &term.factors);
        factors.any(|factor| match factor {
            Factor::Variable(own) => *own == variable,
            Factor::Group(inner) => inner.mentions(variable),
            Factor::Number(_) | Factor::Layers => false,
        })
    }

    /// `Some(n)` if the whole expression is the literal `-n`.
    fn literal_negative(&self) -> Option<u64> {
        match self.terms.as_slice() {
            [
                Term {
                    negative: true,
                    factors,
                },
            ] => match factors.as_slice() {
                [Factor::Number(n)] => Some(*n),
                _ => None,
            },
            _ => None,
        }
    }

    /// `None` if an intermediate result leaves the range of `i128`.
    fn value(&self, bindings: &Bindings) -> Option<i128> {
        self.terms.iter().try_fold(0_i128, |sum, term| {
            let product = term.factors.iter().try_fold(1_i128, |product, factor| {
                let factor = match factor {
                    Factor::Number(n) => i128::from(*n),
                    Factor::Layers => bindings.stack.layers as i128,
                    Factor::Variable(variable) => bindings.variable(*variable) as i128,
                    Factor::Group(inner) => inner.value(bindings)?,
                };
                product.checked_mul(factor)
            })?;
            if term.negative {
                sum.checked_sub(product)
            } else {
                sum.checked_add(product)
            }
        })
    }
}

impl Bindings {
    /// For an edit without variables: the stack alone.
    pub(crate) fn of(stack: Stack) -> Self {
        Self {
            stack,
            positions: None,
            l: None,
            m: None,
            h: None,
            p: None,
        }
    }

    /// The parser admits no variable that a family does not bind.
    fn variable(&self, variable: Variable) -> usize {
        match variable {
            Variable::L => self.l,
            Variable::M => self.m,
            Variable::H => self.h,
            Variable::P => self.p,
        }
        .expect("a family binds every variable that its text uses")
    }

    fn value(
        &self,
        expression: &Expression,
        edit: &dyn fmt::Display,
    ) -> Result<i128, ScheduleError> {
        expression
            .value(self)
            .ok_or_else(|| ScheduleError::IndexOverflow {
                edit: edit.to_string(),
                expression: expression.to_string(),
            })
    }

    /// The error for an index that is out of range.
    fn out_of_range(&self, kind: Kind, index: i128, edit: &dyn fmt::Display) -> ScheduleError {
        let edit = edit.to_string();
        match kind {
            Kind::Block => ScheduleError::IndexOutOfRange {
                edit,
                index,
                layers: self.stack.layers,
            },
            Kind::Unit(site, grain) => ScheduleError::UnitOutOfRange {
                edit,
                index,
                site,
                units: grain.count(self.stack.units),
                grain,
            },
            Kind::Position => ScheduleError::PositionOutOfRange {
                edit,
                index,
                positions: self.positions,
            },
        }
    }

    fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Block => self.stack.layers,
            Kind::Unit(_, grain) => grain.count(self.stack.units),
            Kind::Position => self.positions.unwrap_or(usize::MAX),
        }
    }

    /// The value of `expression` within `0..limit`, where a literal negative number counts from the end.
    fn resolve(
        &self,
        expression: &Expression,
        kind: Kind,
        limit: usize,
        edit: &dyn fmt::Display,
    ) -> Result<usize, ScheduleError> {
        let value = self.value(expression, edit)?;
        // A literal −0 is the number 0.
        let from_end = expression.literal_negative().is_some_and(|n| n > 0);
        let position = if from_end {
            value + self.count(kind) as i128
        } else {
            value
        };
        usize::try_from(position)
            .ok()
            .filter(|&position| position < limit)
            .ok_or_else(|| self.out_of_range(kind, value, edit))
    }

    fn range(
        &self,
        span: &Span<Expression>,
        kind: Kind,
        edit: &dyn fmt::Display,
    ) -> Result<Span<usize>, ScheduleError> {
        // Both ends may equal the count, so that `12..12` is called empty rather than out of range.
        let limit = self.count(kind).saturating_add(1);
        let start = self.resolve(&span.start, kind, limit, edit)?;
        let end = self.resolve(&span.end, kind, limit, edit)?;
        if start >= end {
            return Err(ScheduleError::EmptyRange {
                edit: edit.to_string(),
                start,
                end,
            });
        }
        Ok(Span { start, end })
    }

    fn set(
        &self,
        set: &Set<Expression>,
        kind: Kind,
        edit: &dyn fmt::Display,
    ) -> Result<Set<usize>, ScheduleError> {
        let count = self.count(kind);
        let item = |item: &Item<Expression>| {
            Ok(match item {
                Item::Block(index) => Item::Block(self.resolve(index, kind, count, edit)?),
                Item::Span(span) => Item::Span(self.range(span, kind, edit)?),
                Item::From(start) => Item::Span(Span {
                    start: self.resolve(start, kind, count, edit)?,
                    end: count,
                }),
            })
        };
        set.check_not_empty(edit)?;
        set.0.iter().map(item).collect::<Result<_, _>>().map(Set)
    }

    /// The block that `expression` names.
    pub(crate) fn block(
        &self,
        expression: &Expression,
        edit: &dyn fmt::Display,
    ) -> Result<usize, ScheduleError> {
        self.resolve(expression, Kind::Block, self.stack.layers, edit)
    }

    /// The range that `span` names, never empty.
    pub(crate) fn span(
        &self,
        span: &Span<Expression>,
        edit: &dyn fmt::Display,
    ) -> Result<Span<usize>, ScheduleError> {
        self.range(span, Kind::Block, edit)
    }

    /// The blocks that `set` names.
    pub(crate) fn blocks(
        &self,
        set: &Set<Expression>,
        edit: &dyn fmt::Display,
    ) -> Result<Set<usize>, ScheduleError> {
        self.set(set, Kind::Block, edit)
    }

    /// The units of a site that `set` names.
    pub(crate) fn units(
        &self,
        site: Site,
        set: &Set<Expression>,
        edit: &dyn fmt::Display,
    ) -> Result<Set<usize>, ScheduleError> {
        self.set(set, Kind::Unit(site, site.grain()), edit)
    }

    /// The position that `expression` names; a literal negative number counts from an end that is not yet known.
    fn position(
        &self,
        expression: &Expression,
        is_end: bool,
        edit: &dyn fmt::Display,
    ) -> Result<i64, ScheduleError> {
        let value = self.value(expression, edit)?;
        let fits = i64::try_from(value).ok().filter(|position| {
            let from_end = expression.literal_negative().is_some_and(|n| n > 0);
            let limit = self.positions.map_or(MAX_POSITION, |all| all as i64);
            match from_end {
                true => -limit <= *position,
                false => (0..limit + i64::from(is_end)).contains(position),
            }
        });
        fits.ok_or_else(|| self.out_of_range(Kind::Position, value, edit))
    }

    /// The positions that `set` names.
    pub(crate) fn positions(
        &self,
        set: &Set<Expression>,
        edit: &dyn fmt::Display,
    ) -> Result<Set<i64>, ScheduleError> {
        let item = |item: &Item<Expression>| {
            Ok(match item {
                Item::Block(index) => Item::Block(self.position(index, false, edit)?),
                Item::From(index) => Item::From(self.position(index, false, edit)?),
                Item::Span(Span { start, end }) => {
                    let start = self.position(start, false, edit)?;
                    let end = self.position(end, true, edit)?;
                    if (start < 0) == (end < 0) && start >= end {
                        return Err(ScheduleError::EmptyPositions {
                            edit: edit.to_string(),
                            start,
                            end,
                        });
                    }
                    Item::Span(Span { start, end })
                }
            })
        };
        set.check_not_empty(edit)?;
        set.0.iter().map(item).collect::<Result<_, _>>().map(Set)
    }
}

/// Positions must be below this.
const MAX_POSITION: i64 = 1 << 40;

impl<I> Set<I> {
    fn check_not_empty(&self, edit: &dyn fmt::Display) -> Result<(), ScheduleError> {
        match self.0.is_empty() {
            true => Err(ScheduleError::EmptySet {
                edit: edit.to_string(),
            }),
            false => Ok(()),
        }
    }

    /// The same set with every number written as an expression.
    pub(crate) fn map<J>(&self, index: impl Fn(&I) -> J) -> Set<J> {
        let item = |item: &Item<I>| match item {
            Item::Block(block) => Item::Block(index(block)),
            Item::Span(span) => Item::Span(Span {
                start: index(&span.start),
                end: index(&span.end),
            }),
            Item::From(start) => Item::From(index(start)),
        };
        Set(self.0.iter().map(item).collect())
    }

    /// Every number in the set.
    pub(crate) fn indices(&self) -> impl Iterator<Item = &I> {
        self.0.iter().flat_map(|item| match item {
            Item::Block(index) | Item::From(index) => vec![index],
            Item::Span(Span { start, end }) => vec![start, end],
        })
    }
}

impl Span<usize> {
    pub(crate) fn contains(&self, block: usize) -> bool {
        (self.start..self.end).contains(&block)
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }
}

impl Set<usize> {
    /// For every block of a stack, whether the set contains it.
    pub(crate) fn mask(&self, layers: usize) -> Vec<bool> {
        let mut mask = vec![false; layers];
        for item in &self.0 {
            match *item {
                Item::Block(block) => mask[block] = true,
                Item::Span(Span { start, end }) => mask[start..end].fill(true),
                Item::From(start) => mask[start..].fill(true),
            }
        }
        mask
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, term) in self.terms.iter().enumerate() {
            match (term.negative, i) {
                (true, _) => f.write_str("-")?,
                (false, 0) => {}
                (false, _) => f.write_str("+")?,
            }
            write_joined(f, &term.factors, "*")?;
        }
        Ok(())
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Layers => f.write_str("L"),
            Self::Variable(variable) => write!(f, "{}", variable.name()),
            Self::Group(inner) => write!(f, "({inner})"),
        }
    }
}

impl<I: fmt::Display> fmt::Display for Span<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

impl<I: fmt::Display> fmt::Display for Item<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(block) => write!(f, "{block}"),
            Self::Span(span) => write!(f, "{span}"),
            Self::From(start) => write!(f, "{start}.."),
        }
    }
}

impl<I: fmt::Display> fmt::Display for Set<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [item] => write!(f, "{item}"),
            items => {
                f.write_str("[")?;
                write_joined(f, items, ",")?;
                f.write_str("]")
            }
        }
    }
}
