//! Rules that score every depth and decide when to stop.

use crate::error::ExitError;
use crate::reading::{Reading, Vocab};
use std::fmt;
use std::str::FromStr;

/// How depths are scored. A run stops at the first depth whose score is above a threshold. Scores that count blocks
/// ([`Rule::Patience`], [`Rule::Fixed`]) stop on reaching it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// The decision value of a linear support vector machine on gap and top probability.
    Svm,
    /// The same with a Gaussian kernel.
    SvmRbf,
    /// The filtered probability that the answer is final, by a conditional random field along the depths.
    Crf,
    /// The gap between the two largest probabilities.
    Gap,
    /// The largest probability.
    Top,
    /// The cosine between a block's input and its output (CALM).
    State,
    /// The number of immediately preceding blocks with the same answer.
    Patience,
    /// The number of blocks.
    Fixed,
    /// Whether the answer is the final one. It needs the end of the run.
    OracleFirst,
    /// Whether the answer is the final one from here on. It needs the end of the run.
    OracleStable,
}

/// Every rule, in the order of tables.
pub const RULES: [Rule; 10] = [
    Rule::Svm,
    Rule::SvmRbf,
    Rule::Crf,
    Rule::Gap,
    Rule::Top,
    Rule::State,
    Rule::Patience,
    Rule::Fixed,
    Rule::OracleFirst,
    Rule::OracleStable,
];

