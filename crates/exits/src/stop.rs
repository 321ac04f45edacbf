//! Applies a rule to a run.

use crate::reading::{Reading, Sharpness, Vocab};
use crate::rule::Rule;
use crate::trained::Trained;
use layerwise_metrics::{cosine, distribution};
use layerwise_transformer::{Exit, Model};
use ndarray::{Array1, ArrayView1, Axis};

/// A rule with its threshold, applied to a run.
///
/// It reads the unembedding if the rule needs it: over the whole vocabulary, or only the columns of a few tokens.
#[derive(Clone, Debug)]
pub struct Stop {
    rule: Rule,
    trained: Option<Trained>,
    threshold: f64,
    vocab: Vocab,
    least: usize,
    every: usize,
    options: Vec<u32>,
    candidates: Vec<u32>,
    /// The readings that the rule looks back to, or the last one.
    readings: Vec<Reading>,
    before: Array1<f32>,
}

impl Stop {
    /// An untrained rule.
    ///
    /// # Panics
    /// If the rule is trained, or looks ahead.
    pub fn new(rule: Rule, threshold: f64, vocab: Vocab) -> Self {
        assert!(
            !rule.is_trained() && !rule.looks_ahead(),
            "{rule} cannot stop a run"
        );
        Self::with(rule, None, threshold, vocab)
    }

    /// A trained classifier.
    pub fn trained(trained: Trained, threshold: f64, vocab: Vocab) -> Self {
        Self::with(trained.rule(), Some(trained), threshold, vocab)
    }

    fn with(rule: Rule, trained: Option<Trained>, threshold: f64, vocab: Vocab) -> Self {
        Self {
            rule,
            trained,
            threshold,
            vocab,
            least: 1,
            every: 1,
            options: Vec::new(),
            candidates: Vec::new(),
            readings: Vec::new(),
            before: Array1::zeros(0),
        }
    }

    /// The same rule, tested only at depths from `least` on, and there at every `every`-th.
    #[must_use]
    pub fn testing(self, least: usize, every: usize) -> Self {
        Self {
            least,
            every: every.max(1),
            ..self
        }
    }

    /// The same rule for a prompt whose answer begins with one of these tokens.
    #[must_use]
    pub fn among(self, options: &[u32]) -> Self {
        Self {
            options: options.to_vec(),
            ..self
        }
    }

    /// The rule.
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// Its threshold.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// The tokens over which the unembedding is read.
    pub fn vocab(&self) -> Vocab {
        self.vocab
    }

    /// Whether the rule is tested after `blocks` blocks.
    fn tests(&self, blocks: usize) -> bool {
        blocks >= self.least && blocks.is_multiple_of(self.every)
    }

    /// Whether the answer of a run that stops after `blocks` of a model's blocks is among what the rule has read there. If not,
    /// the head has to be read for it; a run of all blocks has the full model's answer.
    pub fn has_answer(&self, blocks: usize, layers: usize) -> bool {
        let is_read = self.tests(blocks) || self.rule.looks_back();
        let is_whole = match self.vocab {
            Vocab::Candidates { blocks: from, .. } => blocks < layers || blocks == from,
            _ => true,
        };
        self.rule.reads_head() && is_read && is_whole
    }

    /// Whether candidates are chosen after `blocks` blocks.
    fn chooses(&self, blocks: usize) -> bool {
        matches!(self.vocab, Vocab::Candidates { blocks: from, .. } if from == blocks)
    }

    /// The reading after a block; `None` before candidates are chosen, if options are read but there are none, or if a logit is
    /// not finite.
    fn read(
        &mut self,
        model: &Model,
        blocks: usize,
        stream: ArrayView1<'_, f32>,
        state: f64,
    ) -> Option<Reading> {
        let whole = || model.standard_lens(stream.insert_axis(Axis(0)));
        let few = |tokens: &[u32]| {
            let logits = model.lens_of_tokens(stream, tokens);
            let is_finite = logits.iter().all(|logit| logit.is_finite());
            let own = Sharpness::of(logits.iter().map(|logit| f64::from(*logit)));
            (is_finite && !tokens.is_empty()).then_some(own)
        };
        match self.vocab {
            Vocab::Full => Reading::of(whole().row(0), &[], &[], state),
            Vocab::Options => Some(Reading::of_few(few(&self.options)?, state)),
            Vocab::Candidates { blocks: from, .. } if blocks < from => None,
            Vocab::Candidates {
                count,
                blocks: from,
            } => {
                if blocks == from {
                    self.candidates = best(whole().row(0), count);
                }
                let own = few(&self.candidates)?;
                let first = self.candidates[own.first as usize];
                Some(Reading::of_few(Sharpness { first, ..own }, state))
            }
        }
    }
}

/// The tokens with the largest logits \[vocab\], in descending order; empty if a logit is not finite.
fn best(logits: ArrayView1<'_, f32>, count: usize) -> Vec<u32> {
    let likely = distribution::top(logits, count).unwrap_or_default();
    likely.iter().map(|likely| likely.token).collect()
}

impl Exit for Stop {
    fn begins(&mut self, _: &Model, stream: ArrayView1<'_, f32>) {
        self.readings.clear();
        self.candidates.clear();
        self.before = stream.to_owned();
    }

