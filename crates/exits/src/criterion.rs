//! What stops a run, before it is applied to one.

use crate::error::ExitError;
use crate::file::Classifier;
use crate::reading::Vocab;
use crate::rule::Rule;
use crate::stop::Stop;
use crate::trained::Trained;

/// A rule with its threshold, the tokens that it reads, and the depths at which it is tested.
#[derive(Clone, Debug)]
pub struct Criterion {
    /// The rule.
    pub rule: Rule,
    /// Its classifier, if it is a trained rule.
    pub trained: Option<Trained>,
    /// The tokens that the head is read over.
    pub vocab: Vocab,
    /// Its threshold.
    pub threshold: f64,
    /// Depths before this one, counted from 1, are skipped,
    pub least: usize,
    /// and so are all but every `every`-th.
    pub every: usize,
}

impl Criterion {
    /// The rule that a text names, as `gap` or `gap:0.9`; `None` if the text begins with no rule's name. It reads the whole
    /// vocabulary and is tested at every depth. Without a number, the threshold is the rule's [usual one](Rule::usual); `blocks`
    /// is the number of the model's blocks, for a message.
    ///
    /// ```
    /// use layerwise_exits::{Criterion, ExitError, Rule};
    ///
    /// let found = Criterion::named("patience:3", 12)?.expect("a rule");
    /// assert_eq!((found.rule, found.threshold), (Rule::Patience, 3.0));
    /// let stop = found.stop(); // for `Generation::exiting` or `ExitingState::extend`
    /// assert_eq!(stop.rule(), Rule::Patience);
    /// // Not a rule; perhaps a classifier's file.
    /// assert!(Criterion::named("exit.json", 12)?.is_none());
    /// # Ok::<(), ExitError>(())
    /// ```
    ///
    /// # Errors
    /// What follows the colon is no number, a number of blocks is missing, or the rule is trained or needs the end of a run.
    pub fn named(text: &str, blocks: usize) -> Result<Option<Self>, ExitError> {
        let (name, threshold) = match text.rsplit_once(':') {
            Some((name, number)) if name.parse::<Rule>().is_ok() => {
                let threshold: f64 = number.parse().map_err(|_| ExitError::NotANumber {
                    found: number.to_owned(),
                })?;
                (name, Some(threshold))
            }
            _ => (text, None),
        };
        let Ok(rule) = name.parse::<Rule>() else {
            return Ok(None);
        };
        if rule == Rule::Fixed && threshold.is_none() {
            return Err(ExitError::NoDepth { blocks });
        }
        let name = rule.name();
        if rule.is_trained() {
            return Err(ExitError::Untrained { rule: name });
        }
        if rule.looks_ahead() {
            return Err(ExitError::LooksAhead { rule: name });
        }
        let threshold = threshold.or(rule.usual()).unwrap_or(f64::INFINITY);
        match threshold.is_nan() {
            true => Err(ExitError::InvalidThreshold),
            false => Ok(Some(Self {
                rule,
                trained: None,
                vocab: Vocab::Full,
                threshold,
                least: 1,
                every: 1,
            })),
        }
    }

    /// Checks that the model, of this name and number of blocks, has the blocks after which candidates are chosen.
    ///
    /// # Errors
    /// It has fewer.
    pub fn check(&self, model: &str, blocks: usize) -> Result<(), ExitError> {
        match self.vocab {
            Vocab::Candidates { blocks: from, .. } if from > blocks => Err(ExitError::TooDeep {
                from,
                model: model.to_owned(),
                blocks,
            }),
            _ => Ok(()),
        }
    }

    /// The criterion as a run takes it.
    ///
    /// # Panics
    /// If the rule is trained but has no classifier, or if it looks ahead.
    pub fn stop(&self) -> Stop {
        let stop = match &self.trained {
            Some(trained) => Stop::trained(trained.clone(), self.threshold, self.vocab),
            None => Stop::new(self.rule, self.threshold, self.vocab),
        };
        stop.testing(self.least, self.every)
    }
}

impl From<Classifier> for Criterion {
    /// The classifier with its own threshold and tokens, tested at every depth.
    fn from(read: Classifier) -> Self {
        Self {
            rule: read.trained.rule(),
            vocab: read.vocab,
            threshold: read.threshold,
            trained: Some(read.trained),
            least: 1,
            every: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn rules_are_named_with_their_thresholds() {
        let check = |text: &str, expected: Option<(Rule, f64)>| {
            let found = Criterion::named(text, 8).unwrap();
            let found = found.map(|found| (found.rule, found.threshold));
            assert_eq!(found, expected, "{text}");
        };
        check("gap", Some((Rule::Gap, 0.5)));
        check("gap:-1", Some((Rule::Gap, -1.0)));
        check("fixed:3", Some((Rule::Fixed, 3.0)));
        check("gab", None);
        check("gab:0.5", None);
        check("gap:0.5:1", None);
        check("C:gap", None);
    }

    #[test]
    fn rules_that_cannot_stop_a_run_are_refused() {
        let check = |text: &str, says: &str| {
            let error = Criterion::named(text, 9).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        };
        check(
            "gap:half",
            "expected a number after the colon, found \"half\"",
        );
        check(
            "fixed",
            "expected the number of blocks, as in fixed:5", // half of them
        );
        check(
            "svm",
            "`svm` is a trained rule: give the file of its classifier",
        );
        check("oracle-first", "reads the last block");
        check("gap:NaN", "the threshold is NaN");
    }

    #[test]
    fn candidates_are_chosen_within_the_model() {
        let mut criterion = Criterion::named("gap", 8).unwrap().unwrap();
        criterion.check("gpt2", 1).unwrap();
        criterion.vocab = "top:4@9".parse().unwrap();
        criterion.check("gpt2", 9).unwrap();
        let error = criterion.check("gpt2", 8).unwrap_err().to_string();
        assert_eq!(error, "top:R@K with 9 blocks: gpt2 has 8");
    }

    #[test]
    fn a_classifier_stops_as_it_was_trained() {
        let trained = testing::trained(Rule::Crf);
        let read = Classifier::new(trained, Vocab::Options, 0.25, 6, "a1".repeat(32));
        let stop = Criterion::from(read).stop();
        let found = (stop.rule(), stop.threshold(), stop.vocab());
        assert_eq!(found, (Rule::Crf, 0.25, Vocab::Options));
    }
}
