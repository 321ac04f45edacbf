use std::fmt;

use crate::ScheduleError;
use crate::schedule::write_joined;

/// A sum of products over integers and the names `l`, `m`, `L`, kept as written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Expression {
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
}

impl Variable {
    pub(crate) fn name(self) -> char {
        match self {
            Self::L => 'l',
            Self::M => 'm',
        }
    }
}

/// A half-open range of blocks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Span<I> {
    pub(crate) start: I,
    pub(crate) end: I,
}

/// One entry of a set of blocks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Item<I> {
    Block(I),
    Span(Span<I>),
}

/// A set of blocks, as a non-empty list in the order of writing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Set<I>(pub(crate) Vec<Item<I>>);

/// The numbers that the names in an expression stand for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bindings {
    pub(crate) layers: usize,
    pub(crate) l: Option<usize>,
    pub(crate) m: Option<usize>,
}

impl Expression {
    /// The expression that is the number `value`.
    pub(crate) fn number(value: usize) -> Self {
        let factors = vec![Factor::Number(value as u64)];
        Self {
            terms: vec![Term {
                negative: false,
                factors,
            }],
        }
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
                    Factor::Layers => bindings.layers as i128,
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
    /// The parser lets no variable through unless a family binds it.
    fn variable(&self, variable: Variable) -> usize {
        match variable {
            Variable::L => self.l,
            Variable::M => self.m,
        }
        .expect("a family binds every variable that its text uses")
    }

    /// The value of `expression` within `0..limit`, where a literal negative number counts from `layers`.
    fn resolve(
        &self,
        expression: &Expression,
        limit: usize,
        edit: &dyn fmt::Display,
    ) -> Result<usize, ScheduleError> {
        let value = expression
            .value(self)
            .ok_or_else(|| ScheduleError::IndexOverflow {
                edit: edit.to_string(),
                expression: expression.to_string(),
            })?;
        // A literal −0 is the number 0.
        let from_end = expression.literal_negative().is_some_and(|n| n > 0);
        let position = if from_end {
            value + self.layers as i128
        } else {
            value
        };
        usize::try_from(position)
            .ok()
            .filter(|&position| position < limit)
            .ok_or_else(|| ScheduleError::IndexOutOfRange {
                edit: edit.to_string(),
                index: value,
                layers: self.layers,
            })
    }

    /// The block that `expression` names.
    pub(crate) fn block(
        &self,
        expression: &Expression,
        edit: &dyn fmt::Display,
    ) -> Result<usize, ScheduleError> {
        self.resolve(expression, self.layers, edit)
    }

    /// The range that `span` names, never empty.
    pub(crate) fn span(
        &self,
        span: &Span<Expression>,
        edit: &dyn fmt::Display,
    ) -> Result<Span<usize>, ScheduleError> {
        // Both ends may reach `layers`, so that `12..12` is called empty rather than out of range.
        let limit = self.layers.saturating_add(1);
        let start = self.resolve(&span.start, limit, edit)?;
        let end = self.resolve(&span.end, limit, edit)?;
        if start >= end {
            return Err(ScheduleError::EmptyRange {
                edit: edit.to_string(),
                start,
                end,
            });
        }
        Ok(Span { start, end })
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
    /// For every block of a stack, whether it is in the set.
    pub(crate) fn mask(&self, layers: usize) -> Vec<bool> {
        let mut mask = vec![false; layers];
        for item in &self.0 {
            match *item {
                Item::Block(block) => mask[block] = true,
                Item::Span(Span { start, end }) => mask[start..end].fill(true),
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
