//! The time that stopping early takes, by the clock and by the cost model.

use super::instance::Read;
use super::table::TimeRecord;
use crate::core::clock::{Clock, over, trace};
use crate::core::error::ExperimentError;
use crate::core::subject::{Runs, Subject};
use crate::core::tables::Tables;
use layerwise_exits::{Stop, Vocab};
use layerwise_metrics::median;
use layerwise_schedule::{Edit, Schedule};
use layerwise_transformer::{
    Cost, Exit, ExitingState, Missing, Model, Precision, State, TransformerError,
};
use ndarray::{Array1, ArrayView1, Axis};
use std::hint::black_box;

/// The most tokens of the prompt.
const PROMPT: usize = 128;
/// The fraction of it that runs once for many prompts, like shots, in the setting `question`.
const SHARED: [usize; 2] = [3, 4];

/// Stops after this many blocks, with or without reading the head after each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Timed {
    blocks: usize,
    reads_head: bool,
}

impl Exit for Timed {
    fn stops(&mut self, model: &Model, blocks: usize, stream: ArrayView1<'_, f32>) -> bool {
        let stops = blocks >= self.blocks;
        if self.reads_head || stops || blocks == model.config().layers {
            black_box(model.standard_lens(stream.insert_axis(Axis(0))));
        }
        stops
    }
}

impl Timed {
    /// The full model, which reads the head once.
    fn full(layers: usize) -> Self {
        Self {
            blocks: layers,
            reads_head: false,
        }
    }

    /// Stops at the quarters of the blocks, and the full model.
    fn all(layers: usize) -> Vec<Self> {
        let depths = (1..=4).map(|quarter| (layers * quarter).div_ceil(4));
        let mut depths: Vec<usize> = depths.collect();
        depths.dedup();
        let of = |reads_head| {
            let depths = depths.clone().into_iter();
            depths.map(move |blocks| Self { blocks, reads_head })
        };
        of(false).chain(of(true)).collect()
    }
}

/// How tokens arrive: a whole prompt, the end of a prompt whose beginning ran before, or one token after another.
const SETTINGS: [&str; 3] = ["prompt", "question", "decode"];

/// The number of tokens in each setting.
#[derive(Clone, Copy)]
struct Lengths {
    prompt: usize,
    /// Tokens of the prompt that ran before.
    shared: usize,
    decoded: usize,
}

/// Fills the table of times; measured times only with a clock.
pub(super) fn record(subject: &Subject<'_>, tables: &mut Tables) -> Result<(), ExperimentError> {
    let config = subject.model.config();
    let prompt = PROMPT.min(config.context / 2);
    let budget = subject.clock.map(Clock::budget).unwrap_or_default();
    let lengths = Lengths {
        prompt,
        shared: prompt * SHARED[0] / SHARED[1],
        decoded: budget.decoded.min(config.context - prompt),
    };
    let all = Timed::all(config.layers);
    let full = Timed::full(config.layers);
    let at = all.iter().position(|own| *own == full).unwrap_or(0);
    let measured = match subject.clock {
        Some(clock) => Some(measured(&subject.runs, &all, lengths, clock)?),
        None => None,
    };
    for (setting, name) in SETTINGS.into_iter().enumerate() {
        for (place, timed) in all.iter().enumerate() {
            let own = |value: &dyn Fn(&[f64]) -> f64| {
                let repetitions = measured.as_ref()?[setting].iter();
                Some(over(repetitions.map(|times| value(times))))
            };
            let ratio = own(&|times| times[place] / times[at]);
            let predicted = |timed: &Timed| match setting {
                0 => operations(subject, timed, 0, prompt),
                1 => operations(subject, timed, lengths.shared, prompt),
                _ => bytes(subject, timed, prompt + lengths.decoded / 2),
            };
            tables.push(TimeRecord {
                model: subject.name.to_owned(),
                setting: name.to_owned(),
                reads_head: timed.reads_head,
                tokens: prompt,
                blocks_run: timed.blocks,
                predicted_ratio: predicted(timed) / predicted(&full),
                time_ratio: ratio.and_then(|[mean, _]| mean),
                time_ratio_se: ratio.and_then(|[_, error]| error),
                repetitions: measured.as_ref().map(|all| all[setting].len()),
                seconds: own(&|times| times[place]).and_then(|[mean, _]| mean),
            });
        }
    }
    Ok(())
}

/// How often the head is read.
fn heads(timed: &Timed) -> f64 {
    if timed.reads_head {
        timed.blocks as f64
    } else {
        1.0
    }
}

/// Operations on the tokens from `first` to `end`.
fn operations(subject: &Subject<'_>, timed: &Timed, first: usize, end: usize) -> f64 {
    let (config, cost) = (subject.model.config(), Cost::new(subject.model.config()));
    let width = (config.heads * config.head) as f64;
    let up_to = |tokens: usize| {
        let tokens = tokens as f64;
        let matrices = (cost.attention + cost.mlp) as f64;
        2.0 * tokens * matrices + 2.0 * width * tokens * (tokens + 1.0)
    };
    let block = up_to(end) - up_to(first);
    timed.blocks as f64 * block + heads(timed) * 2.0 * cost.unembedding as f64
}

