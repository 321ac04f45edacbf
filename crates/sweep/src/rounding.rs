//! The effect of rounding to a shorter number format, measured on one sequence.

use crate::divergence::Divergence;
use crate::error::SweepError;
use crate::plan::Plan;
use crate::runner::Runner;
use crate::sums::{Statistics, collect};
use layerwise_metrics::divergence;
use layerwise_schedule::Schedule;
use layerwise_transformer::{Model, ModelConfig, Precision, State, Team, TransformerError};
use ndarray::{ArrayView2, s};
use serde::Serialize;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// Altered schedules that run in both formats.
const SCHEDULES: usize = 4;
/// Positions whose logits are in memory at once.
const POSITIONS: usize = 64;

/// How a model with rounded weights differs from the same model in f32 on one sequence, over positions 1..=T−1.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Rounding {
    /// Positions compared.
    pub positions: usize,
    /// KL(f32 ‖ rounded) of the plain model, mean over positions, in nats.
    pub plain_kl_nats_mean: f64,
    /// The largest KL(f32 ‖ rounded) at a position.
    pub plain_kl_nats_max: f64,
    /// The share of positions at which the plain model has the same most probable token in both formats.
    pub plain_top1_agreement: f64,
    /// Schedules spread over the run, each in both formats.
    pub schedules: Vec<RoundedSchedule>,
}

/// One schedule in both formats: its distance from the plain model of the same format.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RoundedSchedule {
    /// The edit.
    pub schedule: String,
    /// KL(plain ‖ altered) in f32, in nats.
    pub kl_nats_f32: f64,
    /// KL(plain ‖ altered) in the shorter format, in nats.
    pub kl_nats: f64,
    /// The share of positions at which the altered and the plain model have the same most probable token, in f32.
    pub top1_agreement_f32: f64,
    /// The same share in the shorter format.
    pub top1_agreement: f64,
}

impl Rounding {
    /// Runs the plain schedule and a few of a plan's others on a model in f32, and on the same model rounded. The runner says on
    /// how many threads, and when to stop.
    ///
    /// # Errors
    /// The sequence does not fit the model, an output is not finite, or the runner stops.
    pub fn between(
        exact: &Model,
        rounded: &Model,
        plan: &Plan,
        tokens: &[u32],
        runner: &Runner<'_>,
    ) -> Result<Self, SweepError> {
        let plain = &plan.entries()[0].member.schedule;
        let states = |model: &Model| {
            runner.go_on()?;
            let residual = model.run(tokens, plain, &mut ()).map_err(does_not_fit)?;
            Ok::<_, SweepError>(model.final_norm(residual.slice(s![1.., ..])))
        };
        let (exact_states, rounded_states) = (states(exact)?, states(rounded)?);
        let positions = tokens.len() - 1;
        let mut compared = Compared::from_position(1);
        for first in (0..positions).step_by(POSITIONS) {
            runner.go_on()?;
            let part = s![first..positions.min(first + POSITIONS), ..];
            let (p, q) = (
                exact.unembed(exact_states.slice(part)),
                rounded.unembed(rounded_states.slice(part)),
            );
            compared.add(p.view(), q.view())?;
        }

        let altered = plan.entries().len() - 1;
        let count = SCHEDULES.min(altered);
        let few = plan.select((0..count).map(|i| 1 + (2 * i + 1) * altered / (2 * count)));
        let (in_f32, here) = (
            statistics(exact, &few, tokens, runner)?,
            statistics(rounded, &few, tokens, runner)?,
        );
        let entries = few.entries().iter().zip(in_f32.iter().zip(&here)).skip(1);
        let mean = |mean: Option<f64>| mean.unwrap_or(f64::NAN);
        let schedules = entries.map(|(entry, (in_f32, here))| RoundedSchedule {
            schedule: entry.member.edit.to_string(),
            kl_nats_f32: mean(in_f32.kl_nats.mean()),
            kl_nats: mean(here.kl_nats.mean()),
            top1_agreement_f32: mean(in_f32.top1_agreement.mean()),
            top1_agreement: mean(here.top1_agreement.mean()),
        });
        Ok(Self {
            positions,
            plain_kl_nats_mean: compared.sum / positions as f64,
            plain_kl_nats_max: compared.most,
            plain_top1_agreement: compared.same as f64 / positions as f64,
            schedules: schedules.collect(),
        })
    }
}

