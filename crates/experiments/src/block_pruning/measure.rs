//! The blocks that each strategy leaves out, and the cost.

use super::similarity::{self, Turn};
use super::table::{PruningRecord, Record, Strategy};
use crate::core::ablation::{self, Even};
use crate::core::error::ExperimentError;
use crate::core::sample::Units;
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_sweep::{Divergence, collect, cost};

/// The name of the angular distance over each block.
pub(super) const CURVE: &str = "angular distance";

/// The sample it is measured on, a part of the text.
const SAMPLE: &str = "first sequences of one length, first half";

/// The most blocks that are left out: half of them.
fn most(layers: usize) -> usize {
    layers / 2
}

/// The sequences that choose blocks, and those that measure the cost.
fn halves(sequences: &[Vec<u32>]) -> (&[Vec<u32>], &[Vec<u32>]) {
    sequences.split_at(sequences.len() / 2)
}

/// Describes the runs.
pub(super) fn announce(subject: &Subject<'_>) -> Vec<String> {
    let even = Even::of(&subject.text);
    let layers = subject.model.config().layers;
    let greedy: usize = (1..most(layers)).map(|gone| layers - gone).sum();
    let schedules = layers + greedy + most(layers) * Strategy::ALL.len();
    vec![even.told("block-pruning", schedules)]
}

/// Multiply-adds of the runs.
pub(super) fn work(subject: &Subject<'_>) -> f64 {
    let layers = subject.model.config().layers;
    let tokens = Even::of(&subject.text).tokens() / 2;
    // With n blocks left, n schedules leave out one more each; they share the blocks before it.
    let searched = (layers + 1 - most(layers)..=layers).map(|left| (left * (left + 1) / 2, left));
    let priced = (1..=most(layers)).map(|gone| Strategy::ALL.map(|_| (layers - gone, 1)));
    let all = searched.chain(priced.flatten());
    let (blocks, schedules) = all.fold((0, 0), |sum, own| (sum.0 + own.0, sum.1 + own.1));
    cost::of_plain(subject.model, tokens) * blocks as f64 / layers as f64
        + cost::of_steps(subject.model, 0, schedules, tokens)
}

/// An edit that leaves out these blocks.
fn without(blocks: &[usize]) -> String {
    let mut blocks = blocks.to_vec();
    blocks.sort_unstable();
    let blocks: Vec<String> = blocks.iter().map(usize::to_string).collect();
    format!("drop([{}])", blocks.join(","))
}

/// Blocks in ascending order of a value; of equal values, the earlier block first.
fn ascending(values: impl IntoIterator<Item = (usize, f64)>) -> Vec<usize> {
    let mut ranked: Vec<(usize, f64)> = values.into_iter().collect();
    ranked.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    ranked.into_iter().map(|(block, _)| block).collect()
}

/// The divergence of each edit on some sequences; every share of a run measures all of them.
fn divergences(
    subject: &Subject<'_>,
    edits: &[String],
    sequences: &[Vec<u32>],
) -> Result<Vec<f64>, ExperimentError> {
    let plan = ablation::plan(subject, edits)?;
    let runs = subject.runs.of_all_items();
    let measured = runs.measure(&plan, &Divergence::new(), sequences)?;
    let sums = measured.results.iter().map(Vec::as_slice);
    let statistics = collect(plan.entries().len(), sums);
    let altered = statistics.iter().skip(1);
    Ok(altered
        .map(|own| own.kl_nats.mean().unwrap_or(f64::NAN))
        .collect())
}

/// Blocks in the order in which the greedy search leaves them out, up to half of them.
fn greedily(
    subject: &Subject<'_>,
    first: usize,
    sequences: &[Vec<u32>],
) -> Result<Vec<usize>, ExperimentError> {
    let layers = subject.model.config().layers;
    let mut gone = vec![first];
    while gone.len() < most(layers) {
        let left: Vec<usize> = (0..layers).filter(|block| !gone.contains(block)).collect();
        let with = |block: &usize| without(&[&gone[..], &[*block]].concat());
        let edits: Vec<String> = left.iter().map(with).collect();
        let found = divergences(subject, &edits, sequences)?;
        gone.push(ascending(left.into_iter().zip(found))[0]);
    }
    Ok(gone)
}

/// The n consecutive blocks over which the stream turns least.
fn least_turned(turns: &[Turn], n: usize) -> Vec<usize> {
    let runs = turns
        .iter()
        .filter(|turn| turn.last_layer + 1 - turn.layer == n);
    let distances = runs.map(|turn| {
        let distance = turn.angular_distance.mean().unwrap_or(f64::NAN);
        (turn.layer, distance)
    });
    let first = ascending(distances);
    first
        .first()
        .map_or_else(Vec::new, |first| (*first..first + n).collect())
}

