//! Log-likelihoods of continuations of a context.

use crate::grouping::MOST_ROWS;
use crate::measure::{Failure, Measure, MeasureId, Reached};
use layerwise_kernels::vocabulary::{self, Summary};
use layerwise_transformer::{Batch, ModelConfig};
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A context with one of its continuations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Continuation {
    /// Context and continuation without its last token.
    pub tokens: Vec<u32>,
    /// The continuation's tokens, at most as many as `tokens`; the first is predicted at position
    /// `tokens.len() − targets.len()`.
    pub targets: Vec<u32>,
}

/// When an answer counts as right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// The right continuation is the most probable one; of equally probable ones the first counts.
    Choice,
    /// Each token of the right continuation is the most probable one at its position.
    Greedy,
}

/// Several continuations to choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The continuations, with their contexts; common beginnings run once.
    pub continuations: Vec<Continuation>,
    /// The right one and the rule that judges it, if known.
    pub answer: Option<(usize, Rule)>,
}

/// The likelihood of a continuation under a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Likelihood {
    /// The sum over the continuation's tokens, in nats.
    pub log_likelihood: f64,
    /// Whether each token is the most probable one at its position.
    pub greedy: bool,
}

impl Question {
    /// Whether the likelihoods, one for each continuation, answer the question rightly; `None` if the answer is not known.
    pub fn is_right(&self, likelihoods: &[Likelihood]) -> Option<bool> {
        let (right, rule) = self.answer?;
        let likelihood = likelihoods.get(right)?;
        Some(match rule {
            Rule::Greedy => likelihood.greedy,
            Rule::Choice => {
                let own = likelihood.log_likelihood;
                let others = likelihoods.iter().enumerate();
                // Of equally probable continuations the first is chosen.
                others.fold(true, |is_largest, (at, other)| {
                    is_largest
                        && match at < right {
                            true => other.log_likelihood < own,
                            false => other.log_likelihood <= own,
                        }
                })
            }
        })
    }

    /// The batch, and for each continuation the rows that predict its tokens. A beginning that neighbouring continuations share
    /// is in the batch once.
    fn rows(&self) -> (Batch, Vec<Vec<usize>>) {
        let mut batch = Batch::default();
        let mut ends = vec![None; self.continuations.len()];
        self.add(&mut batch, None, 0, 0..ends.len(), &mut ends);
        let rows = self.continuations.iter().zip(ends).map(|(own, end)| {
            let path = end.map_or_else(Vec::new, |end| batch.path_to(end));
            path[path.len().saturating_sub(own.targets.len())..].to_vec()
        });
        let rows = rows.collect();
        (batch, rows)
    }

    /// Adds the tokens of some neighbouring continuations from `at` on, below the segment that they share before it, and notes
    /// where each continuation ends.
    fn add(
        &self,
        batch: &mut Batch,
        parent: Option<usize>,
        at: usize,
        own: Range<usize>,
        ends: &mut [Option<usize>],
    ) {
        let rest = |index: usize| &self.continuations[index].tokens[at..];
        let Some(shared) = own
            .clone()
            .map(|index| common(rest(own.start), rest(index)))
            .min()
        else {
            return;
        };
        let tokens = &rest(own.start)[..shared];
        let node = match (parent, shared) {
            (_, 0) => parent,
            (None, _) => Some(batch.add(tokens)),
            (Some(parent), _) => Some(batch.add_child(parent, tokens)),
        };
        let at = at + shared;
        let next = |index: usize| self.continuations[index].tokens.get(at);
        let mut first = own.start;
        while first < own.end {
            let alike = (first..own.end).take_while(|&index| next(index) == next(first));
            let last = first + alike.count();
            match next(first) {
                None => ends[first..last].fill(node),
                Some(_) => self.add(batch, node, at, first..last, ends),
            }
            first = last;
        }
    }
}

/// The number of tokens that both begin with.
fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Measures the log-likelihood of each continuation of a question, and whether greedy decoding would produce it.
///
/// Common beginnings of continuations run once, and only the rows that predict their tokens go through the unembedding.
///
/// ```
/// use layerwise_sweep::{Continuation, LogLikelihood, Plan, Question, Rule, Runner};
/// use layerwise_transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 0);
/// let after = |target| Continuation { tokens: vec![0, 5, 3], targets: vec![target] };
/// let questions = [Question { continuations: vec![after(1), after(2)], answer: Some((0, Rule::Choice)) }];
/// let measure = LogLikelihood::of("example", &questions);
/// let measured = Runner::new().measure(&model, &Plan::plain(model.stack())?, &measure, &questions)?;
/// let likelihoods = &measured.results[0][0]; // of item 0 under schedule 0, in nats
/// let logits = model.logits(&[0, 5, 3], &model.plain())?;
/// assert_eq!(questions[0].is_right(likelihoods), Some(logits[[2, 1]] >= logits[[2, 2]]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct LogLikelihood {
    name: &'static str,
    most_continuations: usize,
    most_targets: usize,
}

