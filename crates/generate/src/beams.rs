//! Beam search: the likeliest continuations.

use crate::choosing::{log_sum_exp, penalize};
use crate::constraint::Constraint;
use crate::error::GenerateError;
use crate::generation::{End, Settings};
use layerwise_schedule::Schedule;
use layerwise_transformer::{Model, State, Team, TransformerError};
use ndarray::{Array2, ArrayView2, s};
use std::sync::Arc;

/// The width of a beam search, and how finished continuations are ranked.
///
/// The search is that of Hugging Face transformers. Each step extends every beam by one token and keeps the likeliest extensions.
/// Those that end are set aside with the score log-probability / tokens^`length_penalty`, the end token counted. [`Stopping`]
/// says when the search stops.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Beams {
    /// The number of beams, and the largest number of continuations returned.
    pub count: usize,
    /// Above 0 it favours longer continuations, below 0 shorter ones; 0 ranks by probability.
    pub length_penalty: f64,
    /// When the search stops.
    pub stopping: Stopping,
}

impl Beams {
    /// A search with `count` beams and the length penalty 1, which ranks by the mean log-probability per token.
    pub fn new(count: usize) -> Self {
        Self {
            count,
            length_penalty: 1.0,
            stopping: Stopping::Unlikely,
        }
    }

    /// Applies changes.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn check(&self) -> Result<(), GenerateError> {
        let Self {
            count,
            length_penalty,
            ..
        } = *self;
        let (setting, found, expected) = match (count, length_penalty.is_finite()) {
            (0, _) => ("number of beams", 0.0, "at least 1"),
            (_, false) => ("length penalty", length_penalty, "a finite number"),
            _ => return Ok(()),
        };
        Err(GenerateError::Setting {
            setting,
            found,
            expected,
        })
    }
}

/// When a beam search stops before [`Settings::max_tokens`]; `early_stopping` in transformers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stopping {
    /// Once as many continuations have ended as there are beams.
    Full,
    /// Once as many have ended as there are beams, and no running one has a better score at its present length.
    Unlikely,
    /// Once as many have ended as there are beams, and no running one could reach a better score at the length that favours it
    /// most.
    Impossible,
}

/// A continuation that a beam search found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hypothesis {
    /// Its tokens, without the end token.
    pub tokens: Vec<u32>,
    /// For each token the natural logarithm of its probability under the model, then that of the end token, if there is one.
    pub log_probabilities: Vec<f64>,
    /// The score that ranks it.
    pub score: f64,
    /// Why it ended.
    pub end: End,
}

/// A continuation that has not ended.
struct Running<'m, C> {
    state: State<'m>,
    tokens: Vec<u32>,
    log_probabilities: Vec<f64>,
    /// The sum of the tokens' scores.
    sum: f64,
    constraint: C,
}

/// A token that may follow one of the beams.
#[derive(Clone, Copy)]
struct Candidate {
    beam: usize,
    token: u32,
    sum: f64,
    log_probability: f64,
}

impl Candidate {
    /// The likelier first; among equals the earlier beam, then the lower token.
    fn before(&self, other: &Self) -> std::cmp::Ordering {
        let order = other.sum.total_cmp(&self.sum);
        order.then((self.beam, self.token).cmp(&(other.beam, other.token)))
    }
}

/// A search for the likeliest continuations of a prompt.
///
/// It honours the repetition penalty of the settings. It draws nothing at random, so the temperature must be 0.
///
/// ```
/// use layerwise_generate::{BeamSearch, Beams, Free, Settings};
/// use layerwise_transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let settings = Settings::default().with(|it| it.max_tokens = 3);
/// let search = BeamSearch::new(&model, &model.plain(), &[0, 5], settings, Beams::new(2), Free)?;
/// let found = search.run()?;
/// assert_eq!(found.len(), 2);
/// assert!(found[0].score >= found[1].score); // mean log-probabilities per token, in nats
/// # Ok::<(), layerwise_generate::GenerateError>(())
/// ```
#[derive(Debug)]
pub struct BeamSearch<'m, C> {
    prompt: Vec<u32>,
    settings: Settings,
    beams: Beams,
    /// The state of the prompt.
    state: State<'m>,
    /// The last row of the prompt's residual stream, \[1, model\].
    residual: Array2<f32>,
    constraint: C,
}

