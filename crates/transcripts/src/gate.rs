//! Stage 1: selects the utterances that the recogniser is unsure of.

use crate::{DistinctList, LanguageScore, ScoreScale, TranscriptError, distance};

/// Measures how sure a recogniser is, and decides when that suffices.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Gate {
    /// The weight of the language model's score relative to the recogniser's.
    pub alpha: f64,
    /// The temperature of the softmax over hypotheses, in nats.
    pub theta: f64,
    /// The cost of a rank in nats, if there are no scores.
    pub kappa: f64,
    /// The posterior that the best hypothesis must exceed for the list not to be corrected.
    pub tau: f64,
    /// Whether lists with one distinct hypothesis are corrected too.
    pub send_single: bool,
}

impl Gate {
    /// No language model, 0.1 nats per rank, a threshold of 0.9, and the temperature of the score scale: 1 for whole transcripts
    /// and 0.05 otherwise, because means differ by few hundredths.
    pub fn new(scale: ScoreScale) -> Self {
        Self {
            alpha: 0.0,
            theta: match scale {
                ScoreScale::Sum => 1.0,
                ScoreScale::Mean | ScoreScale::Absent => 0.05,
            },
            kappa: 0.1,
            tau: 0.9,
            send_single: false,
        }
    }

    /// Checks that the settings are in range.
    ///
    /// # Errors
    ///
    /// The threshold is outside 0..1, the temperature is not above 0, or a number is not finite or below 0.
    pub fn check(&self) -> Result<(), TranscriptError> {
        let refuse = |setting, expected, found: f64| {
            Err(TranscriptError::Setting {
                setting,
                expected,
                found: found.to_string(),
            })
        };
        if !(0.0..=1.0).contains(&self.tau) {
            return refuse("tau", "a number from 0 to 1", self.tau);
        }
        if !(self.theta > 0.0 && self.theta.is_finite()) {
            return refuse("theta", "a finite number above 0", self.theta);
        }
        for (setting, value) in [("alpha", self.alpha), ("kappa", self.kappa)] {
            if !(value >= 0.0 && value.is_finite()) {
                return refuse(setting, "a finite number of at least 0", value);
            }
        }
        Ok(())
    }

    /// S = A + α·G of each hypothesis, in nats; without scores, A is −κ·rank.
    ///
    /// `language` may be empty if α is 0.
    pub fn scores(
        &self,
        list: &DistinctList,
        scale: ScoreScale,
        language: &[LanguageScore],
    ) -> Vec<f64> {
        let rank = |rank: usize| -self.kappa * rank as f64;
        let recogniser = |at: usize| list.scores.as_ref().map_or_else(|| rank(at), |a| a[at]);
        let language = |at: usize| match self.alpha == 0.0 {
            true => 0.0,
            false => self.alpha * language[at].on(scale),
        };
        let hypotheses = 0..list.hypotheses.len();
        hypotheses.map(|at| recogniser(at) + language(at)).collect()
    }

    /// Judges a list by its scores.
    pub fn judge(&self, list: &DistinctList, scores: &[f64]) -> Judgement {
        let posteriors = posteriors(scores, self.theta);
        let confidence = posteriors.iter().copied().fold(0.0, f64::max);
        let mut sorted = posteriors.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let [best, others @ ..] = list.hypotheses.as_slice() else {
            unreachable!("lists have a hypothesis");
        };
        let distances = others.iter().map(|other| distance(best, other) as f64);
        Judgement {
            confidence,
            gap: sorted[0] - sorted.get(1).copied().unwrap_or(0.0),
            mean_distance: distances.sum::<f64>() / others.len().max(1) as f64,
            distinct: list.hypotheses.len(),
            is_sent: confidence <= self.tau && (!others.is_empty() || self.send_single),
            posteriors,
        }
    }
}

