//! What a claim's test finds: a number and what it is held against, or why there is none.

use super::{Claim, Row, Version, names};
use crate::figures::lens_entropy::Lens;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The outcome of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The number is as claimed.
    #[serde(rename = "holds")]
    Holds,
    /// It is not.
    #[serde(rename = "fails")]
    Fails,
    /// There is no number.
    #[serde(rename = "not tested")]
    NotTested,
}

impl Verdict {
    /// As in `claims.csv`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::NotTested => "not tested",
        }
    }
}

/// What a number must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// At least so much.
    AtLeast(f64),
    /// More.
    Above(f64),
    /// At most so much.
    AtMost(f64),
    /// Less.
    Below(f64),
    /// From the first to the second, ends included.
    Between(f64, f64),
}

impl Threshold {
    /// Whether a number is as it must be; NaN never is.
    pub fn admits(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::Above(bound) => value > bound,
            Self::AtMost(most) => value <= most,
            Self::Below(bound) => value < bound,
            Self::Between(low, high) => (low..=high).contains(&value),
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, ">= {least}"),
            Self::Above(bound) => write!(f, "> {bound}"),
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::Below(bound) => write!(f, "< {bound}"),
            Self::Between(low, high) => write!(f, "{low} to {high}"),
        }
    }
}

/// A deciding number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measured {
    pub(crate) value: f64,
    pub(crate) standard_error: Option<f64>,
    pub(crate) note: String,
}

impl Measured {
    pub(crate) fn of(value: f64) -> Self {
        Self {
            value,
            standard_error: None,
            note: String::new(),
        }
    }

    pub(crate) fn with_error(self, standard_error: Option<f64>) -> Self {
        Self {
            standard_error,
            ..self
        }
    }

    pub(crate) fn noting(self, note: impl Into<String>) -> Self {
        Self {
            note: note.into(),
            ..self
        }
    }
}

/// Why there is no deciding number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Unjudged {
    /// The results do not reach.
    NotTested(String),
    /// What the claim says something of is not there, which is itself a failure of the claim.
    Absent(String),
}

/// A deciding number, or why there is none.
pub(crate) type Outcome = Result<Measured, Unjudged>;

/// One line to be: one number against one threshold.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) model: String,
    pub(crate) part: String,
    pub(crate) lens: Option<Lens>,
    pub(crate) threshold: Threshold,
    pub(crate) outcome: Outcome,
}

impl Finding {
    pub(crate) fn of(
        model: &str,
        part: impl Into<String>,
        threshold: Threshold,
        outcome: Outcome,
    ) -> Self {
        Self {
            model: model.to_owned(),
            part: part.into(),
            lens: None,
            threshold,
            outcome: outcome.and_then(|measured| {
                if measured.value.is_nan() {
                    return Err(Unjudged::NotTested("the number is not defined".to_owned()));
                }
                Ok(measured)
            }),
        }
    }

    pub(crate) fn through(self, lens: Lens) -> Self {
        Self {
            lens: Some(lens),
            ..self
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match &self.outcome {
            Ok(measured) if self.threshold.admits(measured.value) => Verdict::Holds,
            Ok(_) | Err(Unjudged::Absent(_)) => Verdict::Fails,
            Err(Unjudged::NotTested(_)) => Verdict::NotTested,
        }
    }

    /// The line, about one claim.
    pub(crate) fn row(self, claim: &Claim) -> Row {
        let verdict = self.verdict();
        let mut statement = claim.statement.to_owned();
        if !self.part.is_empty() {
            statement = format!("{statement}: {}", self.part);
        }
        let mut versions = claim.versions.to_vec();
        if let Some(lens) = self.lens {
            statement = format!("{statement} ({} lens)", name(lens));
            // Only the NeurIPS version has the standard lens.
            versions.retain(|version| (*version == Version::Nips) == (lens == Lens::Standard));
        }
        let (measured, standard_error, reason) = match self.outcome {
            Ok(measured) => (
                Some(measured.value),
                measured.standard_error.filter(|error| error.is_finite()),
                measured.note,
            ),
            Err(Unjudged::NotTested(reason) | Unjudged::Absent(reason)) => (None, None, reason),
        };
        Row {
            claim: claim.id.to_owned(),
            version: names(versions.into_iter()),
            model: self.model,
            statement,
            measured,
            standard_error,
            threshold: self.threshold.to_string(),
            verdict,
            reason,
        }
    }
}

/// The lens's name in a statement.
pub(crate) fn name(lens: Lens) -> &'static str {
    match lens {
        Lens::Standard => "standard",
        Lens::Legacy => "legacy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_admits_what_it_says() {
        let check = |threshold: Threshold, text: &str, admitted: &[f64], refused: &[f64]| {
            assert_eq!(threshold.to_string(), text);
            for &value in admitted {
                assert!(threshold.admits(value), "{text}: {value}");
            }
            for &value in refused.iter().chain(&[f64::NAN]) {
                assert!(!threshold.admits(value), "{text}: {value}");
            }
        };
        check(Threshold::AtLeast(0.72), ">= 0.72", &[0.72, 1.0], &[0.71]);
        check(Threshold::Above(0.0), "> 0", &[1e-9], &[0.0, -1.0]);
        check(Threshold::AtMost(0.5), "<= 0.5", &[0.5, 0.0], &[0.6]);
        check(Threshold::Below(0.25), "< 0.25", &[0.0], &[0.25]);
        check(
            Threshold::Between(0.3, 0.7),
            "0.3 to 0.7",
            &[0.3, 0.7],
            &[0.2, 0.8],
        );
    }
}