impl<'m, C: Constraint + Clone> BeamSearch<'m, C> {
    /// Runs a prompt. The constraint applies to its continuations.
    ///
    /// # Errors
    /// Those of [`Generation::new`](crate::Generation::new).
    pub fn new(
        model: &'m Model,
        schedule: &Schedule,
        prompt: &[u32],
        settings: Settings,
        beams: Beams,
        constraint: C,
    ) -> Result<Self, GenerateError> {
        beams.check()?;
        settings.sampling.check()?;
        if settings.sampling.temperature != 0.0 {
            return Err(GenerateError::Setting {
                setting: "temperature",
                found: settings.sampling.temperature,
                expected: "0 with beams, which draw nothing at random",
            });
        }
        let capacity = settings.capacity(prompt.len(), model.config().context);
        let state = State::new_in(model, schedule, capacity, settings.cache)?;
        let mut state = state.with_team(&Arc::new(Team::new(settings.threads)));
        let residual = state.extend(prompt)?;
        Ok(Self {
            prompt: prompt.to_vec(),
            residual: residual.slice(s![prompt.len() - 1.., ..]).to_owned(),
            settings,
            beams,
            state,
            constraint,
        })
    }

    /// The likeliest continuations, the best first, at most [`Beams::count`].
    ///
    /// # Errors
    /// A logit is not finite, or no continuation can end under the constraint.
    pub fn run(self) -> Result<Vec<Hypothesis>, GenerateError> {
        // The last token is chosen but never run.
        let room = self.state.model().config().context - self.prompt.len() + 1;
        let most = self.settings.max_tokens.min(room);
        let end = match most {
            0 => Some(End::Length),
            _ => self.constraint.is_finished().then_some(End::Constraint),
        };
        if let Some(end) = end {
            return Ok(vec![Hypothesis {
                tokens: Vec::new(),
                log_probabilities: Vec::new(),
                score: 0.0,
                end,
            }]);
        }
        let mut search = Search {
            settings: &self.settings,
            prompt: &self.prompt,
            beams: self.beams,
            most,
            ended: Vec::new(),
        };
        let mut residual = self.residual;
        let mut running = vec![Running {
            state: self.state,
            tokens: Vec::new(),
            log_probabilities: Vec::new(),
            sum: 0.0,
            constraint: self.constraint,
        }];
        let mut tokens = 0;
        for length in 1..=most {
            tokens = length - 1;
            let candidates = search.candidates(residual.view(), &running)?;
            running = search.go_on(candidates, running, length);
            if search.is_over(&running, length) {
                break;
            }
            residual = search.extend(&mut running)?;
        }
        match search.ended.is_empty() {
            true => Err(GenerateError::DeadEnd { tokens }),
            false => Ok(search.ended),
        }
    }
}

struct Search<'a> {
    settings: &'a Settings,
    prompt: &'a [u32],
    beams: Beams,
    most: usize,
    /// The best continuations that have ended, the best first.
    ended: Vec<Hypothesis>,
}

