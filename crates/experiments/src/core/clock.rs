//! Times of runs, measured with a clock from whoever runs the experiments.
//!
//! They depend on the machine and its load: without a clock nothing is timed.

use layerwise_metrics::{ClusteredMean, median};
use layerwise_schedule::Schedule;
use layerwise_transformer::{Cost, Model, Precision, State, Team, TransformerError};
use ndarray::s;
use std::hint::black_box;
use std::sync::Arc;

/// A clock.
pub trait Clock: Sync {
    /// Seconds since a fixed moment.
    fn seconds(&self) -> f64;

    /// The threads that share the work of each token.
    fn team(&self) -> &Arc<Team>;

    /// How often, and on how many tokens, experiments measure times.
    fn budget(&self) -> Budget {
        Budget::default()
    }
}

/// How often, and on how many tokens, times are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// Tokens that are decoded one by one.
    pub decoded: usize,
    /// Repetitions, after a first one that is discarded.
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
    /// The budget, changed by `change`.
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
    /// For the prompt, with the logits of its last position.
    pub prefill: f64,
    /// For the prompt and one further token.
    pub first: f64,
    /// For a decoded token, the median.
    pub decode: f64,
}

/// Fixed token ids; nothing is sampled.
pub fn trace(model: &Model, tokens: usize) -> Vec<u32> {
    let vocab = model.config().vocab;
    (0..tokens).map(|at| (at * 7919 % vocab) as u32).collect()
}

/// Times prompts of this many tokens and decoding after them, interleaved. Returns the times of each schedule for each
/// repetition that counts. Calls `go_on` before each prompt and each token.
///
/// # Errors
/// Prompts with their continuations do not fit the model, a schedule was made for another stack, or that of `go_on`.
pub fn times<E: From<TransformerError>>(
    model: &Model,
    schedules: &[&Schedule],
    prompt: usize,
    budget: Budget,
    clock: &dyn Clock,
    go_on: impl Fn() -> Result<(), E>,
) -> Result<Vec<Vec<Times>>, E> {
    let tokens = trace(model, prompt + budget.decoded);
    let timed = |state: &mut State<'_>, tokens: &[u32]| -> Result<f64, E> {
        go_on()?;
        let started = clock.seconds();
        let residual = state.extend(tokens)?;
        black_box(state.logits(residual.slice(s![residual.nrows() - 1.., ..])));
        Ok(clock.seconds() - started)
    };
    let repetition = || -> Result<Vec<Times>, E> {
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
                decode: median(decoding).unwrap_or(f64::NAN),
            })
            .collect())
    };
    repetition()?;
    (0..budget.repetitions).map(|_| repetition()).collect()
}

/// The speed of one schedule, next to the prediction from the bytes it reads. Measured values have a mean and a standard error
/// over repetitions.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Speed {
    /// Tokens of the prompt per second, with the logits of its last position.
    pub prefill_tokens_per_s: [Option<f64>; 2],
    /// For the prompt and one further token, in milliseconds.
    pub first_token_ms: [Option<f64>; 2],
    /// For a decoded token, in milliseconds.
    pub decode_ms_per_token: [Option<f64>; 2],
    /// The first schedule's time for a decoded token divided by this schedule's, in the same repetition.
    pub ratio_to_first: [Option<f64>; 2],
    /// The same ratio of the bytes that a token reads.
    pub predicted_ratio: f64,
    /// Bytes read to decode a token, mean over the decoded tokens.
    pub bytes_per_token: f64,
    /// Bytes of the keys and values of all tokens.
    pub cache_bytes: usize,
}

/// Times schedules as [`times`] does, and compares each with the first.
///
/// # Errors
/// As [`times`].
pub fn speeds(
    model: &Model,
    schedules: &[&Schedule],
    prompt: usize,
    budget: Budget,
    clock: &dyn Clock,
) -> Result<Vec<Speed>, TransformerError> {
    let cost = Cost::new(model.config());
    let (weight, number) = (model.precision().bytes(), budget.cache.bytes());
    let bytes = |schedule: &Schedule| {
        let of = |cached| cost.bytes_of_token(schedule, cached, weight, number) as f64;
        (prompt..prompt + budget.decoded).map(of).sum::<f64>() / budget.decoded as f64
    };
    let go_on = || Ok::<(), TransformerError>(());
    let kept = times(model, schedules, prompt, budget, clock, go_on)?;
    let speed = |(at, schedule): (usize, &&Schedule)| {
        let mean = |of: &dyn Fn(&Times) -> f64| over(kept.iter().map(|times| of(&times[at])));
        let bytes_per_token = bytes(schedule);
        Speed {
            prefill_tokens_per_s: mean(&|times| prompt as f64 / times.prefill),
            first_token_ms: mean(&|times| 1e3 * times.first),
            decode_ms_per_token: mean(&|times| 1e3 * times.decode),
            ratio_to_first: over(kept.iter().map(|times| times[0].decode / times[at].decode)),
            predicted_ratio: bytes(schedules[0]) / bytes_per_token,
            bytes_per_token,
            cache_bytes: cost.bytes_kept(schedule, prompt + budget.decoded, number),
        }
    };
    Ok(schedules.iter().enumerate().map(speed).collect())
}

/// Mean and standard error over repetitions.
pub fn over(values: impl Iterator<Item = f64>) -> [Option<f64>; 2] {
    let mut mean = ClusteredMean::new();
    values.for_each(|value| mean.push(value, 1));
    [mean.mean(), mean.standard_error()]
}
