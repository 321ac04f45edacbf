use std::fmt;

use crate::index::{Bindings, Expression, Set, Span, Variable};
use crate::step::{Coefficient, write_joined};
use crate::values::{Replacement, Selection, WrittenSelection};
use crate::{MAX_STEPS, ScheduleError, Site, Sublayer};

/// How often `repeat` and `loop` run a segment if the text does not say.
pub(crate) const DEFAULT_COUNT: usize = 2;

/// One edit of a chain.
///
/// Here its indices are block numbers and its positions numbers; in a parsed text they are expressions
/// ([`Edit::operations`](crate::Edit::operations)).
/// `id` has no operation: it is the empty chain. The [crate documentation](crate) says what each operation means.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation<I = usize, P = i64> {
    /// `drop(S)`, `drop_attn(S)`, `drop_mlp(S)`.
    Drop(Target, Set<I>),
    /// `keep(S)`.
    Keep(Set<I>),
    /// `swap(i,j)`.
    Swap(I, I),
    /// `reverse(a..b)`.
    Reverse(Span<I>),
    /// `shuffle(a..b,seed)`.
    Shuffle(Span<I>, u64),
    /// `permute(a..b,[p…])`.
    Permute(Span<I>, Vec<I>),
    /// `repeat(S,n)`.
    Repeat(Set<I>, usize),
    /// `loop(a..b,n)`.
    Loop(Span<I>, usize),
    /// `replace(i,j)`.
    Replace(I, I),
    /// `parallel(a..b)`, `parallel(a..b,sum)`.
    Parallel(Span<I>, Combination),
    /// `scale(S,α)`, `scale_attn(S,α)`, `scale_mlp(S,α)`.
    Scale(Target, Set<I>, Coefficient),
    /// `zero(A)`, `mean(A)`, `resample(A)`, `plain(A)`, `donor(A)`, `put(A,NAME)`, `add(A,NAME,α)`, `scale(A,α)`.
    Change(Selection<I, P>, Replacement),
    /// `window(S,w)`, `window(S,w,strict)`.
    Window {
        /// The blocks.
        blocks: Set<I>,
        /// The number of positions that a query attends to, its own included.
        width: usize,
        /// Whether position 0 is hidden as well.
        strict: bool,
    },
    /// `cut(S,U,Q,K)`.
    Cut {
        /// The blocks.
        blocks: Set<I>,
        /// The query heads.
        heads: Set<I>,
        /// The queries.
        queries: Set<P>,
        /// The keys that they do not attend to.
        keys: Set<P>,
    },
}

/// An operation as a text writes it.
pub(crate) type Written = Operation<Expression, Expression>;

/// Which sublayers of a block an edit acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// Both.
    Block,
    /// One of them.
    Only(Sublayer),
}

/// How the updates of parallel branches are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Combination {
    /// Averaged.
    Mean,
    /// Added up.
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

impl Written {
    /// Resolves indices to block numbers; the result has no empty range, and all its blocks, units and sites exist.
    pub(crate) fn resolve(&self, bindings: &Bindings) -> Result<Operation, ScheduleError> {
        let block = |index: &Expression| bindings.block(index, self);
        let set = |set: &Set<Expression>| bindings.blocks(set, self);
        let span = |span: &Span<Expression>| bindings.span(span, self);
        let positions = |set: &Set<Expression>| bindings.positions(set, self);
        Ok(match self {
            Self::Drop(target, blocks) => Operation::Drop(*target, set(blocks)?),
            Self::Keep(blocks) => Operation::Keep(set(blocks)?),
            Self::Swap(i, j) => Operation::Swap(block(i)?, block(j)?),
            Self::Reverse(range) => Operation::Reverse(span(range)?),
            Self::Shuffle(range, seed) => Operation::Shuffle(span(range)?, *seed),
            Self::Permute(range, labels) => {
                let labels = labels.iter().map(block).collect::<Result<_, _>>();
                Operation::Permute(span(range)?, labels?)
            }
            Self::Repeat(blocks, count) => Operation::Repeat(set(blocks)?, *count),
            Self::Loop(range, count) => Operation::Loop(span(range)?, *count),
            Self::Replace(i, j) => Operation::Replace(block(i)?, block(j)?),
            Self::Parallel(range, combination) => Operation::Parallel(span(range)?, *combination),
            Self::Scale(target, blocks, factor) => Operation::Scale(*target, set(blocks)?, *factor),
            Self::Change(selection, replacement) => {
                self.check_site(selection.site, replacement, bindings)?;
                Operation::Change(
                    resolve_selection(selection, bindings, self)?,
                    replacement.clone(),
                )
            }
            Self::Window {
                blocks,
                width,
                strict,
            } => Operation::Window {
                blocks: set(blocks)?,
                width: *width,
                strict: *strict,
            },
            Self::Cut {
                blocks,
                heads,
                queries,
                keys,
            } => {
                if let Some(reason) = Site::AttnPattern.missing(bindings.stack) {
                    return Err(self.no_such_site(Site::AttnPattern, reason));
                }
                Operation::Cut {
                    blocks: set(blocks)?,
                    heads: bindings.units(Site::AttnPattern, heads, self)?,
                    queries: positions(queries)?,
                    keys: positions(keys)?,
                }
            }
        })
    }