impl Search<'_> {
    /// The likeliest tokens after any of the beams, in such number that enough beams remain even if each ends with every end
    /// token.
    fn candidates<C: Constraint>(
        &self,
        residual: ArrayView2<'_, f32>,
        running: &[Running<'_, C>],
    ) -> Result<Vec<Candidate>, GenerateError> {
        let mut all = Vec::new();
        let Some(first) = running.first() else {
            return Ok(all);
        };
        let kept = self.beams.count * (1 + self.settings.end_tokens.len()).max(2);
        let logits = first.state.logits(residual);
        for (beam, (logits, running)) in logits.rows().into_iter().zip(running).enumerate() {
            if let Some(token) = logits.iter().position(|logit| !logit.is_finite()) {
                return Err(GenerateError::NotFinite {
                    tokens: running.state.len(),
                    token,
                    found: logits[token],
                });
            }
            let logits: Vec<f64> = logits.iter().copied().map(f64::from).collect();
            let total = log_sum_exp(&logits);
            let own: Vec<f64> = logits.iter().map(|logit| logit - total).collect();
            let mut scores = own.clone();
            let before = [self.prompt, &running.tokens].concat();
            penalize(
                &mut scores,
                &before,
                self.settings.sampling.repetition_penalty,
            );
            let mut candidates: Vec<Candidate> = (0..)
                .zip(scores)
                .filter(|(token, _)| running.constraint.allows(*token))
                .map(|(token, score)| Candidate {
                    beam,
                    token,
                    sum: running.sum + score,
                    log_probability: own[token as usize],
                })
                .collect();
            if candidates.len() > kept {
                candidates.select_nth_unstable_by(kept - 1, Candidate::before);
                candidates.truncate(kept);
            }
            all.extend(candidates);
        }
        all.sort_unstable_by(Candidate::before);
        all.truncate(kept);
        Ok(all)
    }

    /// Runs the last token of each beam, and returns its residual stream, \[beams, model\].
    fn extend<'m, C>(
        &self,
        running: &mut [Running<'m, C>],
    ) -> Result<Array2<f32>, TransformerError> {
        let states = running.iter_mut().map(|it| {
            let last = it.tokens.len().saturating_sub(1);
            (&mut it.state, &it.tokens[last..])
        });
        let mut states: Vec<(&mut State<'m>, &[u32])> = states.collect();
        match State::extend_all(&mut states) {
            Err(TransformerError::MixedLengths { .. }) => {}
            outcome => return outcome,
        }
        // All beams have the same length. Past a change of the rotary frequencies their whole texts run again.
        let width = running.first();
        let width = width.map_or(0, |it| it.state.model().config().model);
        let mut rows = Array2::zeros((running.len(), width));
        for (it, mut row) in running.iter_mut().zip(rows.outer_iter_mut()) {
            it.state.truncate(0)?;
            let residual = it.state.extend(&[self.prompt, &it.tokens].concat())?;
            row.assign(&residual.row(residual.nrows() - 1));
        }
        Ok(rows)
    }

    /// Sets aside the continuations that end, and returns the others.
    fn go_on<'m, C: Constraint + Clone>(
        &mut self,
        candidates: Vec<Candidate>,
        running: Vec<Running<'m, C>>,
        length: usize,
    ) -> Vec<Running<'m, C>> {
        let is_full = self.ended.len() == self.beams.count && self.beams.stopping == Stopping::Full;
        let mut next: Vec<Running<'m, C>> = Vec::new();
        for (rank, candidate) in candidates.into_iter().enumerate() {
            let from = &running[candidate.beam];
            let mut constraint = from.constraint.clone();
            let is_end = self.settings.end_tokens.contains(&candidate.token);
            if !is_end {
                constraint.advance(candidate.token);
            }
            let end = match is_end {
                true => Some(End::Token(candidate.token)),
                false if constraint.is_finished() => Some(End::Constraint),
                false if length < self.most => None,
                false if length == self.settings.max_tokens => Some(End::Length),
                false => Some(End::Context),
            };
            if end.is_none() && next.len() == self.beams.count {
                continue;
            }
            // A continuation that ends counts only if it is among the likeliest.
            if end.is_some() && (is_full || rank >= self.beams.count) {
                continue;
            }
            let mut log_probabilities = from.log_probabilities.clone();
            log_probabilities.push(candidate.log_probability);
            let mut tokens = from.tokens.clone();
            tokens.extend((!is_end).then_some(candidate.token));
            match end {
                Some(end) => self.ended.push(Hypothesis {
                    tokens,
                    log_probabilities,
                    score: self.score(candidate.sum, length),
                    end,
                }),
                None => next.push(Running {
                    state: from.state.fork(),
                    tokens,
                    log_probabilities,
                    sum: candidate.sum,
                    constraint,
                }),
            }
        }
        // The sort is stable: among equals the one that ended first stays first.
        self.ended.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.ended.truncate(self.beams.count);
        next
    }

    fn score(&self, sum: f64, length: usize) -> f64 {
        sum / libm::pow(length as f64, self.beams.length_penalty)
    }

    fn is_over<C>(&self, running: &[Running<'_, C>], length: usize) -> bool {
        let Some(best) = running.first() else {
            return true;
        };
        let (Some(worst), true) = (self.ended.last(), self.ended.len() == self.beams.count) else {
            return false;
        };
        let at = match self.beams.stopping {
            Stopping::Full => return true,
            Stopping::Impossible if self.beams.length_penalty > 0.0 => self.most,
            Stopping::Unlikely | Stopping::Impossible => length,
        };
        self.score(best.sum, at) <= worst.score
    }
}
