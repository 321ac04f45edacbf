//! What a claim's test finds: a number and what it is held against, or why there is none.

use super::lens::Lens;
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
pub struct Measured {
    /// The number.
    pub value: f64,
    /// Its standard error, where it has one.
    pub standard_error: Option<f64>,
    /// What else bears on the outcome.
    pub note: String,
}

impl Measured {
    /// A number without standard error or note.
    pub fn of(value: f64) -> Self {
        Self {
            value,
            standard_error: None,
            note: String::new(),
        }
    }

    /// The same number with this standard error.
    pub fn with_error(self, standard_error: Option<f64>) -> Self {
        Self {
            standard_error,
            ..self
        }
    }

    /// The same number with this note.
    pub fn noting(self, note: impl Into<String>) -> Self {
        Self {
            note: note.into(),
            ..self
        }
    }
}

/// Why there is no deciding number.
#[derive(Clone, Debug, PartialEq)]
pub enum Unjudged {
    /// The results do not reach.
    NotTested(String),
    /// What the claim says something of is not there, which is itself a failure of the claim.
    Absent(String),
}

/// A deciding number, or why there is none.
pub type Outcome = Result<Measured, Unjudged>;

/// A paired difference in its standard errors, in nats; none where it has no such error, or one of 0.
///
/// # Errors
/// Why there is none.
pub fn errors_apart(difference_nats: f64, standard_error: Option<f64>) -> Outcome {
    let not_tested = |reason: &str| Err(Unjudged::NotTested(reason.to_owned()));
    match standard_error {
        None => not_tested("the difference has no standard error: that takes several sequences"),
        Some(error) if error > 0.0 => Ok(Measured::of(difference_nats / error)
            .with_error(Some(1.0))
            .noting(format!(
                "{difference_nats:.4} nats, paired standard error {error:.4}"
            ))),
        Some(0.0) => {
            not_tested("the difference is the same in all sequences: its standard error is 0")
        }
        Some(_) => not_tested("the difference's standard error is not defined"),
    }
}

/// One line to be: one number against one threshold.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The model, or `*` where models are compared.
    pub model: String,
    /// Which part of the claim it judges.
    pub part: String,
    /// The lens, where one is read through.
    pub lens: Option<Lens>,
    /// What the number must be.
    pub threshold: Threshold,
    /// The number, or why there is none.
    pub outcome: Outcome,
}

impl Finding {
    /// A finding about a model; a number that is NaN counts as not tested.
    pub fn of(
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

    /// The same finding, read through a lens.
    pub fn through(self, lens: Lens) -> Self {
        Self {
            lens: Some(lens),
            ..self
        }
    }

    /// The outcome.
    pub fn verdict(&self) -> Verdict {
        match &self.outcome {
            Ok(measured) if self.threshold.admits(measured.value) => Verdict::Holds,
            Ok(_) | Err(Unjudged::Absent(_)) => Verdict::Fails,
            Err(Unjudged::NotTested(_)) => Verdict::NotTested,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_in_its_standard_errors() {
        let apart = errors_apart(0.5, Some(0.25)).unwrap();
        assert_eq!((apart.value, apart.standard_error), (2.0, Some(1.0)));
        let check = |error: Option<f64>, reason: &str| match errors_apart(0.5, error) {
            Err(Unjudged::NotTested(told)) => assert!(told.contains(reason), "{told}"),
            other => panic!("{error:?}: {other:?}"),
        };
        check(None, "takes several sequences");
        check(Some(0.0), "the same in all sequences");
        check(Some(f64::NAN), "not defined");
    }

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
