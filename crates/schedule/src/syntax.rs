//! The grammar of edit texts.
//!
//! The parser reads from left to right without backtracking; [`MAX_DEPTH`] bounds its recursion.

use crate::index::{Expression, Factor, Item, Set, Span, Term, Variable};
use crate::nearest::nearest_names;
use crate::operation::{Combination, DEFAULT_COUNT, MAX_WIDTH, Operation, Target, Written};
use crate::step::Coefficient;
use crate::values::{Replacement, Selection, TensorName, WrittenSelection};
use crate::{MAX_STEPS, ScheduleError, Site, Sublayer};

/// The longest edit text that is read, in bytes.
pub const MAX_TEXT_BYTES: usize = 65_536;

/// How deeply parentheses may be nested in an index expression.
const MAX_DEPTH: usize = 32;

/// What the name of an edit means.
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
    Change(fn() -> Replacement),
    Put,
    Add,
    Window,
    Cut,
}

/// The names of all edits, in the order in which the crate documentation lists them.
const NAMES: [(&str, Name); 25] = [
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
    ("zero", Name::Change(|| Replacement::Zero)),
    ("mean", Name::Change(|| Replacement::Mean)),
    ("resample", Name::Change(|| Replacement::Resample)),
    ("plain", Name::Change(|| Replacement::Plain)),
    ("donor", Name::Change(|| Replacement::Donor)),
    ("put", Name::Put),
    ("add", Name::Add),
    ("window", Name::Window),
    ("cut", Name::Cut),
];

/// A parsed text: the chain, and the byte position of each variable's first use.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) operations: Vec<Written>,
    /// For each variable that occurs.
    pub(crate) first_uses: Vec<(Variable, usize)>,
}

/// Parses selections of values between commas, without variables.
pub(crate) fn parse_selections(text: &str) -> Result<Vec<WrittenSelection>, ScheduleError> {
    let mut parser = Parser::new(text)?;
    let mut selections = vec![parser.selection()?];
    while !parser.rest().is_empty() {
        parser.expect(",", "`,` or the end of the text")?;
        selections.push(parser.selection()?);
    }
    match parser.first_uses.first() {
        Some((variable, at)) => Err(ScheduleError::FreeVariable {
            variable: variable.name(),
            at: *at,
        }),
        None => Ok(selections),
    }
}