/// A running comparison of distributions at some positions.
struct Compared {
    /// The position of the first distribution in its text.
    first: usize,
    positions: usize,
    /// The sum of KL(p ‖ q), in nats.
    sum: f64,
    most: f64,
    /// The number of positions at which both have the same most probable token.
    same: usize,
}

impl Compared {
    /// An empty comparison; the first distribution will be that of position `first`.
    fn from_position(first: usize) -> Self {
        Self {
            first,
            positions: 0,
            sum: 0.0,
            most: 0.0,
            same: 0,
        }
    }

    /// Adds the logits of some positions, each \[positions, vocab\].
    fn add(&mut self, p: ArrayView2<'_, f32>, q: ArrayView2<'_, f32>) -> Result<(), SweepError> {
        for (p, q) in p.outer_iter().zip(q.outer_iter()) {
            let position = self.first + self.positions;
            let not_finite = |_| SweepError::NotFinite {
                schedule: "id".to_owned(),
                unit: "sequence",
                item: 0,
                position,
                origin: None,
            };
            let kl = divergence::kl_nats(p, q).map_err(not_finite)?;
            self.sum += kl;
            self.most = self.most.max(kl);
            let [p, q] = [p, q].map(divergence::argmax);
            self.same += usize::from(p.map_err(not_finite)? == q.map_err(not_finite)?);
            self.positions += 1;
        }
        Ok(())
    }
}

/// The effect of keeping keys and values in a number format, along a text: the mean and the largest KL(p ‖ q), in nats. p are the
/// next-token distributions with keys and values in f32, q those in the format.
///
/// # Errors
/// The text does not fit the model, or the CPU lacks the instructions for the format.
pub fn rounding_of_cache(
    model: &Model,
    tokens: &[u32],
    cache: Precision,
    threads: NonZeroUsize,
) -> Result<[f64; 2], SweepError> {
    let plan = Plan::plain(model.stack())?;
    let (plain, team) = (
        &plan.entries()[0].member.schedule,
        Arc::new(Team::new(threads)),
    );
    let state = |precision| -> Result<_, SweepError> {
        let state = State::new_in(model, plain, tokens.len(), precision).map_err(does_not_fit)?;
        Ok(state.with_team(&team))
    };
    let mut states = [state(Precision::F32)?, state(cache)?];
    let mut compared = Compared::from_position(0);
    let (first, rest) = tokens.split_at(beginning(model.config(), tokens.len()));
    for part in std::iter::once(first).chain(rest.chunks(POSITIONS)) {
        let mut residuals = Vec::new();
        for state in &mut states {
            residuals.push(state.extend(part).map_err(does_not_fit)?);
        }
        for first in (0..part.len()).step_by(POSITIONS) {
            let rows = s![first..part.len().min(first + POSITIONS), ..];
            let [p, q] = [0, 1].map(|of| states[of].logits(residuals[of].slice(rows)));
            compared.add(p.view(), q.view())?;
        }
    }
    Ok([compared.sum / tokens.len() as f64, compared.most])
}

/// The number of tokens that run first: more than later ones if the rotary frequencies change with the length.
fn beginning(config: &ModelConfig, tokens: usize) -> usize {
    let least = State::least_beginning(config, tokens);
    least.max(POSITIONS).min(tokens)
}

