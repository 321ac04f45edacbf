//! One continuation.

use crate::choosing::{Choice, Chooser, Sampling};
use crate::constraint::{Constraint, Free};
use crate::error::GenerateError;
use layerwise_schedule::Schedule;
use layerwise_transformer::{Model, Precision, State, Team};
use ndarray::{ArrayView2, s};
use std::num::NonZeroUsize;
use std::sync::Arc;

/// What is continued how far.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// The most tokens of the continuation.
    pub max_tokens: usize,
    /// Tokens that end it, and are not part of it.
    pub end_tokens: Vec<u32>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// The number format of the keys and values of what was read. In bf16 they take half the memory, and the tokens may be
    /// others.
    pub cache: Precision,
    /// Threads that share the products and attention heads of each token. The tokens stay the same.
    pub threads: NonZeroUsize,
}

/// 128 tokens, each the most likely one, on one thread, with keys and values in f32.
impl Default for Settings {
    fn default() -> Self {
        Self {
            max_tokens: 128,
            end_tokens: Vec::new(),
            sampling: Sampling::default(),
            cache: Precision::F32,
            threads: NonZeroUsize::MIN,
        }
    }
}

impl Settings {
    /// With changes.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Tokens that a [`State`] must have room for, with a prompt of so many tokens and a model of that context:
    /// [`State::most_bytes`] says what that takes. The last token that is chosen is not run.
    pub fn capacity(&self, prompt: usize, context: usize) -> usize {
        let all = prompt.saturating_add(self.max_tokens.saturating_sub(1));
        all.min(context.max(prompt))
    }
}

/// Why a continuation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// It has as many tokens as were asked for.
    Length,
    /// This end token came.
    Token(u32),
    /// The model has no further positions.
    Context,
    /// The constraint has ended.
    Constraint,
}

/// A continuation in the making: an iterator of tokens, which ends after the first error.
#[derive(Debug)]
pub struct Generation<'m, C = Free> {
    state: State<'m>,
    settings: Settings,
    chooser: Chooser,
    constraint: C,
    /// The prompt and what was chosen.
    tokens: Vec<u32>,
    prompt: usize,
    /// Of the token after the last one that was run, \[vocab\].
    logits: Vec<f32>,
    end: Option<End>,
    has_failed: bool,
}

impl<'m> Generation<'m> {
    /// Runs a prompt, whose continuation then comes token by token.
    ///
    /// # Errors
    /// An empty prompt or one longer than the model's context, a token outside the vocabulary, a schedule made for another
    /// stack, or settings out of range.
    pub fn new(
        model: &'m Model,
        schedule: &Schedule,
        prompt: &[u32],
        settings: Settings,
    ) -> Result<Self, GenerateError> {
        Self::constrained(model, schedule, prompt, settings, Free)
    }
}

impl<'m, C: Constraint> Generation<'m, C> {
    /// As [`Generation::new`], with tokens that a constraint allows.
    ///
    /// # Errors
    /// As [`Generation::new`].
    pub fn constrained(
        model: &'m Model,
        schedule: &Schedule,
        prompt: &[u32],
        settings: Settings,
        constraint: C,
    ) -> Result<Self, GenerateError> {
        let chooser = Chooser::new(settings.sampling)?;
        let capacity = settings.capacity(prompt.len(), model.config().context);
        let team = Arc::new(Team::new(settings.threads));
        let state = State::new_in(model, schedule, capacity, settings.cache)?;
        let mut state = state.with_team(&team);
        let residual = state.extend(prompt)?;
        Ok(Self {
            logits: last_logits(&state, residual.view()),
            state,
            chooser,
            constraint,
            tokens: prompt.to_vec(),
            prompt: prompt.len(),
            settings,
            end: None,
            has_failed: false,
        })
    }

    /// Tokens of the continuation so far.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens[self.prompt..]
    }

    /// Why the continuation ended; `None` before it has.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    fn next_choice(&mut self) -> Result<Result<Choice, End>, GenerateError> {
        if self.tokens().len() >= self.settings.max_tokens {
            return Ok(Err(End::Length));
        }
        if self.constraint.is_finished() {
            return Ok(Err(End::Constraint));
        }
        let model = self.state.model();
        if self.state.len() < self.tokens.len() {
            if self.state.len() == model.config().context {
                return Ok(Err(End::Context));
            }
            let residual = self.state.extend(&self.tokens[self.state.len()..])?;
            self.logits = last_logits(&self.state, residual.view());
        }
        if let Some(token) = self.logits.iter().position(|logit| !logit.is_finite()) {
            return Err(GenerateError::NotFinite {
                tokens: self.tokens.len(),
                token,
                found: self.logits[token],
            });
        }
        let choice = self
            .chooser
            .choose(&self.logits, &self.tokens, &self.constraint)
            .ok_or(GenerateError::DeadEnd {
                tokens: self.tokens().len(),
            })?;
        if self.settings.end_tokens.contains(&choice.token) {
            return Ok(Err(End::Token(choice.token)));
        }
        self.constraint.advance(choice.token);
        self.tokens.push(choice.token);
        Ok(Ok(choice))
    }
}

impl<C: Constraint> Iterator for Generation<'_, C> {
    type Item = Result<Choice, GenerateError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.end.is_some() || self.has_failed {
            return None;
        }
        match self.next_choice() {
            Ok(Ok(choice)) => Some(Ok(choice)),
            Ok(Err(end)) => {
                self.end = Some(end);
                None
            }
            Err(error) => {
                self.has_failed = true;
                Some(Err(error))
            }
        }
    }
}

/// Logits \[vocab\] at the last row of a residual stream.
fn last_logits(state: &State<'_>, residual: ArrayView2<'_, f32>) -> Vec<f32> {
    let logits = state.logits(residual.slice(s![residual.nrows() - 1.., ..]));
    logits.into_iter().collect()
}