impl Rule {
    /// The rule's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Svm => "svm",
            Self::SvmRbf => "svm-rbf",
            Self::Crf => "crf",
            Self::Gap => "gap",
            Self::Top => "top",
            Self::State => "state",
            Self::Patience => "patience",
            Self::Fixed => "fixed",
            Self::OracleFirst => "oracle-first",
            Self::OracleStable => "oracle-stable",
        }
    }

    /// Whether the rule is trained.
    pub fn is_trained(self) -> bool {
        matches!(self, Self::Svm | Self::SvmRbf | Self::Crf)
    }

    /// Whether the rule needs the end of a run, and so cannot stop one.
    pub fn looks_ahead(self) -> bool {
        matches!(self, Self::OracleFirst | Self::OracleStable)
    }

    /// Whether the rule uses earlier readings of a run.
    pub fn looks_back(self) -> bool {
        matches!(self, Self::Crf | Self::Patience)
    }

    /// Whether the rule reads the unembedding after every block.
    pub fn reads_head(self) -> bool {
        !matches!(self, Self::Fixed | Self::State)
    }

    /// The default threshold; `None` for a fixed depth.
    pub fn usual(self) -> Option<f64> {
        match self {
            Self::Svm | Self::SvmRbf => Some(0.0),
            Self::Crf | Self::Gap | Self::Top => Some(0.5),
            Self::OracleFirst | Self::OracleStable => Some(0.5),
            Self::State => Some(0.99),
            Self::Patience => Some(2.0),
            Self::Fixed => None,
        }
    }

    /// Whether a score stops the run; scores that count blocks also stop at the threshold itself.
    pub(crate) fn stops(self, score: f64, threshold: f64) -> bool {
        match self {
            Self::Patience | Self::Fixed => score >= threshold,
            _ => score > threshold,
        }
    }

    /// The scores of an untrained rule after each block that was read; −∞ if nothing was read.
    ///
    /// # Panics
    /// If the rule is trained.
    pub fn scores(self, readings: &[Reading], vocab: Vocab) -> Vec<f64> {
        assert!(!self.is_trained(), "{self} is trained");
        let chosen: Vec<Option<u32>> = readings
            .iter()
            .map(|reading| vocab.of(reading).map(|own| own.first))
            .collect();
        let answer = readings.last().and_then(|last| vocab.answer(last));
        let is_answer = |k: usize| answer.is_some() && chosen[k] == answer;
        let score = |k: usize| -> Option<f64> {
            Some(match self {
                Self::State => readings[k].state,
                Self::Fixed => (k + 1) as f64,
                Self::Gap => vocab.of(&readings[k])?.gap,
                Self::OracleFirst => f64::from(is_answer(k)),
                Self::OracleStable => f64::from((k..chosen.len()).all(is_answer)),
                Self::Patience => {
                    let own = chosen[k]?;
                    let before = chosen[..k].iter().rev();
                    before.take_while(|other| **other == Some(own)).count() as f64
                }
                _ => vocab.of(&readings[k])?.top,
            })
        };
        (0..readings.len())
            .map(|k| score(k).unwrap_or(f64::NEG_INFINITY))
            .collect()
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Rule {
    type Err = ExitError;

    fn from_str(text: &str) -> Result<Self, ExitError> {
        let mut rules = RULES.into_iter();
        rules.find(|rule| rule.name() == text).ok_or_else(|| {
            let names: Vec<&str> = RULES.iter().map(|rule| rule.name()).collect();
            ExitError::Unknown {
                what: "rule",
                found: text.chars().take(80).collect(),
                expected: names.join(", "),
            }
        })
    }
}

/// The number of blocks that run: those up to the first score that stops, or all.
///
/// Depths before `least` are skipped, and so are all but every `every`-th.
///
/// ```
/// use layerwise_exits::{Reading, Rule, Vocab, exit};
/// use ndarray::aview1;
///
/// // Logits of two tokens after each of three blocks: the answer becomes 1 and stays.
/// let logits = [[1.0, 0.0], [0.0, 1.0], [0.0, 4.0]];
/// let readings = logits.map(|own| Reading::of(aview1(&own), &[], &[], 1.0).expect("finite logits"));
/// let scores = Rule::Patience.scores(&readings, Vocab::Full);
/// assert_eq!(scores, [0.0, 0.0, 1.0]); // earlier blocks with the same answer
/// assert_eq!(exit(Rule::Patience, &scores, 1.0, 1, 1), 3); // blocks
/// assert_eq!(exit(Rule::Fixed, &Rule::Fixed.scores(&readings, Vocab::Full), 2.0, 1, 1), 2);
/// ```
pub fn exit(rule: Rule, scores: &[f64], threshold: f64, least: usize, every: usize) -> usize {
    let is_tested = |k: &usize| *k >= least && k.is_multiple_of(every.max(1));
    let mut depths = (1..=scores.len()).filter(is_tested);
    let found = depths.find(|k| rule.stops(scores[k - 1], threshold));
    found.unwrap_or(scores.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::readings;

    #[test]
    fn rules_stop_where_they_say() {
        let readings = readings(&[5, 7, 7, 5, 7, 7]);
        let check = |rule: Rule, threshold: f64, expected: usize| {
            let scores = rule.scores(&readings, Vocab::Full);
            assert_eq!(
                exit(rule, &scores, threshold, 1, 1),
                expected,
                "{rule} {threshold}"
            );
        };
        check(Rule::Gap, 0.25, 4);
        check(Rule::Top, 0.25, 4);
        check(Rule::State, 0.4, 1);
        check(Rule::State, 0.5, 6); // never stops
        check(Rule::Patience, 1.0, 3);
        check(Rule::Patience, 2.0, 6);
        check(Rule::Fixed, 4.0, 4);
        check(Rule::OracleFirst, 0.5, 2);
        check(Rule::OracleStable, 0.5, 5);
    }

    #[test]
    fn depths_can_be_passed_over() {
        let scores = [0.9, 0.1, 0.9, 0.9, 0.9];
        let check = |least, every, expected| {
            assert_eq!(exit(Rule::Gap, &scores, 0.5, least, every), expected);
        };
        check(1, 1, 1);
        check(2, 1, 3);
        check(1, 2, 4);
        check(1, 9, 5);
        check(6, 1, 5);
    }

    #[test]
    fn nothing_stops_before_candidates_are_chosen() {
        let readings = readings(&[5, 7, 7, 7, 7]);
        let vocab = Vocab::Candidates {
            count: 4,
            blocks: 3,
        };
        for rule in [Rule::Gap, Rule::Top, Rule::OracleFirst, Rule::Patience] {
            let scores = rule.scores(&readings, vocab);
            assert_eq!(exit(rule, &scores, 0.0, 1, 1), 3, "{rule}: {scores:?}");
        }
    }

    /// The score of a depth does not depend on later readings, and a higher threshold never stops earlier.
    #[test]
    fn rules_run_ahead_and_are_monotone() {
        let readings = readings(&[5, 7, 7, 5, 7, 7]);
        for rule in RULES.into_iter().filter(|rule| !rule.is_trained()) {
            let scores = rule.scores(&readings, Vocab::Full);
            if !rule.looks_ahead() {
                for k in 1..readings.len() {
                    assert_eq!(
                        rule.scores(&readings[..k], Vocab::Full),
                        scores[..k],
                        "{rule}"
                    );
                }
            }
            let exits = (0..40).map(|t| exit(rule, &scores, f64::from(t) / 5.0, 1, 1));
            assert!(exits.is_sorted(), "{rule}");
        }
    }

    #[test]
    fn rules_have_names() {
        for rule in RULES {
            assert_eq!(rule.name().parse::<Rule>().unwrap(), rule);
        }
        let error = "svn".parse::<Rule>().unwrap_err().to_string();
        assert!(
            error.contains("unknown rule `svn`; expected svm, svm-rbf"),
            "{error}"
        );
    }
}
