//! An edit of values: which values it selects, and what replaces them.

use std::fmt;
use std::str::FromStr;

use crate::error::ScheduleError;
use crate::index::{Expression, Set};
use crate::site::Site;
use crate::step::Coefficient;

/// The longest tensor name in an edit text, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 256;

/// A selection of activation values: a site and some of its blocks, units and positions. What is not named is not restricted.
///
/// Its text is `SITE[blocks,units]@positions`.
/// Positions are numbers from the start of a sequence, or negative ones from its end.
///
/// ```
/// use layerwise_schedule::{Selection, Site};
///
/// let heads = Selection::of(Site::AttnHeadOut).blocks(5).units(0..2).at(-1);
/// assert_eq!(heads.to_string(), "attn.head_out[5,0..2]@-1");
/// assert_eq!(Selection::of(Site::Embed).to_string(), "embed");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Selection<I = usize, P = i64> {
    pub(crate) site: Site,
    pub(crate) blocks: Option<Set<I>>,
    pub(crate) units: Option<Set<I>>,
    pub(crate) positions: Option<Set<P>>,
}

impl Selection {
    /// Selects all values of a site.
    pub fn of(site: Site) -> Self {
        Self {
            site,
            blocks: None,
            units: None,
            positions: None,
        }
    }

    /// Restricts the selection to these blocks.
    #[must_use]
    pub fn blocks(self, blocks: impl Into<Set>) -> Self {
        Self {
            blocks: Some(blocks.into()),
            ..self
        }
    }

    /// Restricts the selection to these units: heads, KV heads, neurons or dimensions, depending on the site.
    #[must_use]
    pub fn units(self, units: impl Into<Set>) -> Self {
        Self {
            units: Some(units.into()),
            ..self
        }
    }

    /// Restricts the selection to these positions; negative ones count from the end.
    #[must_use]
    pub fn at(self, positions: impl Into<Set<i64>>) -> Self {
        Self {
            positions: Some(positions.into()),
            ..self
        }
    }
}

impl<I, P> Selection<I, P> {
    /// The site.
    pub fn site(&self) -> Site {
        self.site
    }

    /// The blocks; `None` for all.
    pub fn chosen_blocks(&self) -> Option<&Set<I>> {
        self.blocks.as_ref()
    }

    /// The units; `None` for all.
    pub fn chosen_units(&self) -> Option<&Set<I>> {
        self.units.as_ref()
    }

    /// The positions; `None` for all.
    pub fn chosen_positions(&self) -> Option<&Set<P>> {
        self.positions.as_ref()
    }
}

impl<I: fmt::Display, P: fmt::Display> fmt::Display for Selection<I, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.site)?;
        match (&self.blocks, &self.units) {
            (None, None) => {}
            (Some(blocks), None) => write!(f, "[{blocks}]")?,
            (Some(blocks), Some(units)) => write!(f, "[{blocks},{units}]")?,
            (None, Some(units)) => write!(f, "[0..L,{units}]")?,
        }
        match &self.positions {
            Some(positions) => write!(f, "@{positions}"),
            None => Ok(()),
        }
    }
}

/// The name of a tensor that an edit puts in or adds: letters, digits and `_ . - / :`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorName(String);

impl TensorName {
    pub(crate) fn admits(c: char) -> bool {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ':')
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TensorName {
    type Err = ScheduleError;

    fn from_str(name: &str) -> Result<Self, ScheduleError> {
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(Self::admits) {
            return Err(ScheduleError::TensorName {
                name: name.to_owned(),
                max: MAX_NAME_BYTES,
            });
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for TensorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What replaces values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Replacement {
    /// 0.
    Zero,
    /// The mean over positions 1… of the reference text under the plain model.
    Mean,
    /// The value at the same position of another sequence of the reference text under the plain model.
    Resample,
    /// The value of the same sequence under the plain schedule.
    Plain,
    /// The value of the paired sequence under the plain schedule.
    Donor,
    /// A named tensor.
    Put(TensorName),
    /// The value plus a multiple of a named tensor.
    Add(TensorName, Coefficient),
    /// A multiple of the value.
    Scale(Coefficient),
}

impl Replacement {
    /// The name of the edit.
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Self::Zero => "zero",
            Self::Mean => "mean",
            Self::Resample => "resample",
            Self::Plain => "plain",
            Self::Donor => "donor",
            Self::Put(_) => "put",
            Self::Add(..) => "add",
            Self::Scale(_) => "scale",
        }
    }

    /// Whether it overwrites the old value.
    pub fn replaces(&self) -> bool {
        !matches!(self, Self::Add(..) | Self::Scale(_))
    }

    /// The run that it takes values from, if any.
    pub fn source(&self) -> Option<Source> {
        match self {
            Self::Mean => Some(Source::Mean),
            Self::Resample => Some(Source::Resample),
            Self::Plain => Some(Source::Plain),
            Self::Donor => Some(Source::Donor),
            Self::Zero | Self::Put(_) | Self::Add(..) | Self::Scale(_) => None,
        }
    }

    /// The tensor that it names, if any.
    pub fn tensor(&self) -> Option<&TensorName> {
        match self {
            Self::Put(name) | Self::Add(name, _) => Some(name),
            _ => None,
        }
    }

    /// Writes the edit's text; `on` prints the selected values.
    pub(crate) fn write(&self, f: &mut fmt::Formatter<'_>, on: &dyn fmt::Display) -> fmt::Result {
        match self {
            Self::Put(name) => write!(f, "put({on},{name})"),
            Self::Add(name, factor) => write!(f, "add({on},{name},{factor})"),
            Self::Scale(factor) => write!(f, "scale({on},{factor})"),
            _ => write!(f, "{}({on})", self.verb()),
        }
    }

    /// The simplest form of the replacement; `None` if it leaves every value as it is.
    pub(crate) fn simplest(self) -> Option<Self> {
        match self {
            Self::Scale(factor) if factor == Coefficient::ONE => None,
            Self::Scale(factor) if factor.get() == 0.0 => Some(Self::Zero),
            Self::Add(_, factor) if factor.get() == 0.0 => None,
            other => Some(other),
        }
    }
}

/// A run that values are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The plain model on the reference text, averaged.
    Mean,
    /// The plain model on another sequence of the reference text.
    Resample,
    /// The plain model on the same sequence.
    Plain,
    /// The plain model on the paired sequence.
    Donor,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mean => "mean",
            Self::Resample => "resample",
            Self::Plain => "plain",
            Self::Donor => "donor",
        })
    }
}

/// A selection as a text writes it.
pub(crate) type WrittenSelection = Selection<Expression, Expression>;