    fn stops(&mut self, model: &Model, blocks: usize, stream: ArrayView1<'_, f32>) -> bool {
        let is_tested = self.tests(blocks);
        if self.rule == Rule::Fixed {
            return is_tested && self.rule.stops(blocks as f64, self.threshold);
        }
        // A zero stream counts as missing.
        let state = cosine(self.before.view(), stream).unwrap_or(0.0);
        self.before = stream.to_owned();
        if !is_tested && !self.rule.looks_back() && !self.chooses(blocks) {
            return false;
        }
        let reading = match self.rule.reads_head() {
            true => self.read(model, blocks, stream, state),
            false => Some(Reading::of_few(
                Sharpness {
                    gap: 0.0,
                    top: 0.0,
                    first: 0,
                },
                state,
            )),
        };
        let Some(reading) = reading else {
            return false;
        };
        if !self.rule.looks_back() {
            self.readings.clear();
        }
        self.readings.push(reading);
        let scores = match &self.trained {
            Some(trained) => trained.scores(&self.readings, self.vocab),
            None => self.rule.scores(&self.readings, self.vocab),
        };
        let last = scores.last().copied().unwrap_or(f64::NEG_INFINITY);
        is_tested && self.rule.stops(last, self.threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{RULES, exit};
    use crate::testing;
    use layerwise_schedule::Edit;
    use layerwise_transformer::{ExitingState, Missing, ModelConfig};

    /// A rule applied to a run stops where it would stop given all readings.
    #[test]
    fn a_run_stops_where_its_readings_say() {
        let model = Model::random(ModelConfig::tiny().with(|c| c.layers = 7), 3);
        let (tokens, options) = ([1, 2, 7, 4], [3, 9]);
        let vocabs = ["full", "options", "top:3@2"].map(|text| text.parse::<Vocab>().unwrap());
        let readings = |vocab: Vocab| {
            let mut candidates = Vec::new();
            let mut before = model.embed(&tokens).unwrap();
            let mut readings = Vec::new();
            for blocks in 1..=model.config().layers {
                let edit: Edit = format!("keep(0..{blocks})").parse().unwrap();
                let schedule = edit.apply(&model.plain()).unwrap();
                let stream = model.run(&tokens, &schedule, &mut ()).unwrap();
                let logits = model.standard_lens(stream.view());
                if let Vocab::Candidates { count, blocks: at } = vocab
                    && blocks == at
                {
                    candidates = best(logits.row(3), count);
                }
                let state = cosine(before.row(3), stream.row(3)).unwrap();
                let reading = Reading::of(logits.row(3), &options, &candidates, state);
                readings.push(reading.unwrap());
                before = stream;
            }
            readings
        };
        let mut stopped = Vec::new();
        for vocab in vocabs {
            let readings = readings(vocab);
            for rule in RULES.into_iter().filter(|rule| !rule.looks_ahead()) {
                let trained = rule.is_trained().then(|| testing::trained(rule));
                let scores = match &trained {
                    Some(trained) => trained.scores(&readings, vocab),
                    None => rule.scores(&readings, vocab),
                };
                let usual = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                for (share, least, every) in [(0.9, 1, 1), (0.99, 3, 1), (0.5, 1, 2), (2.0, 1, 1)] {
                    let threshold = usual + (share - 1.0) * usual.abs();
                    let expected = exit(rule, &scores, threshold, least, every);
                    let stop = match &trained {
                        Some(trained) => Stop::trained(trained.clone(), threshold, vocab),
                        None => Stop::new(rule, threshold, vocab),
                    };
                    let mut state = ExitingState::new(&model, 4, Missing::Absent).unwrap();
                    let mut stop = stop.among(&options).testing(least, every);
                    let (_, found) = state.extend(&tokens, &mut stop).unwrap();
                    // A few columns are summed in another order than the whole unembedding.
                    assert_eq!(
                        found, expected,
                        "{rule} {vocab} {threshold} {least} {every}"
                    );
                    if found < model.config().layers {
                        stopped.push(rule);
                    }
                }
            }
        }
        for rule in RULES.into_iter().filter(|rule| !rule.looks_ahead()) {
            let count = stopped.iter().filter(|own| **own == rule).count();
            assert!(count > 2, "{count} runs of {rule} stop before the end");
        }
    }

    #[test]
    fn a_head_that_no_test_has_read_is_left_for_the_answer() {
        let check = |rule: Rule, vocab: &str, every: usize, blocks: usize, expected: bool| {
            let stop = Stop::new(rule, 0.5, vocab.parse().unwrap()).testing(1, every);
            let found = stop.has_answer(blocks, 30);
            assert_eq!(found, expected, "{rule} {vocab} {every} {blocks}");
        };
        check(Rule::Gap, "full", 1, 30, true);
        check(Rule::Gap, "full", 7, 28, true);
        check(Rule::Gap, "full", 7, 30, false);
        check(Rule::Patience, "full", 7, 30, true);
        check(Rule::Fixed, "full", 1, 30, false);
        check(Rule::Fixed, "full", 1, 9, false);
        check(Rule::State, "options", 1, 9, false);
        check(Rule::Gap, "top:8@15", 1, 20, true);
        check(Rule::Gap, "top:8@15", 1, 30, false);
        check(Rule::Gap, "top:8@30", 1, 30, true);
    }

    #[test]
    fn without_options_nothing_is_read_of_them() {
        let model = Model::random(ModelConfig::tiny(), 3);
        for rule in [Rule::Top, Rule::Gap, Rule::Patience] {
            let mut state = ExitingState::new(&model, 4, Missing::Absent).unwrap();
            let mut stop = Stop::new(rule, 0.0, Vocab::Options);
            let (_, blocks) = state.extend(&[1, 2], &mut stop).unwrap();
            assert_eq!(blocks, model.config().layers, "{rule}");
        }
    }
}