impl LogLikelihood {
    /// The measure for such questions; `name` says where they come from.
    pub fn of(name: &'static str, questions: &[Question]) -> Self {
        let targets = |question: &Question| -> usize {
            let continuations = question.continuations.iter();
            continuations.map(|c| c.targets.len()).sum()
        };
        Self {
            name,
            most_continuations: questions
                .iter()
                .map(|question| question.continuations.len())
                .max()
                .unwrap_or(0),
            most_targets: questions.iter().map(targets).max().unwrap_or(0),
        }
    }

    fn read(
        &self,
        reached: &[Reached<'_, Question>],
    ) -> Result<Vec<Vec<Likelihood>>, (usize, Failure)> {
        for (at, reached) in reached.iter().enumerate() {
            let mut continuations = reached.item.continuations.iter();
            if let Some(own) = continuations.find(|own| own.targets.len() > own.tokens.len()) {
                let (tokens, targets) = (own.tokens.len(), own.targets.len());
                let told =
                    format!("a continuation has {targets} targets, but only {tokens} tokens");
                return Err((at, Failure::other(told)));
            }
        }
        // Row and target of every token of every continuation, question after question.
        let asked: Vec<(usize, usize, u32)> = reached
            .iter()
            .enumerate()
            .flat_map(|(at, reached)| {
                let (_, rows) = reached.item.rows();
                let continuations = reached.item.continuations.iter().zip(rows);
                continuations.flat_map(move |(continuation, rows)| {
                    let targets = continuation.targets.iter();
                    let pairs = rows.into_iter().zip(targets);
                    pairs.map(move |(row, &target)| (at, row, target))
                })
            })
            .collect();
        let mut summaries: Vec<Summary> = Vec::with_capacity(asked.len());
        for part in asked.chunks(MOST_ROWS) {
            let model = reached[part[0].0].model;
            let mut states = Array2::zeros((part.len(), model.config().model));
            for (mut state, &(at, row, _)) in states.outer_iter_mut().zip(part) {
                state.assign(&reached[at].states.row(row));
            }
            let normed = model.final_norm(states.view());
            let targets: Vec<u32> = part.iter().map(|&(_, _, target)| target).collect();
            summaries.extend(vocabulary::pass(
                normed.view(),
                model.unembedding(),
                &targets,
            ));
        }
        let mut summaries = summaries.iter();
        let each = reached.iter().enumerate();
        each.map(|(at, reached)| {
            let continuations = reached.item.continuations.iter();
            continuations
                .map(|continuation| {
                    let mut likelihood = Likelihood {
                        log_likelihood: 0.0,
                        greedy: true,
                    };
                    for (&target, summary) in continuation.targets.iter().zip(&mut summaries) {
                        let logit = summary.target_logit.map_or(f64::NAN, f64::from);
                        likelihood.log_likelihood += logit - summary.log_sum_exp;
                        likelihood.greedy &= summary.argmax == target;
                    }
                    match likelihood.log_likelihood.is_finite() {
                        true => Ok(likelihood),
                        false => {
                            let first = continuation.tokens.len() - continuation.targets.len();
                            Err((at, Failure::NotFinite { position: first }))
                        }
                    }
                })
                .collect()
        })
        .collect()
    }
}

impl Measure for LogLikelihood {
    type Item = Question;
    type Observer<'a> = ();
    type Reference = ();
    type Sums = Vec<Likelihood>;

    fn id(&self) -> MeasureId {
        MeasureId::new(self.name, 1)
    }

    fn batch(&self, question: &Question) -> Batch {
        question.rows().0
    }

    fn particulars(&self, question: &Question) -> Vec<u32> {
        let mut numbers = Vec::new();
        for continuation in &question.continuations {
            for list in [&continuation.tokens, &continuation.targets] {
                numbers.push(list.len() as u32);
                numbers.extend(list);
            }
        }
        numbers
    }

    fn plain(
        &self,
        reached: &Reached<'_, Question>,
        _: Option<()>,
    ) -> Result<((), Vec<Likelihood>), Failure> {
        Ok(((), self.altered(reached, &())?))
    }

