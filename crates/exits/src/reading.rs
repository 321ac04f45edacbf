//! What the unembedding predicts after a block.

use crate::error::ExitError;
use ndarray::ArrayView1;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The sharpness of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sharpness {
    /// The largest probability minus the second largest.
    pub gap: f64,
    /// The largest probability.
    pub top: f64,
    /// The index of the largest probability; among equals, the first.
    pub first: u32,
}

impl Sharpness {
    /// The sharpness of the softmax of some logits, of which there is at least one.
    ///
    /// ```
    /// use layerwise_exits::Sharpness;
    ///
    /// let sharpness = Sharpness::of([0.0, 3_f64.ln()].into_iter()); // probabilities 1/4 and 3/4
    /// assert!((sharpness.top - 0.75).abs() < 1e-12 && (sharpness.gap - 0.5).abs() < 1e-12);
    /// assert_eq!(sharpness.first, 1);
    /// ```
    pub fn of(logits: impl Iterator<Item = f64> + Clone) -> Self {
        let mut first = (f64::NEG_INFINITY, 0);
        let mut second = f64::NEG_INFINITY;
        for (index, logit) in (0_u32..).zip(logits.clone()) {
            if logit > first.0 {
                second = first.0;
                first = (logit, index);
            } else if logit > second {
                second = logit;
            }
        }
        let sum: f64 = logits.map(|logit| (logit - first.0).exp()).sum();
        let top = 1.0 / sum;
        let next = (second - first.0).exp() / sum;
        Self {
            gap: top - next,
            top,
            first: first.1,
        }
    }
}

/// What the unembedding predicts at one position after one block.
///
/// ```
/// use layerwise_exits::Reading;
/// use ndarray::aview1;
///
/// // Logits of three tokens, of which 0 and 1 begin the options of an answer.
/// let reading = Reading::of(aview1(&[0.0, 1.0, 2.0]), &[0, 1], &[], 1.0).expect("finite logits");
/// assert_eq!(reading.full.first, 2);
/// assert_eq!(reading.options.expect("two options").first, 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reading {
    /// Over the whole vocabulary; the index is a token.
    pub full: Sharpness,
    /// Over the answer's options, renormalised; the index is that of an option. `None` if there are no options.
    pub options: Option<Sharpness>,
    /// Over the most probable tokens at an earlier depth, renormalised; the index is a token. `None` before that depth.
    pub candidates: Option<Sharpness>,
    /// Cosine between the block's input and its output; 0 if one of them is zero.
    pub state: f64,
}

impl Reading {
    /// The reading of a row of logits \[vocab\]; `None` if a logit is not finite.
    ///
    /// # Panics
    /// If an option or a candidate is outside the vocabulary.
    pub fn of(
        logits: ArrayView1<'_, f32>,
        options: &[u32],
        candidates: &[u32],
        state: f64,
    ) -> Option<Self> {
        if !logits.iter().all(|logit| logit.is_finite()) {
            return None;
        }
        let logit = |token: &u32| f64::from(logits[*token as usize]);
        let full = Sharpness::of(logits.iter().map(|logit| f64::from(*logit)));
        let among = |tokens: &[u32]| {
            let sharpness = Sharpness::of(tokens.iter().map(logit));
            (!tokens.is_empty()).then_some(sharpness)
        };
        Some(Self {
            full,
            options: among(options),
            candidates: among(candidates).map(|own| Sharpness {
                first: candidates[own.first as usize],
                ..own
            }),
            state,
        })
    }

    /// A reading of some tokens alone, which takes the place of the whole vocabulary's.
    pub(crate) fn of_few(few: Sharpness, state: f64) -> Self {
        Self {
            full: few,
            options: Some(few),
            candidates: Some(few),
            state,
        }
    }
}

