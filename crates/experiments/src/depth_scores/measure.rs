//! The effects of all sequences, as lines of the tables.

use super::effects::{self, Effects, Reach, pairs};
use super::table::{ChangeRecord, EffectRecord, Record};
use crate::core::ablation::Even;
use crate::core::error::{ExperimentError, Place};
use crate::core::models::relative_depth;
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_metrics::{ClusteredMean, ClusteredRatio};
use layerwise_sweep::{MeasureId, WorkBytes, cost};

/// Runs of a model of so many blocks: the plain one, and each block skipped in two ways.
fn runs(layers: usize) -> usize {
    1 + Reach::BOTH.len() * layers
}

/// What is going to be run.
pub(super) fn announce(subject: &Subject<'_>) -> Vec<String> {
    let even = Even::of(&subject.text);
    vec![even.told("depth-scores", runs(subject.model.config().layers))]
}

/// Multiply-adds of the runs.
pub(super) fn work(subject: &Subject<'_>) -> f64 {
    let steps = subject.model.plain().steps().len();
    let runs = runs(subject.model.config().layers);
    let tokens = Even::of(&subject.text).tokens();
    cost::of_steps(subject.model, runs * steps, runs, tokens)
}

/// Skips every block, and fills the tables.
///
/// # Errors
/// Outputs that are not finite, a journal that cannot be used, or an interrupt.
pub(super) fn measure(
    subject: &Subject<'_>,
    tables: &mut Tables,
) -> Result<Vec<String>, ExperimentError> {
    let even = Even::of(&subject.text);
    if let Some(refusal) = even.refusal("depth-scores") {
        return Ok(vec![refusal]);
    }
    let config = subject.model.config();
    let layers = config.layers;
    let of_pairs = pairs(layers).count();
    let numbers = 2 * (2 * of_pairs + layers);
    let bytes = WorkBytes {
        reading: effects::most_bytes(config, even.length()),
        result: numbers * size_of::<f64>() + 256,
    };
    let fits = |both: &[Effects; 2]| {
        both.iter().all(|own| {
            (own.updates.len(), own.largest.len(), own.outputs.len())
                == (of_pairs, of_pairs, layers)
        })
    };
    let found = subject.runs.kept(
        MeasureId::new("depth-effects", 1),
        &even.sequences,
        bytes,
        Clone::clone,
        fits,
        |index, tokens| {
            let effects = effects::of_sequence(&subject.runs, tokens);
            effects.at(|| format!("sequence {index}"))
        },
    )?;
    record(subject, even.length(), &found, tables);
    Ok(Vec::new())
}

/// A mean over positions, clustered by sequence: of each what `of` gives of its effects.
fn mean(
    found: &[[Effects; 2]],
    reach: usize,
    seq: usize,
    of: impl Fn(&Effects) -> f64,
) -> ClusteredMean {
    let positions = Reach::BOTH[reach].counted(seq).len() as u64;
    let mut mean = ClusteredMean::new();
    for both in found {
        mean.push(of(&both[reach]), positions);
    }
    mean
}

/// The mean depth of blocks, weighted by the changes of the output.
fn score(found: &[[Effects; 2]], reach: usize, layers: usize) -> ClusteredRatio {
    let mut ratio = ClusteredRatio::new();
    for both in found {
        let outputs = &both[reach].outputs;
        let depths = outputs.iter().enumerate();
        let weighted = depths.map(|(block, change)| relative_depth(block, layers) * change);
        ratio.push(weighted.sum(), outputs.iter().sum());
    }
    ratio
}

fn record(subject: &Subject<'_>, seq: usize, found: &[[Effects; 2]], tables: &mut Tables) {
    let layers = subject.model.config().layers;
    let sequences = found.len() as u64;
    let value = |mean: &ClusteredMean| mean.mean().unwrap_or(f64::NAN);
    let names = || (subject.name.to_owned(), subject.model_type().to_owned());
    for block in 0..layers {
        let [all, future] = [0, 1].map(|reach| mean(found, reach, seq, |own| own.outputs[block]));
        let (model, model_type) = names();
        tables.push(ChangeRecord {
            model,
            model_type,
            layer: block,
            layers,
            relative_depth: relative_depth(block, layers),
            output_change: value(&all),
            output_change_se: all.standard_error(),
            future_output_change: value(&future),
            future_output_change_se: future.standard_error(),
            sequences,
        });
    }
    for (at, (layer, later_layer)) in pairs(layers).enumerate() {
        let [all, future] = [0, 1].map(|reach| mean(found, reach, seq, |own| own.updates[at]));
        let largest = [0, 1].map(|reach| {
            let each = found.iter().map(|both| both[reach].largest[at]);
            each.fold(0.0, f64::max)
        });
        let (model, model_type) = names();
        tables.push(EffectRecord {
            model,
            model_type,
            layer,
            later_layer,
            layers,
            update_change: value(&all),
            update_change_se: all.standard_error(),
            update_change_max: largest[0],
            future_update_change: value(&future),
            future_update_change_se: future.standard_error(),
            future_update_change_max: largest[1],
            sequences,
        });
    }
    let [all, future] = [0, 1].map(|reach| score(found, reach, layers));
    let [positions, future_positions] =
        Reach::BOTH.map(|reach| sequences * reach.counted(seq).len() as u64);
    let (model, model_type) = names();
    tables.push(Record {
        model,
        model_type,
        layers,
        depth_score: all.ratio().unwrap_or(f64::NAN),
        depth_score_se: all.standard_error(),
        future_depth_score: future.ratio().unwrap_or(f64::NAN),
        future_depth_score_se: future.standard_error(),
        sequences,
        positions,
        future_positions,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_the_depth_where_the_output_changes() {
        let check = |outputs: &[[f64; 5]], expected: f64| {
            let found: Vec<[Effects; 2]> = outputs
                .iter()
                .map(|own| {
                    let future = Effects {
                        outputs: own.to_vec(),
                        ..Effects::default()
                    };
                    [Effects::default(), future]
                })
                .collect();
            let score = score(&found, 1, 5).ratio().unwrap();
            assert!((score - expected).abs() < 1e-12, "{score} {expected}");
        };
        check(&[[1.0; 5]], 0.5);
        check(&[[0.0, 0.0, 0.0, 0.0, 2.0]], 1.0);
        check(&[[0.0, 3.0, 0.0, 1.0, 0.0]], 0.375);
        check(
            &[[1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 3.0]],
            0.75,
        );
    }
}