/// Parses a chain of edits.
pub(crate) fn parse(text: &str) -> Result<Parsed, ScheduleError> {
    let mut parser = Parser::new(text)?;
    let mut operations = Vec::new();
    loop {
        operations.extend(parser.operation()?);
        if parser.rest().is_empty() {
            return Ok(Parsed {
                operations,
                first_uses: parser.first_uses,
            });
        }
        parser.expect(";", "`;` or the end of the text")?;
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    first_uses: Vec<(Variable, usize)>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, ScheduleError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(ScheduleError::TextTooLong {
                bytes: text.len(),
                max: MAX_TEXT_BYTES,
            });
        }
        Ok(Self {
            text,
            at: 0,
            depth: 0,
            first_uses: Vec::new(),
        })
    }

    /// The text from the next token on.
    fn rest(&mut self) -> &'a str {
        let rest = self.text[self.at..].trim_ascii_start();
        self.at = self.text.len() - rest.len();
        rest
    }

    /// The error if anything but `expected` comes next.
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
    fn operation(&mut self) -> Result<Option<Written>, ScheduleError> {
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
            Name::Scale(Target::Block) if self.is_at_site() => {
                let selection = self.selection()?;
                self.comma()?;
                Operation::Change(selection, Replacement::Scale(self.factor_of_scale()?))
            }
            Name::Change(replacement) => Operation::Change(self.selection()?, replacement()),
            Name::Put => {
                let selection = self.selection()?;
                self.comma()?;
                Operation::Change(selection, Replacement::Put(self.tensor_name()?))
            }
            Name::Add => {
                let selection = self.selection()?;
                self.comma()?;
                let name = self.tensor_name()?;
                self.comma()?;
                Operation::Change(selection, Replacement::Add(name, self.factor_of_scale()?))
            }
            Name::Window => {
                let blocks = self.set()?;
                self.comma()?;
                let width = self.number_in(text, "a width", MAX_WIDTH)?;
                let strict = self.accept(",");
                if strict {
                    self.expect("strict", "`strict`")?;
                }
                Operation::Window {
                    blocks,
                    width,
                    strict,
                }
            }
            Name::Cut => {
                let blocks = self.set()?;
                self.comma()?;
                let heads = self.set()?;
                self.comma()?;
                let queries = self.set()?;
                self.comma()?;
                Operation::Cut {
                    blocks,
                    heads,
                    queries,
                    keys: self.set()?,
                }
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

    /// One index, a range, which may have no end, or a list of both in brackets.
    fn set(&mut self) -> Result<Set<Expression>, ScheduleError> {
        if self.accept("[") {
            self.list(Self::item).map(Set)
        } else {
            Ok(Set(vec![self.item()?]))
        }
    }

    fn item(&mut self) -> Result<Item<Expression>, ScheduleError> {
        let start = self.expression()?;
        if !self.accept("..") {
            return Ok(Item::Block(start));
        }
        if self.rest().is_empty() || self.rest().starts_with([',', ')', ']', ';']) {
            return Ok(Item::From(start));
        }
        Ok(Item::Span(Span {
            start,
            end: self.expression()?,
        }))
    }

    /// Whether a site comes next: `embed`, or two words joined by a full stop.
    fn is_at_site(&mut self) -> bool {
        let rest = self.rest();
        let word = rest.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '_');
        let is_word = word.len() < rest.len();
        let dotted = word.strip_prefix('.');
        is_word
            && (dotted.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
                || rest.starts_with("embed"))
    }

    /// Values: `SITE`, `SITE[S]`, `SITE[S,U]`, each with `@P`.
    fn selection(&mut self) -> Result<WrittenSelection, ScheduleError> {
        self.rest();
        let at = self.at;
        let name = self.take(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
        if name.is_empty() {
            return Err(self.unexpected("the name of a site"));
        }
        let site: Site = name.parse().map_err(|error| match error {
            ScheduleError::UnknownSite { name, nearest } => {
                ScheduleError::UnknownSiteAt { name, at, nearest }
            }
            other => other,
        })?;
        let (mut blocks, mut units, mut positions) = (None, None, None);
        if self.accept("[") {
            blocks = Some(self.set()?);
            if self.accept(",") {
                units = Some(self.set()?);
            }
            self.expect("]", "`,` or `]`")?;
        }
        if self.accept("@") {
            positions = Some(self.set()?);
        }
        Ok(Selection {
            site,
            blocks,
            units,
            positions,
        })
    }

    fn tensor_name(&mut self) -> Result<TensorName, ScheduleError> {
        let name = self.take(TensorName::admits);
        if name.is_empty() {
            return Err(self.unexpected("the name of a tensor"));
        }
        name.parse()
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
            "l" => Ok(self.variable(Variable::L, at)),
            "m" => Ok(self.variable(Variable::M, at)),
            "h" => Ok(self.variable(Variable::H, at)),
            "p" => Ok(self.variable(Variable::P, at)),
            _ => {
                self.at = at;
                Err(self.unexpected(EXPECTED))
            }
        }
    }

    fn variable(&mut self, variable: Variable, at: usize) -> Factor {
        if self.first_uses.iter().all(|(used, _)| *used != variable) {
            self.first_uses.push((variable, at));
        }
        Factor::Variable(variable)
    }

    /// A non-negative integer.
    fn integer(&mut self, expected: &'static str) -> Result<u64, ScheduleError> {
        self.rest();
        let at = self.at;
        let digits = self.take(|c| c.is_ascii_digit());
        if digits.is_empty() {
            return Err(self.unexpected(expected));
        }
        // Digits fail to parse only if there are too many of them.
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
        self.number_in(edit, "a count", MAX_STEPS)
    }

    /// A number from 1 to `max`.
    fn number_in(
        &mut self,
        edit: &'static str,
        expected: &'static str,
        max: usize,
    ) -> Result<usize, ScheduleError> {
        self.rest();
        let at = self.at;
        let count = self.integer(expected)?;
        usize::try_from(count)
            .ok()
            .filter(|count| (1..=max).contains(count))
            .ok_or(ScheduleError::Count {
                edit,
                at,
                count,
                max,
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