/// The tokens over which the unembedding is read.
///
/// ```
/// use layerwise_exits::Vocab;
///
/// // Ten candidates, chosen after the fourth block.
/// assert_eq!("top:10@4".parse::<Vocab>()?, Vocab::Candidates { count: 10, blocks: 4 });
/// # Ok::<(), layerwise_exits::ExitError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocab {
    /// The whole vocabulary.
    Full,
    /// The first tokens of the answer's options, renormalised.
    Options,
    /// The most probable tokens of the whole vocabulary after some blocks, renormalised; before that depth nothing is read.
    Candidates {
        /// The number of candidates.
        count: usize,
        /// The number of blocks after which they are chosen.
        blocks: usize,
    },
}

impl Vocab {
    /// The part of a reading that this selects.
    pub fn of(self, reading: &Reading) -> Option<Sharpness> {
        match self {
            Self::Full => Some(reading.full),
            Self::Options => reading.options,
            Self::Candidates { .. } => reading.candidates,
        }
    }

    /// The full model's answer, given its last reading: a token or, with options, an option.
    pub fn answer(self, last: &Reading) -> Option<u32> {
        match self {
            Self::Options => last.options.map(|own| own.first),
            _ => Some(last.full.first),
        }
    }
}

impl fmt::Display for Vocab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("full"),
            Self::Options => f.write_str("options"),
            Self::Candidates { count, blocks } => write!(f, "top:{count}@{blocks}"),
        }
    }
}

impl FromStr for Vocab {
    type Err = ExitError;

    fn from_str(text: &str) -> Result<Self, ExitError> {
        let candidates = || {
            let (count, blocks) = text.strip_prefix("top:")?.split_once('@')?;
            let (count, blocks) = (count.parse().ok()?, blocks.parse().ok()?);
            (count > 1 && blocks > 0).then_some(Self::Candidates { count, blocks })
        };
        match text {
            "full" => Ok(Self::Full),
            "options" => Ok(Self::Options),
            _ => candidates().ok_or_else(|| ExitError::Unknown {
                what: "vocabulary",
                found: text.chars().take(80).collect(),
                expected: "full, options, or top:R@K, the R best tokens after K blocks, R from 2"
                    .to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn sharpness_is_that_of_the_softmax() {
        let logits = [1.0_f64, 3.0, 2.0];
        let found = Sharpness::of(logits.into_iter());
        let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
        assert_eq!(found.first, 1);
        assert!((found.top - 3.0_f64.exp() / sum).abs() < 1e-12);
        assert!((found.gap - (3.0_f64.exp() - 2.0_f64.exp()) / sum).abs() < 1e-12);
    }

    #[test]
    fn a_reading_is_of_all_tokens_of_options_and_of_candidates() {
        let logits = array![0.5_f32, 2.0, -1.0, 1.0];
        let reading = Reading::of(logits.view(), &[2, 0], &[3, 2], 0.25).unwrap();
        assert_eq!(reading.full.first, 1);
        assert_eq!(reading.options.unwrap().first, 1, "the second option");
        assert_eq!(reading.candidates.unwrap().first, 3, "a token");
        let two = 1.0 / (1.0 + (-1.5_f64).exp());
        assert!((reading.options.unwrap().top - two).abs() < 1e-12);
        let alone = Reading::of(logits.view(), &[], &[], 0.25).unwrap();
        assert_eq!((alone.options, alone.candidates), (None, None));
        let broken = array![0.5_f32, f32::NAN];
        assert_eq!(Reading::of(broken.view(), &[], &[], 0.0), None);
    }

    #[test]
    fn vocabularies_are_named() {
        let four = Vocab::Candidates {
            count: 4,
            blocks: 15,
        };
        for (text, expected) in [
            ("full", Vocab::Full),
            ("options", Vocab::Options),
            ("top:4@15", four),
        ] {
            let found: Vocab = text.parse().unwrap();
            assert_eq!((found, found.to_string()), (expected, text.to_owned()));
        }
        for text in ["", "top:1@3", "top:4@0", "top:4", "top:-4@2", "all"] {
            let error = text.parse::<Vocab>().unwrap_err().to_string();
            assert!(
                error.contains("expected full, options, or top:R@K"),
                "{error}"
            );
        }
    }
}
