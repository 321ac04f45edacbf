//! What rounding to a shorter number format does to the results, measured on a part of the run itself.

use crate::inputs::OpenedModel;
use crate::output;
use layerwise::metrics::divergence;
use layerwise::schedule::Schedule;
use layerwise::sweep::{Divergence, Plan, Runner, Statistics, SweepError, collect};
use layerwise::transformer::{Model, ModelConfig, Precision, State, Team};
use ndarray::s;
use serde::Serialize;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// Altered schedules that are run in both formats.
const SCHEDULES: usize = 4;
/// Positions whose logits are held at once.
const POSITIONS: usize = 64;
/// The part of the memory left by the budget that a second copy of the model may take; the rest is for the run.
const SHARE_OF_MEMORY: f64 = 0.8;

/// A run's difference from the same run in f32, or why it is not known.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Found on the first sequence of the corpus.
    Measured(Difference),
    /// Why it was not measured.
    NotMeasured(String),
}

/// What differs on one sequence, over positions 1..=T−1.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// Positions compared.
    positions: usize,
    /// KL(f32 ‖ rounded) of the plain model, mean over positions.
    plain_kl_nats_mean: f64,
    /// The largest of them.
    plain_kl_nats_max: f64,
    /// The share of positions whose most probable token is the same in both formats, plain model.
    plain_top1_agreement: f64,
    /// Schedules spread over the run, each in both formats.
    schedules: Vec<Compared>,
}

/// One schedule in both formats: its distance from the plain model of the same format.
#[derive(Clone, Debug, Serialize)]
struct Compared {
    schedule: String,
    kl_nats_f32: f64,
    kl_nats: f64,
    top1_agreement_f32: f64,
    top1_agreement: f64,
}

impl Rounding {
    /// What differs, or why that is not known: of the plain model, then of each schedule (KL in nats).
    fn lines(&self, precision: Precision) -> Vec<String> {
        let format = precision.name();
        let difference = match self {
            Self::NotMeasured(reason) => {
                return vec![format!(
                    "{format}; its difference from f32 was NOT measured: {reason}"
                )];
            }
            Self::Measured(difference) => difference,
        };
        let plain = format!(
            "{format} against f32 on the first sequence, plain model: KL(f32 ‖ {format}) {:.2e} nats in the mean, {:.2e} at most; same top token at {:.2} % of {} positions",
            difference.plain_kl_nats_mean,
            difference.plain_kl_nats_max,
            100.0 * difference.plain_top1_agreement,
            difference.positions
        );
        let schedules = difference.schedules.iter().map(|compared| {
            format!(
                "{}: KL {:.6} nats in {format}, {:.6} in f32; top-1 agreement {:.4} and {:.4}",
                compared.schedule,
                compared.kl_nats,
                compared.kl_nats_f32,
                compared.top1_agreement,
                compared.top1_agreement_f32
            )
        });
        std::iter::once(plain).chain(schedules).collect()
    }

    /// The same for the report, whose bytes do not depend on the memory that happened to be free.
    pub fn told(&self, precision: Precision) -> String {
        match self {
            Self::NotMeasured(_) => {
                "not measured: the model does not fit into memory in f32 besides".to_owned()
            }
            Self::Measured(_) => self.lines(precision).join(". "),
        }
    }
}

/// Runs the plain model and a few of the plan's schedules on one sequence in f32 as well, and tells the user what differs.
///
/// A model that does not fit into memory in f32 besides is not measured, and the user is told that.
/// `None` for a run in f32.
///
/// # Errors
/// A checkpoint or sequence that cannot be run.
pub fn against_f32(
    opened: &OpenedModel,
    plan: &Plan,
    tokens: &[u32],
    threads: NonZeroUsize,
) -> anyhow::Result<Option<Rounding>> {
    let precision = opened.model.precision();
    if precision == Precision::F32 {
        return Ok(None);
    }
    let checkpoint = opened.options.open(&opened.folder)?;
    let elements = checkpoint
        .names()
        .filter_map(|name| checkpoint.info(name))
        .map(|info| info.shape.iter().product::<usize>());
    let needed = elements.sum::<usize>() as f64 * size_of::<f32>() as f64;
    let left = opened.budget.left();
    let rounding = match left.map(|left| left as f64 * SHARE_OF_MEMORY) {
        Some(limit) if needed <= limit => {
            let what = format!("{}: the model in f32", opened.name);
            let _exact = opened.budget.hold(&what, needed as u64)?;
            let exact = Model::from_checkpoint(&checkpoint)?;
            Rounding::Measured(difference(&exact, &opened.model, plan, tokens, threads)?)
        }
        limit => Rounding::NotMeasured(format!(
            "the model takes {:.0} MiB in f32, and {}",
            needed / MIB,
            match limit {
                Some(limit) => format!("{:.0} MiB may be used", limit / MIB),
                None => "how much memory is free is not known".to_owned(),
            }
        )),
    };
    for line in rounding.lines(precision) {
        output::say(format_args!("{}: {line}", opened.name));
    }
    Ok(Some(rounding))
}

