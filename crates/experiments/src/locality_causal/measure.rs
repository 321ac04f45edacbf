//! The divergence of every block under every window.

use super::table::{DifferenceRecord, Record};
use crate::core::ablation::{self, Even};
use crate::core::curve::lies_between;
use crate::core::error::ExperimentError;
use crate::core::models::relative_depth;
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_metrics::ClusteredMean;
use layerwise_sweep::{Plan, Sums};

/// Tokens that a query sees, including itself.
const WINDOWS: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// The depth at which early blocks end and the next stage begins, and the depth at which that stage ends (D28).
pub(super) const EARLY: f64 = 0.25;
pub(super) const LATER: f64 = 0.6;

fn plan(subject: &Subject<'_>) -> Result<Plan, ExperimentError> {
    ablation::plan(subject, &WINDOWS.map(|width| format!("window(l,{width})")))
}

/// Describes the runs.
///
/// # Errors
/// None: every model has attention.
pub(super) fn announce(subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
    let plan = plan(subject)?;
    Ok(vec![ablation::told(subject, "locality-causal", &plan)])
}

/// Multiply-adds of the runs.
///
/// # Errors
/// As for [`announce`].
pub(super) fn work(subject: &Subject<'_>) -> Result<f64, ExperimentError> {
    Ok(ablation::work(subject, &plan(subject)?))
}

/// Narrows the attention of every block, and fills the tables.
///
/// # Errors
/// Logits are not finite, a journal cannot be used, or the user interrupts.
pub(super) fn measure(
    subject: &Subject<'_>,
    tables: &mut Tables,
) -> Result<Vec<String>, ExperimentError> {
    let even = Even::of(&subject.text);
    if let Some(refusal) = even.refusal("locality-causal") {
        return Ok(vec![refusal]);
    }
    let ablated = ablation::run(subject, plan(subject)?, &even)?;
    let layers = subject.model.config().layers;
    for effect in ablated.effects()? {
        let Some(layer) = effect.member.l else {
            continue;
        };
        tables.push(Record {
            model: subject.name.to_owned(),
            model_type: subject.model_type().to_owned(),
            layer,
            layers,
            relative_depth: relative_depth(layer, layers),
            window: WINDOWS[effect.family],
            kl_nats: effect.kl_nats,
            kl_nats_se: effect.kl_nats_se,
            sequences: even.sequences.len() as u64,
            positions: effect.positions,
        });
    }
    let names = [subject.name, subject.model_type()];
    for family in 0..WINDOWS.len() {
        let found = difference(names, &ablated.plan, &ablated.sums, family, layers)?;
        tables.of_mut().extend(found);
    }
    Ok(Vec::new())
}

/// Early blocks compared with later ones under the window of a family; `None` if a model has no block of one kind.
fn difference(
    [model, model_type]: [&str; 2],
    plan: &Plan,
    all: &[Vec<Sums>],
    family: usize,
    layers: usize,
) -> Result<Option<DifferenceRecord>, ExperimentError> {
    let of = |chosen: &dyn Fn(f64) -> bool| {
        let entries = plan.entries().iter().enumerate();
        let own = entries.filter(|(_, entry)| {
            let depth = entry.member.l.map(|layer| relative_depth(layer, layers));
            entry.family == Some(family) && depth.is_some_and(chosen)
        });
        own.map(|(schedule, _)| schedule).collect::<Vec<usize>>()
    };
    let early = of(&|depth| depth < EARLY);
    let later = of(&|depth| lies_between(depth, EARLY, LATER));
    if early.is_empty() || later.is_empty() {
        return Ok(None);
    }
    // For each sequence the mean over blocks, so that both sides count the same positions.
    let mean = |schedules: &[usize]| {
        let mut mean = ClusteredMean::new();
        for sums in all {
            let sum: f64 = schedules.iter().map(|at| sums[*at].kl_nats).sum();
            mean.push(sum / schedules.len() as f64, sums[0].positions);
        }
        mean
    };
    let (early_kl, later_kl) = (mean(&early), mean(&later));
    let difference = later_kl.difference(&early_kl)?;
    let value = |mean: &ClusteredMean| mean.mean().unwrap_or(f64::NAN);
    Ok(Some(DifferenceRecord {
        model: model.to_owned(),
        model_type: model_type.to_owned(),
        window: WINDOWS[family],
        early_kl_nats: value(&early_kl),
        later_kl_nats: value(&later_kl),
        difference_nats: value(&difference),
        difference_nats_se: difference.standard_error(),
        early_blocks: early.len(),
        later_blocks: later.len(),
        sequences: all.len() as u64,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise_schedule::{Bounds, EditFamily};
    use layerwise_transformer::{Model, ModelConfig};

    #[test]
    fn later_blocks_are_held_against_early_ones() {
        let layers = 9;
        let model = Model::random(ModelConfig::tiny().with(|c| c.layers = layers), 1);
        let families: Vec<EditFamily> = WINDOWS
            .iter()
            .map(|width| format!("window(l,{width})").parse().unwrap())
            .collect();
        let plan = Plan::new(model.stack(), &families, Bounds::default()).unwrap();
        // Divergences under the window of 8: 1 nat at each position of blocks 0 and 1, 3 or 4 nats of blocks 2 to 4, 100 of
        // the others.
        let sequence = |later: f64| -> Vec<Sums> {
            let nats = |family: Option<usize>, layer: Option<usize>| match (family, layer) {
                (Some(3), Some(0 | 1)) => 1.0,
                (Some(3), Some(2..=4)) => later,
                _ => 100.0,
            };
            let entries = plan.entries().iter();
            let sums = entries.map(|entry| Sums {
                positions: 10,
                kl_nats: 10.0 * nats(entry.family, entry.member.l),
                ..Sums::default()
            });
            sums.collect()
        };
        let all = [sequence(3.0), sequence(4.0)];
        let found = difference(["m", "gpt2"], &plan, &all, 3, layers).unwrap();
        let found = found.unwrap();
        assert_eq!(found.window, 8);
        assert_eq!((found.early_blocks, found.later_blocks), (2, 3));
        assert_eq!((found.early_kl_nats, found.later_kl_nats), (1.0, 3.5));
        assert_eq!(found.difference_nats, 2.5);
        assert_eq!(found.difference_nats_se, Some(0.5));
    }
}