/// Chooses blocks, measures the cost of leaving them out, and fills the tables.
///
/// # Errors
/// Logits are not finite, a journal cannot be used, or the user interrupts.
pub(super) fn measure(
    subject: &Subject<'_>,
    tables: &mut Tables,
) -> Result<Vec<String>, ExperimentError> {
    let even = Even::of(&subject.text);
    if let Some(refusal) = even.refusal("block-pruning") {
        return Ok(vec![refusal]);
    }
    let layers = subject.model.config().layers;
    let (choosing, measuring) = halves(&even.sequences);
    let turns = similarity::turns(subject, choosing)?;
    for turn in &turns {
        if turn.layer == turn.last_layer {
            let (layer, distance) = (turn.layer, &turn.angular_distance);
            tables.push(Units::of(subject.name, CURVE, SAMPLE, layer, distance));
        }
        tables.push(Record {
            model: subject.name.to_owned(),
            model_type: subject.model_type().to_owned(),
            layer: turn.layer,
            last_layer: turn.last_layer,
            layers,
            cosine: turn.cosine.mean().unwrap_or(f64::NAN),
            cosine_se: turn.cosine.standard_error(),
            angular_distance: turn.angular_distance.mean().unwrap_or(f64::NAN),
            angular_distance_se: turn.angular_distance.standard_error(),
            sequences: choosing.len() as u64,
            positions: turn.cosine.count(),
        });
    }
    if most(layers) == 0 {
        return Ok(vec![
            "block-pruning leaves out nothing: the model has one block".to_owned(),
        ]);
    }
    let alone: Vec<String> = (0..layers).map(|block| without(&[block])).collect();
    let alone = divergences(subject, &alone, choosing)?;
    let by_divergence = ascending(alone.into_iter().enumerate());
    let own = turns.iter().filter(|turn| turn.layer == turn.last_layer);
    let influences = own.map(|turn| (turn.layer, 1.0 - turn.cosine.mean().unwrap_or(f64::NAN)));
    let by_influence = ascending(influences);
    let one_by_one = greedily(subject, by_divergence[0], choosing)?;
    let mut chosen: Vec<(Strategy, usize, String)> = Vec::new();
    for strategy in Strategy::ALL {
        for n in 1..=most(layers) {
            let blocks = match strategy {
                Strategy::BlockInfluence => by_influence[..n].to_vec(),
                Strategy::AngularDistance => least_turned(&turns, n),
                Strategy::Divergence => by_divergence[..n].to_vec(),
                Strategy::GreedyDivergence => one_by_one[..n].to_vec(),
            };
            chosen.push((strategy, n, without(&blocks)));
        }
    }
    let edits: Vec<String> = chosen.iter().map(|(_, _, edit)| edit.clone()).collect();
    let rest = Even {
        sequences: measuring.to_vec(),
        shorter: 0,
    };
    let run = ablation::run(subject, ablation::plan(subject, &edits)?, &rest)?;
    for effect in run.effects()? {
        let (strategy, removed, schedule) = &chosen[effect.family];
        tables.push(PruningRecord {
            model: subject.name.to_owned(),
            model_type: subject.model_type().to_owned(),
            strategy: *strategy,
            removed: *removed,
            layers,
            schedule: schedule.clone(),
            kl_nats: effect.kl_nats,
            kl_nats_se: effect.kl_nats_se,
            loss_difference_nats: effect.loss_difference_nats,
            loss_difference_nats_se: effect.loss_difference_nats_se,
            sequences: measuring.len() as u64,
            positions: effect.positions,
        });
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise_metrics::ClusteredMean;

    #[test]
    fn the_run_of_blocks_that_turns_least_is_found() {
        let turn = |layer, last_layer, distance| {
            let mut mean = ClusteredMean::new();
            mean.push(distance, 1);
            Turn {
                layer,
                last_layer,
                cosine: ClusteredMean::new(),
                angular_distance: mean,
            }
        };
        let turns = [
            turn(0, 0, 0.3),
            turn(1, 1, 0.1),
            turn(2, 2, 0.2),
            turn(0, 1, 0.2),
            turn(1, 2, 0.2),
        ];
        assert_eq!(least_turned(&turns, 1), [1]);
        // Of two equal ones, the earlier.
        assert_eq!(least_turned(&turns, 2), [0, 1]);
        assert_eq!(without(&[5, 1]), "drop([1,5])");
        assert_eq!(ascending([(0, 2.0), (1, 1.0), (2, f64::NAN)]), [1, 0, 2]);
    }
}
