//! The divergence under the exchange of each pair of blocks.

use super::table::Record;
use crate::core::ablation::{self, Even};
use crate::core::error::ExperimentError;
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_sweep::Plan;

/// The plan of all pairs; `None` if there is no pair.
fn plan(subject: &Subject<'_>) -> Result<Option<Plan>, ExperimentError> {
    let has_pairs = subject.model.config().layers > 1;
    let plan = has_pairs.then(|| ablation::plan(subject, &["swap(l,m)".to_owned()]));
    plan.transpose()
}

/// Describes the runs.
///
/// # Errors
/// None: any two blocks can be exchanged.
pub(super) fn announce(subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
    let told = |plan: Plan| ablation::told(subject, "swap-distance", &plan);
    Ok(plan(subject)?.map(told).into_iter().collect())
}

/// Multiply-adds of the runs.
///
/// # Errors
/// As for [`announce`].
pub(super) fn work(subject: &Subject<'_>) -> Result<f64, ExperimentError> {
    let plan = plan(subject)?;
    Ok(plan.map_or(0.0, |plan| ablation::work(subject, &plan)))
}

/// Exchanges each pair of blocks, and fills the table.
///
/// # Errors
/// Logits are not finite, a journal cannot be used, or the user interrupts.
pub(super) fn measure(
    subject: &Subject<'_>,
    tables: &mut Tables,
) -> Result<Vec<String>, ExperimentError> {
    let even = Even::of(&subject.text);
    if let Some(refusal) = even.refusal("swap-distance") {
        return Ok(vec![refusal]);
    }
    let Some(plan) = plan(subject)? else {
        return Ok(vec![
            "swap-distance is left empty: the model has one block".to_owned(),
        ]);
    };
    let run = ablation::run(subject, plan, &even)?;
    for effect in run.effects()? {
        let (Some(layer), Some(other_layer)) = (effect.member.l, effect.member.m) else {
            continue;
        };
        tables.push(Record {
            model: subject.name.to_owned(),
            model_type: subject.model_type().to_owned(),
            layer,
            other_layer,
            layers: subject.model.config().layers,
            kl_nats: effect.kl_nats,
            kl_nats_se: effect.kl_nats_se,
            loss_difference_nats: effect.loss_difference_nats,
            loss_difference_nats_se: effect.loss_difference_nats_se,
            sequences: even.sequences.len() as u64,
            positions: effect.positions,
        });
    }
    Ok(Vec::new())
}
