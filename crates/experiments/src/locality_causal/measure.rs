//! The divergence of every block under every window.

use super::table::{DifferenceRecord, Record};
use crate::core::ablation::{self, Ablated, Even};
use crate::core::curve::lies_between;
use crate::core::error::ExperimentError;
use crate::core::models::relative_depth;
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_metrics::ClusteredMean;
use layerwise_sweep::Plan;

/// Tokens that a query sees, itself included.
const WINDOWS: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// Where the early blocks end and those of the stage after begin, and where these end (D28).
const EARLY: f64 = 0.25;
const LATER: f64 = 0.6;

fn plan(subject: &Subject<'_>) -> Result<Plan, ExperimentError> {
    ablation::plan(subject, &WINDOWS.map(|width| format!("window(l,{width})")))
}

/// What is going to be run.
///
/// # Errors
/// None: every model has attention.
pub(super) fn announce(subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
    let even = Even::of(&subject.text);
    let schedules = plan(subject)?.entries().len();
    Ok(vec![even.told("locality-causal", schedules)])
}

/// Narrows the view of every block, and fills the tables.
///
/// # Errors
/// Logits that are not finite, a journal that cannot be used, or an interrupt.
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
    for (entry, statistics) in ablated.plan.entries().iter().zip(&ablated.statistics) {
        let (Some(family), Some(layer)) = (entry.family, entry.member.l) else {
            continue;
        };
        tables.push(Record {
            model: subject.name.to_owned(),
            model_type: subject.model_type().to_owned(),
            layer,
            layers,
            relative_depth: relative_depth(layer, layers),
            window: WINDOWS[family],
            kl_nats: statistics.kl_nats.mean().unwrap_or(f64::NAN),
            kl_nats_se: statistics.kl_nats.standard_error(),
            sequences: even.sequences.len() as u64,
            positions: statistics.kl_nats.count(),
        });
    }
    for (family, window) in WINDOWS.into_iter().enumerate() {
        let found = difference(subject, &ablated, family, window, layers)?;
        tables.of_mut().extend(found);
    }
    Ok(Vec::new())
}

/// Early blocks against later ones under the window of a family; `None` where a model has no block of one kind.
fn difference(
    subject: &Subject<'_>,
    ablated: &Ablated,
    family: usize,
    window: usize,
    layers: usize,
) -> Result<Option<DifferenceRecord>, ExperimentError> {
    let of = |chosen: &dyn Fn(f64) -> bool| {
        let entries = ablated.plan.entries().iter().enumerate();
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
    // Of each sequence the mean over blocks, so that both sides count the same positions.
    let mean = |schedules: &[usize]| {
        let mut mean = ClusteredMean::new();
        for sums in &ablated.sums {
            let all: f64 = schedules.iter().map(|at| sums[*at].kl_nats).sum();
            mean.push(all / schedules.len() as f64, sums[0].positions);
        }
        mean
    };
    let (early_kl, later_kl) = (mean(&early), mean(&later));
    let difference = later_kl.difference(&early_kl)?;
    let value = |mean: &ClusteredMean| mean.mean().unwrap_or(f64::NAN);
    Ok(Some(DifferenceRecord {
        model: subject.name.to_owned(),
        model_type: subject.model_type().to_owned(),
        window,
        early_kl_nats: value(&early_kl),
        later_kl_nats: value(&later_kl),
        difference_nats: value(&difference),
        difference_nats_se: difference.standard_error(),
        early_blocks: early.len(),
        later_blocks: later.len(),
        sequences: ablated.sums.len() as u64,
    }))
}
