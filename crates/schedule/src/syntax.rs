//! The grammar of edit texts.
//!
//! The parser reads from left to right and never goes back; its recursion is bounded by [`MAX_DEPTH`].

use crate::index::{Expression, Factor, Item, Set, Span, Term, Variable};
use crate::nearest::nearest_names;
use crate::operation::{Combination, DEFAULT_COUNT, Operation, Target};
use crate::schedule::Coefficient;
use crate::{MAX_STEPS, ScheduleError, Sublayer};

/// The longest edit text that is read, in bytes.
pub const MAX_TEXT_BYTES: usize = 65_536;

/// How deeply parentheses may be nested in an index expression.
const MAX_DEPTH: usize = 32;

/// What the name of an edit stands for.
#[derive(Clone, Copy)]
enum Name {
    Id,
    Drop(Target),
    Keep,
    Swap,
    Reverse,
    Shuffle,
    Permute,
    Repeat,
    Loop,
    Replace,
    Parallel,
    Scale(Target),
}

/// The names of all edits, in the order in which the crate documentation lists them.
const NAMES: [(&str, Name); 16] = [
    ("id", Name::Id),
    ("drop", Name::Drop(Target::Block)),
    ("drop_attn", Name::Drop(Target::Only(Sublayer::Attn))),
    ("drop_mlp", Name::Drop(Target::Only(Sublayer::Mlp))),
    ("keep", Name::Keep),
    ("swap", Name::Swap),
    ("reverse", Name::Reverse),
    ("shuffle", Name::Shuffle),
    ("permute", Name::Permute),
    ("repeat", Name::Repeat),
    ("loop", Name::Loop),
    ("replace", Name::Replace),
    ("parallel", Name::Parallel),
    ("scale", Name::Scale(Target::Block)),
    ("scale_attn", Name::Scale(Target::Only(Sublayer::Attn))),
    ("scale_mlp", Name::Scale(Target::Only(Sublayer::Mlp))),
];

/// A parsed text: the chain, and the byte position of each variable's first use.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) operations: Vec<Operation<Expression>>,
    pub(crate) l: Option<usize>,
    pub(crate) m: Option<usize>,
}

/// Parses a chain of edits.
pub(crate) fn parse(text: &str) -> Result<Parsed, ScheduleError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(ScheduleError::TextTooLong {
            bytes: text.len(),
            max: MAX_TEXT_BYTES,
        });
    }
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
        l: None,
        m: None,
    };
    let mut operations = Vec::new();
    loop {
        operations.extend(parser.operation()?);
        if parser.rest().is_empty() {
            return Ok(Parsed {
                operations,
                l: parser.l,
                m: parser.m,
            });
        }
        parser.expect(";", "`;` or the end of the text")?;
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    l: Option<usize>,
    m: Option<usize>,
}