fn bytes(subject: &Subject<'_>, timed: &Timed, cached: usize) -> f64 {
    let weight = match subject.model.precision() {
        Precision::F32 => 4,
        _ => 2,
    };
    let cost = Cost::new(subject.model.config());
    let plain = subject.model.plain();
    let kept: Result<Schedule, _> = format!("keep(0..{})", timed.blocks)
        .parse::<Edit>()
        .and_then(|edit| edit.apply(&plain));
    let schedule = kept.unwrap_or(plain);
    let once = cost.bytes_of_token(&schedule, cached, weight, size_of::<f32>()) as f64;
    once + (heads(timed) - 1.0) * (weight * cost.unembedding) as f64
}

/// The time of whole prompts, for the full model and a rule in turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct PromptTimes {
    /// The total over all prompts.
    pub(super) seconds_full: f64,
    pub(super) seconds_exit: f64,
    /// The rule's time over the full model's, mean over prompts.
    pub(super) ratio: f64,
    pub(super) ratio_se: Option<f64>,
}

/// Times the first prompts of a task; `None` without a clock or prompts.
pub(super) fn of_prompts(
    subject: &Subject<'_>,
    task: &Read,
    stop: &Stop,
    most: usize,
) -> Result<Option<PromptTimes>, ExperimentError> {
    let Some(clock) = subject.clock else {
        return Ok(None);
    };
    let (model, layers) = (subject.model, subject.model.config().layers);
    let mut full = Timed::full(layers);
    let (mut ratios, mut all) = (Vec::new(), [0.0, 0.0]);
    let instances = task.test.iter().filter(|it| !it.prompt.is_empty());
    for instance in instances.take(most) {
        let prompt = &instance.prompt;
        let rule = stop.clone().among(&instance.options);
        let answer = |stream: Array1<f32>, blocks: usize| {
            if rule.has_answer(blocks, layers) {
                return;
            }
            match rule.vocab() {
                Vocab::Options => {
                    black_box(model.lens_of_tokens(stream.view(), &instance.options));
                }
                _ => {
                    black_box(model.standard_lens(stream.view().insert_axis(Axis(0))));
                }
            }
        };
        let seconds = |exit: &mut dyn Exit, answer: &dyn Fn(Array1<f32>, usize)| {
            let state = ExitingState::new(model, prompt.len(), Missing::Recompute)?;
            let mut state = state.with_team(clock.team());
            timed(&subject.runs, clock, || {
                let (stream, blocks) = state.extend(prompt, exit)?;
                answer(stream, blocks);
                Ok(())
            })
        };
        let mut stop = rule.clone();
        // It reads the head when it stops.
        let none = |_: Array1<f32>, _: usize| {};
        // Discard the first of each.
        seconds(&mut full, &none)?;
        seconds(&mut stop, &answer)?;
        let (whole, exit) = (seconds(&mut full, &none)?, seconds(&mut stop, &answer)?);
        all = [all[0] + whole, all[1] + exit];
        ratios.push(exit / whole);
    }
    let [mean, ratio_se] = over(ratios.into_iter());
    Ok(mean.map(|ratio| PromptTimes {
        seconds_full: all[0],
        seconds_exit: all[1],
        ratio,
        ratio_se,
    }))
}

fn timed(
    runs: &Runs<'_>,
    clock: &dyn Clock,
    run: impl FnOnce() -> Result<(), TransformerError>,
) -> Result<f64, ExperimentError> {
    runs.go_on()?;
    let started = clock.seconds();
    run()?;
    Ok(clock.seconds() - started)
}

/// Seconds of each setting, interleaved, `[setting][repetition][stop]`.
fn measured(
    runs: &Runs<'_>,
    all: &[Timed],
    lengths: Lengths,
    clock: &dyn Clock,
) -> Result<[Vec<Vec<f64>>; 3], ExperimentError> {
    let (model, prompt) = (runs.model.model, lengths.prompt);
    let tokens = trace(model, prompt + lengths.decoded);
    let mut shots = State::new(model, &model.plain(), tokens.len())?.with_team(clock.team());
    if lengths.shared > 0 {
        shots.extend(&tokens[..lengths.shared])?;
    }
    let mut seconds = [const { Vec::new() }; 3];
    for repetition in 0..=clock.budget().repetitions {
        let (mut states, mut whole, mut question) = (Vec::new(), Vec::new(), Vec::new());
        for own in all {
            let state = ExitingState::new(model, tokens.len(), Missing::Recompute)?;
            let mut state = state.with_team(clock.team());
            let mut exit = *own;
            whole.push(timed(runs, clock, || {
                state.extend(&tokens[..prompt], &mut exit).map(drop)
            })?);
            states.push(state);
            let mut after = ExitingState::after(shots.fork(), Missing::Recompute)?;
            let rest = &tokens[lengths.shared..prompt];
            question.push(timed(runs, clock, || {
                after.extend(rest, &mut exit).map(drop)
            })?);
        }
        let mut decoding = vec![Vec::new(); all.len()];
        for at in prompt..tokens.len() {
            for ((state, own), times) in states.iter_mut().zip(all).zip(&mut decoding) {
                let (token, mut exit) = (&tokens[at..=at], *own);
                times.push(timed(runs, clock, || {
                    state.extend(token, &mut exit).map(drop)
                })?);
            }
        }
        if repetition > 0 {
            seconds[0].push(whole);
            seconds[1].push(question);
            let medians = decoding.into_iter().map(median);
            seconds[2].push(medians.map(|own| own.unwrap_or(f64::NAN)).collect());
        }
    }
    Ok(seconds)
}