/// The gate's judgement of a list.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Judgement {
    /// π, the softmax of the scores at the gate's temperature.
    pub posteriors: Vec<f64>,
    /// The highest posterior.
    pub confidence: f64,
    /// The highest posterior minus the second.
    pub gap: f64,
    /// The mean edit distance of the other hypotheses from the best, in words.
    pub mean_distance: f64,
    /// The number of distinct hypotheses.
    pub distinct: usize,
    /// Whether the list is sent to correction; otherwise its best hypothesis is kept.
    pub is_sent: bool,
}

/// The softmax of scores divided by a temperature.
///
/// ```
/// use layerwise_transcripts::posteriors;
///
/// let found = posteriors(&[-0.30, -0.35], 0.05); // means per token differ by few hundredths
/// assert!((found[0] / found[1] - std::f64::consts::E).abs() < 1e-6);
/// ```
pub fn posteriors(scores: &[f64], theta: f64) -> Vec<f64> {
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores
        .iter()
        .map(|score| libm::exp((score - highest) / theta))
        .collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Normaliser, Vocabulary};

    fn list(hypotheses: &[(&str, f64)]) -> DistinctList {
        let mut vocabulary = Vocabulary::new();
        let words = |(text, _): &(&str, f64)| vocabulary.add_all(Normaliser::None.words(text));
        DistinctList {
            hypotheses: hypotheses.iter().map(words).collect(),
            scores: Some(hypotheses.iter().map(|(_, score)| *score).collect()),
            reference: None,
        }
    }

    #[test]
    fn lists_are_kept_and_sent() {
        let sure = list(&[("a b", -0.1), ("a c", -0.9)]);
        let unsure = list(&[("a b", -0.1), ("a c", -0.1), ("d e f", -0.1)]);
        let single = list(&[("a b", -0.1)]);
        let gate = Gate::new(ScoreScale::Mean);
        let judge = |gate: &Gate, list: &DistinctList| {
            gate.judge(list, &gate.scores(list, ScoreScale::Mean, &[]))
        };
        assert!(!judge(&gate, &sure).is_sent);
        assert!(!judge(&gate, &single).is_sent);
        let judged = judge(&gate, &unsure);
        assert!(judged.is_sent);
        assert_eq!(judged.distinct, 3);
        assert!((judged.confidence - 1.0 / 3.0).abs() < 1e-12);
        assert!(judged.gap.abs() < 1e-12);
        assert_eq!(judged.mean_distance, 2.0);
        let everything = Gate {
            tau: 1.0,
            send_single: true,
            ..gate
        };
        let nothing = Gate { tau: 0.0, ..gate };
        for list in [&sure, &unsure, &single] {
            assert!(judge(&everything, list).is_sent);
            assert!(!judge(&nothing, list).is_sent);
        }
        let mut ranked = unsure;
        ranked.scores = None;
        assert_eq!(
            gate.scores(&ranked, ScoreScale::Absent, &[]),
            [-0.0, -0.1, -0.2]
        );
        let language = [-4.0, -2.0, -6.0].map(|sum| LanguageScore::new(sum, 2));
        let with = Gate { alpha: 0.5, ..gate };
        let scores = with.scores(&ranked, ScoreScale::Absent, &language);
        assert_eq!(scores, [-1.0, -0.6, -1.7]);
        let scores = with.scores(&ranked, ScoreScale::Sum, &language);
        assert_eq!(scores, [-2.0, -1.1, -3.2]);
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let gate = Gate::new(ScoreScale::Sum);
        assert!(gate.check().is_ok());
        for (gate, named) in [
            (Gate { tau: 1.5, ..gate }, "tau"),
            (
                Gate {
                    tau: f64::NAN,
                    ..gate
                },
                "tau",
            ),
            (Gate { theta: 0.0, ..gate }, "theta"),
            (
                Gate {
                    alpha: -1.0,
                    ..gate
                },
                "alpha",
            ),
            (
                Gate {
                    kappa: f64::INFINITY,
                    ..gate
                },
                "kappa",
            ),
        ] {
            let said = gate.check().unwrap_err().to_string();
            assert!(said.starts_with(named), "{said}");
        }
    }
}