/// The largest number of bytes that [`rounding_of_cache`] takes on `threads` threads.
pub fn most_bytes_of_cache(
    config: &ModelConfig,
    plain: &Schedule,
    tokens: usize,
    cache: Precision,
    threads: NonZeroUsize,
) -> usize {
    let kept = [Precision::F32, cache]
        .map(|precision| State::most_bytes(config, plain, tokens, precision));
    let logits = 3 * POSITIONS.min(tokens) * config.vocab * size_of::<f32>();
    let rows = beginning(config, tokens);
    // The residual stream of one state waits while the other runs.
    let waiting = rows * config.model * size_of::<f32>();
    kept.iter().sum::<usize>()
        + logits
        + waiting
        + State::most_step_bytes(config, plain, rows, tokens, threads.get())
}

fn does_not_fit(error: TransformerError) -> SweepError {
    SweepError::DoesNotFit {
        unit: "sequence",
        item: 0,
        source: Box::new(error),
    }
}

/// The statistics of one sequence under a plan.
fn statistics(
    model: &Model,
    plan: &Plan,
    tokens: &[u32],
    runner: &Runner<'_>,
) -> Result<Vec<Statistics>, SweepError> {
    let measured = runner.measure(model, plan, &Divergence::new(), &[tokens.to_vec()])?;
    let units = measured.results.iter().map(Vec::as_slice);
    Ok(collect(plan.entries().len(), units))
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise_architecture::{Attention, PerLayer, RopeScaling, Rotary};

    /// A model compared with itself, and with one that has other weights.
    #[test]
    fn a_model_does_not_differ_from_itself() {
        let config = ModelConfig::tiny();
        let (model, other) = (Model::random(config.clone(), 3), Model::random(config, 4));
        let plan = Plan::new(model.stack(), &["drop(l)".parse().unwrap()], 64).unwrap();
        let tokens: Vec<u32> = (0..30).map(|at| at * 7 % 50).collect();
        let between =
            |rounded| Rounding::between(&model, rounded, &plan, &tokens, &Runner::new()).unwrap();
        let same = between(&model);
        assert_eq!((same.positions, same.schedules.len()), (29, 4));
        assert!(same.plain_kl_nats_max.abs() < 1e-9 && same.plain_top1_agreement == 1.0);
        assert_eq!(same.schedules[0].kl_nats, same.schedules[0].kl_nats_f32);
        let differs = between(&other);
        assert!(differs.plain_kl_nats_mean > 1e-3 && differs.plain_top1_agreement < 1.0);
        assert_ne!(
            differs.schedules[0].kl_nats,
            differs.schedules[0].kl_nats_f32
        );
        let [mean, most] =
            rounding_of_cache(&model, &tokens, Precision::F32, NonZeroUsize::MIN).unwrap();
        assert!(mean.abs() < 1e-9 && most.abs() < 1e-9, "{mean} {most}");
    }

    /// From 70 tokens on this model uses other rotary frequencies for all positions.
    #[test]
    fn the_effect_of_a_cache_is_measured_past_a_change_of_rotary_frequencies() {
        let model = Model::random(
            ModelConfig::tiny().with(|c| {
                (c.context, c.learned_positions) = (140, None);
                let scaling = RopeScaling::LongRope {
                    short: vec![1.0; 4],
                    long: vec![2.0; 4],
                    original_context: 70,
                    amplitude: 1.0,
                };
                let rotary = Rotary::new(8, 1e4).scaled(scaling);
                c.attention = PerLayer::same(Attention::rotary(rotary));
            }),
            3,
        );
        let tokens: Vec<u32> = (0..140).map(|at| at * 7 % 50).collect();
        for count in [70, 71, 140] {
            let (tokens, threads) = (&tokens[..count], NonZeroUsize::MIN);
            let found = rounding_of_cache(&model, tokens, Precision::F32, threads).unwrap();
            assert!(found.iter().all(|kl| kl.abs() < 1e-9), "{count}: {found:?}");
        }
    }
}