    fn altered(
        &self,
        reached: &Reached<'_, Question>,
        (): &(),
    ) -> Result<Vec<Likelihood>, Failure> {
        let read = self.read(std::slice::from_ref(reached));
        let read = read.map_err(|(_, failure)| failure)?;
        Ok(read.into_iter().flatten().collect())
    }

    fn plain_of_all(
        &self,
        reached: &[Reached<'_, Question>],
        _: Vec<Option<()>>,
    ) -> Result<Vec<((), Vec<Likelihood>)>, (usize, Failure)> {
        let read = self.read(reached)?;
        Ok(read
            .into_iter()
            .map(|likelihoods| ((), likelihoods))
            .collect())
    }

    fn altered_of_all(
        &self,
        reached: &[Reached<'_, Question>],
        _: &[()],
    ) -> Result<Vec<Vec<Likelihood>>, (usize, Failure)> {
        self.read(reached)
    }

    fn kept_bytes(&self, _: &ModelConfig, _: usize, schedules: usize) -> usize {
        2 * schedules * self.most_continuations * size_of::<Likelihood>()
    }

    /// For rows that go through the unembedding: their states and final-norm outputs, a tile of logits, and a few numbers per
    /// target.
    fn reading_bytes(&self, config: &ModelConfig, seq: usize) -> usize {
        let targets = self.most_targets * seq.clamp(1, crate::grouping::MOST_ITEMS);
        let rows = MOST_ROWS.min(targets);
        2 * rows * config.model * size_of::<f32>()
            + vocabulary::most_bytes(rows, config.model, config.vocab)
            + targets * 2 * (size_of::<Summary>() + size_of::<(usize, usize, u32)>())
            + 4 * seq * size_of::<usize>()
    }

    fn result_bytes(&self, _: &ModelConfig, items: &[Question], schedules: usize) -> usize {
        let continuations: usize = items.iter().map(|item| item.continuations.len()).sum();
        2 * schedules * continuations * size_of::<Likelihood>()
    }

    fn statistics(&self) -> &'static [&'static str] {
        &["accuracy"]
    }

    fn observations(&self, question: &Question, sums: &Vec<Likelihood>, _: &str) -> (f64, u64) {
        match question.is_right(sums) {
            Some(is_right) => (f64::from(is_right), 1),
            None => (0.0, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(continuations: &[(&[u32], usize)]) -> Question {
        Question {
            continuations: continuations
                .iter()
                .map(|&(tokens, targets)| Continuation {
                    tokens: tokens.to_vec(),
                    targets: vec![1; targets],
                })
                .collect(),
            answer: None,
        }
    }

    #[test]
    fn what_continuations_share_is_there_once() {
        let check = |continuations: &[(&[u32], usize)], rows: usize, expected: &[&[usize]]| {
            let (batch, found) = question(continuations).rows();
            assert_eq!(
                (batch.rows(), found.as_slice().len()),
                (rows, expected.len())
            );
            assert_eq!(found, expected, "{continuations:?}");
        };
        check(&[(&[5, 6, 7], 2)], 3, &[&[1, 2]]);
        check(&[(&[5, 6], 1), (&[5, 6], 1)], 2, &[&[1], &[1]]);
        check(
            &[(&[5, 6, 7], 2), (&[5, 6, 8, 9], 3)],
            5,
            &[&[1, 2], &[1, 3, 4]],
        );
        // One continuation is the beginning of the other.
        check(&[(&[5, 6], 1), (&[5, 6, 7], 2)], 3, &[&[1], &[1, 2]]);
        check(&[(&[5], 1), (&[6, 7], 1)], 3, &[&[0], &[2]]);
        // Shots, two questions after them, and options with a common beginning.
        check(
            &[
                (&[5, 6, 1], 1),
                (&[5, 6, 1], 1),
                (&[5, 6, 2, 8, 9], 2),
                (&[5, 6, 2, 8, 7], 2),
            ],
            7,
            &[&[2], &[2], &[4, 5], &[4, 6]],
        );
    }

    #[test]
    fn the_first_of_equal_choices_counts() {
        let check = |values: &[f64], chosen: usize| {
            let likelihoods: Vec<Likelihood> = values
                .iter()
                .map(|&log_likelihood| Likelihood {
                    log_likelihood,
                    greedy: false,
                })
                .collect();
            for right in 0..values.len() {
                let question = Question {
                    answer: Some((right, Rule::Choice)),
                    ..question(&[])
                };
                let expected = Some(right == chosen);
                assert_eq!(question.is_right(&likelihoods), expected, "{values:?}");
            }
        };
        check(&[-3.0, -1.0, -1.0], 1);
        check(&[-1.0, -1.0], 0);
        check(&[-5.0, -4.0, -9.0], 1);
    }
}
