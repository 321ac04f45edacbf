use std::fmt;

use crate::index::{Bindings, Expression, Item, Set, Span};
use crate::schedule::{Coefficient, write_joined};
use crate::{ScheduleError, Sublayer};

/// How often `repeat` and `loop` run if the text does not say.
pub(crate) const DEFAULT_COUNT: usize = 2;

/// One edit of a chain, with indices of type `I`: expressions as written, or resolved block numbers.
///
/// `id` has no operation: it is the empty chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Operation<I> {
    Drop(Target, Set<I>),
    Keep(Set<I>),
    Swap(I, I),
    Reverse(Span<I>),
    Shuffle(Span<I>, u64),
    Permute(Span<I>, Vec<I>),
    Repeat(Set<I>, usize),
    Loop(Span<I>, usize),
    Replace(I, I),
    Parallel(Span<I>, Combination),
    Scale(Target, Set<I>, Coefficient),
}

/// Which sublayers of a block an edit acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Block,
    Only(Sublayer),
}

/// How the updates of parallel branches are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Combination {
    Mean,
    Sum,
}

impl Target {
    pub(crate) fn includes(self, sublayer: Sublayer) -> bool {
        match self {
            Self::Block => true,
            Self::Only(only) => only == sublayer,
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Block => "",
            Self::Only(Sublayer::Attn) => "_attn",
            Self::Only(Sublayer::Mlp) => "_mlp",
        }
    }
}

impl<I> Operation<I> {
    /// The same operation with every index and range mapped.
    fn try_map<J, E>(
        &self,
        index: impl Fn(&I) -> Result<J, E>,
        span: impl Fn(&Span<I>) -> Result<Span<J>, E>,
    ) -> Result<Operation<J>, E> {
        let set = |set: &Set<I>| {
            let items = set.0.iter().map(|item| {
                Ok(match item {
                    Item::Block(block) => Item::Block(index(block)?),
                    Item::Span(range) => Item::Span(span(range)?),
                })
            });
            items.collect::<Result<_, E>>().map(Set)
        };
        Ok(match self {
            Self::Drop(target, blocks) => Operation::Drop(*target, set(blocks)?),
            Self::Keep(blocks) => Operation::Keep(set(blocks)?),
            Self::Swap(i, j) => Operation::Swap(index(i)?, index(j)?),
            Self::Reverse(range) => Operation::Reverse(span(range)?),
            Self::Shuffle(range, seed) => Operation::Shuffle(span(range)?, *seed),
            Self::Permute(range, labels) => {
                let labels = labels.iter().map(&index).collect::<Result<_, E>>();
                Operation::Permute(span(range)?, labels?)
            }
            Self::Repeat(blocks, count) => Operation::Repeat(set(blocks)?, *count),
            Self::Loop(range, count) => Operation::Loop(span(range)?, *count),
            Self::Replace(i, j) => Operation::Replace(index(i)?, index(j)?),
            Self::Parallel(range, combination) => Operation::Parallel(span(range)?, *combination),
            Self::Scale(target, blocks, factor) => Operation::Scale(*target, set(blocks)?, *factor),
        })
    }
}

impl Operation<Expression> {
    /// The operation with block numbers; its ranges are not empty and all its blocks exist.
    pub(crate) fn resolve(&self, bindings: &Bindings) -> Result<Operation<usize>, ScheduleError> {
        self.try_map(
            |index| bindings.block(index, self),
            |span| bindings.span(span, self),
        )
    }
}

impl Operation<usize> {
    /// Refuses a list that is no permutation of its range.
    pub(crate) fn check_permutation(&self) -> Result<(), ScheduleError> {
        let Self::Permute(Span { start, end }, labels) = self else {
            return Ok(());
        };
        let mut sorted = labels.clone();
        sorted.sort_unstable();
        if sorted.into_iter().eq(*start..*end) {
            return Ok(());
        }
        Err(ScheduleError::NotAPermutation {
            edit: self.to_string(),
            start: *start,
            end: *end,
            labels: labels.clone(),
        })
    }

    /// The operation as a text would write it.
    pub(crate) fn written(&self) -> Operation<Expression> {
        let number = |&index: &usize| Ok::<_, std::convert::Infallible>(Expression::number(index));
        let Ok(operation) = self.try_map(number, |span| {
            Ok(Span {
                start: number(&span.start)?,
                end: number(&span.end)?,
            })
        });
        operation
    }
}

impl<I: fmt::Display> fmt::Display for Operation<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop(target, set) => write!(f, "drop{}({set})", target.suffix()),
            Self::Keep(set) => write!(f, "keep({set})"),
            Self::Swap(i, j) => write!(f, "swap({i},{j})"),
            Self::Reverse(span) => write!(f, "reverse({span})"),
            Self::Shuffle(span, seed) => write!(f, "shuffle({span},{seed})"),
            Self::Permute(span, labels) => {
                write!(f, "permute({span},[")?;
                write_joined(f, labels, ",")?;
                f.write_str("])")
            }
            Self::Repeat(set, DEFAULT_COUNT) => write!(f, "repeat({set})"),
            Self::Repeat(set, count) => write!(f, "repeat({set},{count})"),
            Self::Loop(span, DEFAULT_COUNT) => write!(f, "loop({span})"),
            Self::Loop(span, count) => write!(f, "loop({span},{count})"),
            Self::Replace(i, j) => write!(f, "replace({i},{j})"),
            Self::Parallel(span, Combination::Mean) => write!(f, "parallel({span})"),
            Self::Parallel(span, Combination::Sum) => write!(f, "parallel({span},sum)"),
            Self::Scale(target, set, factor) => {
                write!(f, "scale{}({set},{factor})", target.suffix())
            }
        }
    }
}