impl<'a> Parser<'a> {
    /// The text from the next token on.
    fn rest(&mut self) -> &'a str {
        let rest = self.text[self.at..].trim_ascii_start();
        self.at = self.text.len() - rest.len();
        rest
    }

    /// The error that something else than `expected` comes next.
    fn unexpected(&mut self, expected: &'static str) -> ScheduleError {
        let found = match self.rest().chars().next() {
            Some(found) => format!("{found:?}"),
            None => "the end of the text".to_owned(),
        };
        ScheduleError::Syntax {
            at: self.at,
            expected,
            found,
        }
    }

    /// Steps over `token` if it comes next.
    fn accept(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str, expected: &'static str) -> Result<(), ScheduleError> {
        if self.accept(token) {
            Ok(())
        } else {
            Err(self.unexpected(expected))
        }
    }

    fn comma(&mut self) -> Result<(), ScheduleError> {
        self.expect(",", "`,`")
    }

    /// Steps over the longest, possibly empty run of characters that `belongs` admits.
    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let token = &rest[..rest.find(|c| !belongs(c)).unwrap_or(rest.len())];
        self.at += token.len();
        token
    }

    /// One edit; `None` for `id`.
    fn operation(&mut self) -> Result<Option<Operation<Expression>>, ScheduleError> {
        self.rest();
        let at = self.at;
        let written = self.take(|c| c.is_alphanumeric() || c == '_');
        if written.is_empty() {
            return Err(self.unexpected("the name of an edit"));
        }
        let Some(&(text, name)) = NAMES.iter().find(|(text, _)| *text == written) else {
            return Err(ScheduleError::UnknownEdit {
                name: written.to_owned(),
                at,
                nearest: nearest_names(written, NAMES.map(|(name, _)| name)),
            });
        };
        if !matches!(name, Name::Id) {
            self.expect("(", "`(`")?;
        }
        let operation = match name {
            Name::Id => return Ok(None),
            Name::Drop(target) => Operation::Drop(target, self.set()?),
            Name::Keep => Operation::Keep(self.set()?),
            Name::Swap => {
                let (i, j) = self.pair()?;
                Operation::Swap(i, j)
            }
            Name::Reverse => Operation::Reverse(self.span()?),
            Name::Shuffle => {
                let span = self.span()?;
                self.comma()?;
                Operation::Shuffle(span, self.integer("a seed")?)
            }
            Name::Permute => {
                let span = self.span()?;
                self.comma()?;
                self.expect("[", "`[`")?;
                Operation::Permute(span, self.list(Self::expression)?)
            }
            Name::Repeat => Operation::Repeat(self.set()?, self.count(text)?),
            Name::Loop => Operation::Loop(self.span()?, self.count(text)?),
            Name::Replace => {
                let (i, j) = self.pair()?;
                Operation::Replace(i, j)
            }
            Name::Parallel => {
                let span = self.span()?;
                let mut combination = Combination::Mean;
                if self.accept(",") {
                    self.expect("sum", "`sum`")?;
                    combination = Combination::Sum;
                }
                Operation::Parallel(span, combination)
            }
            Name::Scale(target) => {
                let set = self.set()?;
                self.comma()?;
                Operation::Scale(target, set, self.factor_of_scale()?)
            }
        };
        self.expect(")", "`)`")?;
        Ok(Some(operation))
    }

    /// Two blocks, `i,j`.
    fn pair(&mut self) -> Result<(Expression, Expression), ScheduleError> {
        let i = self.expression()?;
        self.comma()?;
        Ok((i, self.expression()?))
    }

    /// A block, a range, or a list of both in brackets.
    fn set(&mut self) -> Result<Set<Expression>, ScheduleError> {
        if self.accept("[") {
            self.list(Self::item).map(Set)
        } else {
            Ok(Set(vec![self.item()?]))
        }
    }

    /// The entries of a list and its closing bracket; at least one entry.
    fn list<T>(
        &mut self,
        entry: impl Fn(&mut Self) -> Result<T, ScheduleError>,
    ) -> Result<Vec<T>, ScheduleError> {
        let mut entries = vec![entry(self)?];
        while self.accept(",") {
            entries.push(entry(self)?);
        }
        self.expect("]", "`,` or `]`")?;
        Ok(entries)
    }

    fn item(&mut self) -> Result<Item<Expression>, ScheduleError> {
        let start = self.expression()?;
        Ok(if self.accept("..") {
            Item::Span(Span {
                start,
                end: self.expression()?,
            })
        } else {
            Item::Block(start)
        })
    }

    fn span(&mut self) -> Result<Span<Expression>, ScheduleError> {
        let start = self.expression()?;
        self.expect("..", "`..`")?;
        Ok(Span {
            start,
            end: self.expression()?,
        })
    }

    fn expression(&mut self) -> Result<Expression, ScheduleError> {
        let mut negative = self.accept("-");
        let mut terms = Vec::new();
        loop {
            let mut factors = vec![self.factor()?];
            while self.accept("*") {
                factors.push(self.factor()?);
            }
            terms.push(Term { negative, factors });
            negative = self.accept("-");
            if !negative && !self.accept("+") {
                return Ok(Expression { terms });
            }
        }
    }

    fn factor(&mut self) -> Result<Factor, ScheduleError> {
        const EXPECTED: &str = "a block: a number, `l`, `m`, `L` or `(`";
        self.rest();
        let at = self.at;
        if self.accept("(") {
            if self.depth == MAX_DEPTH {
                self.at = at;
                return Err(self.unexpected("at most 32 nested parentheses"));
            }
            self.depth += 1;
            let inner = self.expression()?;
            self.depth -= 1;
            self.expect(")", "`)`")?;
            return Ok(Factor::Group(inner));
        }
        if self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            return self.integer(EXPECTED).map(Factor::Number);
        }
        let word = self.take(|c| c.is_alphanumeric() || c == '_');
        match word {
            "L" => Ok(Factor::Layers),
            "l" => {
                self.l.get_or_insert(at);
                Ok(Factor::Variable(Variable::L))
            }
            "m" => {
                self.m.get_or_insert(at);
                Ok(Factor::Variable(Variable::M))
            }
            _ => {
                self.at = at;
                Err(self.unexpected(EXPECTED))
            }
        }
    }

    /// A non-negative integer.
    fn integer(&mut self, expected: &'static str) -> Result<u64, ScheduleError> {
        self.rest();
        let at = self.at;
        let digits = self.take(|c| c.is_ascii_digit());
        if digits.is_empty() {
            return Err(self.unexpected(expected));
        }
        // Digits alone fail to parse only by being too many.
        digits.parse().map_err(|_| ScheduleError::Syntax {
            at,
            expected: "a number below 2^64",
            found: format!("{} digits", digits.len()),
        })
    }

    /// `,n` of `repeat` or `loop`, which may be left out.
    fn count(&mut self, edit: &'static str) -> Result<usize, ScheduleError> {
        if !self.accept(",") {
            return Ok(DEFAULT_COUNT);
        }
        self.rest();
        let at = self.at;
        let count = self.integer("a count")?;
        usize::try_from(count)
            .ok()
            .filter(|count| (1..=MAX_STEPS).contains(count))
            .ok_or(ScheduleError::Count {
                edit,
                at,
                count,
                max: MAX_STEPS,
            })
    }

    /// A decimal number, possibly with sign, fraction and exponent.
    fn factor_of_scale(&mut self) -> Result<Coefficient, ScheduleError> {
        self.rest();
        let at = self.at;
        let written = self.take(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'));
        let Ok(value) = written.parse::<f64>() else {
            self.at = at;
            return Err(self.unexpected("a finite decimal number"));
        };
        Coefficient::new(value).ok_or_else(|| ScheduleError::FactorNotFinite {
            factor: written.to_owned(),
            at,
        })
    }
}