    fn no_such_site(&self, site: Site, reason: &'static str) -> ScheduleError {
        ScheduleError::NoSuchSite {
            edit: self.to_string(),
            site,
            reason,
        }
    }

    fn check_site(
        &self,
        site: Site,
        replacement: &Replacement,
        bindings: &Bindings,
    ) -> Result<(), ScheduleError> {
        if !site.is_writable() {
            return Err(ScheduleError::ReadOnlySite {
                edit: self.to_string(),
                site,
            });
        }
        if let Some(reason) = site.missing(bindings.stack) {
            return Err(self.no_such_site(site, reason));
        }
        match replacement {
            Replacement::Mean | Replacement::Put(_) | Replacement::Add(..)
                if site == Site::AttnPattern =>
            {
                Err(ScheduleError::NotOfPatterns {
                    edit: self.to_string(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Every expression for a block or a unit, and every expression for a position.
    fn expressions(&self) -> Vec<&Expression> {
        let mut all = Vec::new();
        match self {
            Self::Drop(_, set)
            | Self::Keep(set)
            | Self::Repeat(set, _)
            | Self::Scale(_, set, _) => {
                all.extend(set.indices());
            }
            Self::Swap(i, j) | Self::Replace(i, j) => all.extend([i, j]),
            Self::Reverse(span)
            | Self::Shuffle(span, _)
            | Self::Loop(span, _)
            | Self::Parallel(span, _) => all.extend([&span.start, &span.end]),
            Self::Permute(span, labels) => {
                all.extend([&span.start, &span.end]);
                all.extend(labels);
            }
            Self::Change(selection, _) => {
                let sets = [&selection.blocks, &selection.units, &selection.positions];
                all.extend(sets.into_iter().flatten().flat_map(Set::indices));
            }
            Self::Window { blocks, .. } => all.extend(blocks.indices()),
            Self::Cut {
                blocks,
                heads,
                queries,
                keys,
            } => all.extend(
                [blocks, heads, queries, keys]
                    .into_iter()
                    .flat_map(Set::indices),
            ),
        }
        all
    }

    /// Whether a variable occurs in the operation.
    pub(crate) fn mentions(&self, variable: Variable) -> bool {
        self.expressions()
            .iter()
            .any(|expression| expression.mentions(variable))
    }

    /// The site whose units the variable `h` runs over, if it occurs among units.
    pub(crate) fn site_of_units(&self) -> Option<Site> {
        let (site, units) = match self {
            Self::Change(selection, _) => (selection.site, selection.units.as_ref()?),
            Self::Cut { heads, .. } => (Site::AttnPattern, heads),
            _ => return None,
        };
        let mut indices = units.indices();
        indices
            .any(|index| index.mentions(Variable::H))
            .then_some(site)
    }
}

/// The values that a selection names. `edit` is what a message calls them; the caller has checked that the stack has the site.
pub(crate) fn resolve_selection(
    selection: &WrittenSelection,
    bindings: &Bindings,
    edit: &dyn fmt::Display,
) -> Result<Selection, ScheduleError> {
    let Selection {
        site,
        blocks,
        units,
        positions,
    } = selection;
    if !site.in_block() && (blocks.is_some() || units.is_some()) {
        return Err(ScheduleError::BlockOfEmbed {
            edit: edit.to_string(),
            site: *site,
        });
    }
    let blocks = blocks.as_ref().map(|set| bindings.blocks(set, edit));
    let units = units.as_ref().map(|set| bindings.units(*site, set, edit));
    let positions = positions.as_ref().map(|set| bindings.positions(set, edit));
    Ok(Selection {
        site: *site,
        blocks: blocks.transpose()?,
        units: units.transpose()?,
        positions: positions.transpose()?,
    })
}

impl Operation {
    /// Refuses a list that is not a permutation of its range, and counts out of range.
    pub(crate) fn check(&self) -> Result<(), ScheduleError> {
        match self {
            Self::Permute(Span { start, end }, labels) => {
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
            Self::Repeat(_, count) | Self::Loop(_, count) if !(1..=MAX_STEPS).contains(count) => {
                Err(self.count_out_of_range(*count, MAX_STEPS))
            }
            Self::Window { width, .. } if !(1..=MAX_WIDTH).contains(width) => {
                Err(self.count_out_of_range(*width, MAX_WIDTH))
            }
            _ => Ok(()),
        }
    }

    fn count_out_of_range(&self, count: usize, max: usize) -> ScheduleError {
        ScheduleError::CountOutOfRange {
            edit: self.to_string(),
            count,
            max,
        }
    }

    /// The operation as a text would write it.
    pub(crate) fn written(&self) -> Written {
        let index = |&index: &usize| Expression::number(index as i64);
        let position = |&position: &i64| Expression::number(position);
        let set = |set: &Set| set.map(index);
        let span = |span: &Span| Span {
            start: index(&span.start),
            end: index(&span.end),
        };
        match self {
            Self::Drop(target, blocks) => Operation::Drop(*target, set(blocks)),
            Self::Keep(blocks) => Operation::Keep(set(blocks)),
            Self::Swap(i, j) => Operation::Swap(index(i), index(j)),
            Self::Reverse(range) => Operation::Reverse(span(range)),
            Self::Shuffle(range, seed) => Operation::Shuffle(span(range), *seed),
            Self::Permute(range, labels) => {
                Operation::Permute(span(range), labels.iter().map(index).collect())
            }
            Self::Repeat(blocks, count) => Operation::Repeat(set(blocks), *count),
            Self::Loop(range, count) => Operation::Loop(span(range), *count),
            Self::Replace(i, j) => Operation::Replace(index(i), index(j)),
            Self::Parallel(range, combination) => Operation::Parallel(span(range), *combination),
            Self::Scale(target, blocks, factor) => Operation::Scale(*target, set(blocks), *factor),
            Self::Change(selection, replacement) => Operation::Change(
                Selection {
                    site: selection.site,
                    blocks: selection.blocks.as_ref().map(set),
                    units: selection.units.as_ref().map(set),
                    positions: selection.positions.as_ref().map(|set| set.map(position)),
                },
                replacement.clone(),
            ),
            Self::Window {
                blocks,
                width,
                strict,
            } => Operation::Window {
                blocks: set(blocks),
                width: *width,
                strict: *strict,
            },
            Self::Cut {
                blocks,
                heads,
                queries,
                keys,
            } => Operation::Cut {
                blocks: set(blocks),
                heads: set(heads),
                queries: queries.map(position),
                keys: keys.map(position),
            },
        }
    }
}

/// The widest window.
pub(crate) const MAX_WIDTH: usize = 1 << 30;

impl<I: fmt::Display, P: fmt::Display> fmt::Display for Operation<I, P> {
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
            Self::Change(selection, replacement) => replacement.write(f, selection),
            Self::Window {
                blocks,
                width,
                strict,
            } => {
                let strict = if *strict { ",strict" } else { "" };
                write!(f, "window({blocks},{width}{strict})")
            }
            Self::Cut {
                blocks,
                heads,
                queries,
                keys,
            } => write!(f, "cut({blocks},{heads},{queries},{keys})"),
        }
    }
}