const MIB: f64 = (1_u64 << 20) as f64;

fn difference(
    exact: &Model,
    rounded: &Model,
    plan: &Plan,
    tokens: &[u32],
    threads: NonZeroUsize,
) -> anyhow::Result<Difference> {
    let plain = Schedule::plain(exact.stack())?;
    let states = |model: &Model| -> anyhow::Result<_> {
        let residual = model.run(tokens, &plain, &mut ())?;
        Ok(model.final_norm(residual.slice(s![1.., ..])))
    };
    let (exact_states, rounded_states) = (states(exact)?, states(rounded)?);
    let positions = tokens.len() - 1;
    let (mut sum, mut most, mut same) = (0.0, 0.0_f64, 0);
    for first in (0..positions).step_by(POSITIONS) {
        let part = s![first..positions.min(first + POSITIONS), ..];
        let (p, q) = (
            exact.unembed(exact_states.slice(part)),
            rounded.unembed(rounded_states.slice(part)),
        );
        for (p, q) in p.outer_iter().zip(q.outer_iter()) {
            let kl = divergence::kl_nats(p, q)?;
            sum += kl;
            most = most.max(kl);
            same += usize::from(divergence::argmax(p)? == divergence::argmax(q)?);
        }
    }

    let altered = plan.entries().len() - 1;
    let count = SCHEDULES.min(altered);
    let few = plan.select((0..count).map(|i| 1 + (2 * i + 1) * altered / (2 * count)));
    let (in_f32, here) = (
        statistics(exact, &few, tokens, threads)?,
        statistics(rounded, &few, tokens, threads)?,
    );
    let entries = few.entries().iter().zip(in_f32.iter().zip(&here)).skip(1);
    let mean = |mean: Option<f64>| mean.unwrap_or(f64::NAN);
    Ok(Difference {
        positions,
        plain_kl_nats_mean: sum / positions as f64,
        plain_kl_nats_max: most,
        plain_top1_agreement: f64::from(same as u32) / positions as f64,
        schedules: entries
            .map(|(entry, (in_f32, here))| Compared {
                schedule: entry.member.edit.to_string(),
                kl_nats_f32: mean(in_f32.kl_nats.mean()),
                kl_nats: mean(here.kl_nats.mean()),
                top1_agreement_f32: mean(in_f32.top1_agreement.mean()),
                top1_agreement: mean(here.top1_agreement.mean()),
            })
            .collect(),
    })
}

/// What keys and values in a number format change along a text: the mean and the largest KL(p ‖ q), in nats, of the next-token
/// distributions p with keys and values in f32 and q with these.
///
/// # Errors
/// A text that the model cannot read, or a format that the processor has no instructions for.
pub fn of_cache(
    model: &Model,
    tokens: &[u32],
    cache: Precision,
    threads: NonZeroUsize,
) -> anyhow::Result<[f64; 2]> {
    let (plain, team) = (
        Schedule::plain(model.stack())?,
        Arc::new(Team::new(threads)),
    );
    let state = |precision| -> anyhow::Result<_> {
        let state = State::new_in(model, &plain, tokens.len(), precision)?;
        Ok(state.with_team(&team))
    };
    let mut states = [state(Precision::F32)?, state(cache)?];
    let (mut sum, mut most) = (0.0, 0.0_f64);
    for part in tokens.chunks(POSITIONS) {
        let mut logits = Vec::new();
        for state in &mut states {
            let residual = state.extend(part)?;
            logits.push(state.logits(residual.view()));
        }
        for (p, q) in logits[0].outer_iter().zip(logits[1].outer_iter()) {
            let kl = divergence::kl_nats(p, q)?;
            sum += kl;
            most = most.max(kl);
        }
    }
    Ok([sum / tokens.len() as f64, most])
}

/// The most bytes that [`of_cache`] takes.
pub fn most_bytes_of_cache(
    config: &ModelConfig,
    plain: &Schedule,
    tokens: usize,
    cache: Precision,
) -> usize {
    let kept = [Precision::F32, cache]
        .map(|precision| State::most_bytes(config, plain, tokens, precision));
    let logits = 3 * POSITIONS.min(tokens) * config.vocab * size_of::<f32>();
    kept.iter().sum::<usize>() + logits + State::most_step_bytes(config, POSITIONS, tokens, 1)
}

/// The statistics of one sequence under a plan.
fn statistics(
    model: &Model,
    plan: &Plan,
    tokens: &[u32],
    threads: NonZeroUsize,
) -> Result<Vec<Statistics>, SweepError> {
    let measured = Runner::new().threads(threads).measure(
        model,
        plan,
        &Divergence::new(),
        &[tokens.to_vec()],
    )?;
    let units = measured.results.iter().map(Vec::as_slice);
    Ok(collect(plan.entries().len(), units))
}
