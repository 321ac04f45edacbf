//! Times of runs, taken with a clock that whoever runs the experiments hands over.
//!
//! They depend on the machine and its load: without a clock none are taken.

use layerwise_metrics::ClusteredMean;
use layerwise_schedule::Schedule;
use layerwise_transformer::{Model, Precision, State, Team, TransformerError};
use ndarray::s;
use std::hint::black_box;
use std::sync::Arc;

/// Tells the time.
pub trait Clock: Sync {
    /// Seconds since any moment that stays the same.
    fn seconds(&self) -> f64;

    /// Who shares the work of each token.
    fn team(&self) -> &Arc<Team>;

    /// How often, and on how many tokens, experiments take times.
    fn budget(&self) -> Budget {
        Budget::default()
    }
}

/// How often, and on how many tokens, times are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// Tokens that are decoded one by one.
    pub decoded: usize,
    /// Repetitions, after one that is discarded.
    pub repetitions: usize,
    /// The number format of keys and values.
    pub cache: Precision,
}

/// 128 tokens, five times, with keys and values in f32.
impl Default for Budget {
    fn default() -> Self {
        Self {
            decoded: 128,
            repetitions: 5,
            cache: Precision::F32,
        }
    }
}

impl Budget {
    /// With changes.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// The times of one schedule in one repetition, in seconds.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Times {
    /// Of the prompt, with the logits of its last position.
    pub prefill: f64,
    /// Of the prompt and one further token.
    pub first: f64,
    /// Of a decoded token, the median.
    pub decode: f64,
}

/// Fixed token ids, of which nothing is chosen.
pub fn trace(model: &Model, tokens: usize) -> Vec<u32> {
    let vocab = model.config().vocab;
    (0..tokens).map(|at| (at * 7919 % vocab) as u32).collect()
}

/// Times prompts of so many tokens and decoding after them, interleaved: for each repetition that counts the times of each
/// schedule.
///
/// # Errors
/// Prompts with their continuations that do not fit the model, or a schedule made for another stack.
pub fn times(
    model: &Model,
    schedules: &[&Schedule],
    prompt: usize,
    budget: Budget,
    clock: &dyn Clock,
) -> Result<Vec<Vec<Times>>, TransformerError> {
    let tokens = trace(model, prompt + budget.decoded);
    let timed = |state: &mut State<'_>, tokens: &[u32]| -> Result<f64, TransformerError> {
        let started = clock.seconds();
        let residual = state.extend(tokens)?;
        black_box(state.logits(residual.slice(s![residual.nrows() - 1.., ..])));
        Ok(clock.seconds() - started)
    };
    let repetition = || -> Result<Vec<Times>, TransformerError> {
        let mut states = Vec::new();
        let mut prefill = Vec::new();
        for schedule in schedules {
            let state = State::new_in(model, schedule, tokens.len(), budget.cache)?;
            let mut state = state.with_team(clock.team());
            prefill.push(timed(&mut state, &tokens[..prompt])?);
            states.push(state);
        }
        let mut decoding = vec![Vec::new(); states.len()];
        for at in prompt..tokens.len() {
            for (state, times) in states.iter_mut().zip(&mut decoding) {
                times.push(timed(state, &tokens[at..=at])?);
            }
        }
        let each = prefill.into_iter().zip(decoding);
        Ok(each
            .map(|(prefill, decoding)| Times {
                prefill,
                first: prefill + decoding[0],
                decode: median(decoding),
            })
            .collect())
    };
    repetition()?;
    (0..budget.repetitions).map(|_| repetition()).collect()
}

/// The median, the upper one of an even number.
///
/// # Panics
/// If there is none.
pub fn median(mut values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Mean and standard error over repetitions.
pub fn over(values: impl Iterator<Item = f64>) -> [Option<f64>; 2] {
    let mut mean = ClusteredMean::new();
    values.for_each(|value| mean.push(value, 1));
    [mean.mean(), mean.standard_error()]
}
