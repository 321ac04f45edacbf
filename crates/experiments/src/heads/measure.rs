//! The divergence of every head under every kind of ablation.

use super::table::{AgreementRecord, Record};
use crate::core::ablation::{self, Agreement, Even, Kind};
use crate::core::error::ExperimentError;
use crate::core::models::relative_depth;
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_sweep::Plan;

fn plan(subject: &Subject<'_>) -> Result<Plan, ExperimentError> {
    let families = Kind::ALL.map(|kind| format!("{}(attn.head_out[l,h])", kind.name()));
    ablation::plan(subject, &families)
}

/// Describes the runs.
///
/// # Errors
/// None: every model has heads.
pub(super) fn announce(subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
    let plan = plan(subject)?;
    Ok(vec![ablation::told(subject, "heads", &plan)])
}

/// Multiply-adds of the runs.
///
/// # Errors
/// As for [`announce`].
pub(super) fn work(subject: &Subject<'_>) -> Result<f64, ExperimentError> {
    Ok(ablation::work(subject, &plan(subject)?))
}

/// Ablates every head, and fills the tables.
///
/// # Errors
/// Logits are not finite, a journal cannot be used, or the user interrupts.
pub(super) fn measure(
    subject: &Subject<'_>,
    tables: &mut Tables,
) -> Result<Vec<String>, ExperimentError> {
    let even = Even::of(&subject.text);
    if let Some(refusal) = even.refusal("heads") {
        return Ok(vec![refusal]);
    }
    let ablated = ablation::run(subject, plan(subject)?, &even)?;
    let config = subject.model.config();
    let mut divergences = Vec::new();
    for effect in ablated.effects()? {
        let (Some(layer), Some(head)) = (effect.member.l, effect.member.h) else {
            continue;
        };
        let kind = Kind::ALL[effect.family];
        divergences.push((kind, (layer, head), effect.kl_nats));
        tables.push(Record {
            model: subject.name.to_owned(),
            model_type: subject.model_type().to_owned(),
            layer,
            head,
            layers: config.layers,
            heads: config.heads,
            relative_depth: relative_depth(layer, config.layers),
            kind,
            kl_nats: effect.kl_nats,
            kl_nats_se: effect.kl_nats_se,
            loss_difference_nats: effect.loss_difference_nats,
            loss_difference_nats_se: effect.loss_difference_nats_se,
            sequences: even.sequences.len() as u64,
            positions: effect.positions,
        });
    }
    for ([kind, other_kind], agreement) in Agreement::of_kinds(divergences) {
        tables.push(AgreementRecord {
            model: subject.name.to_owned(),
            model_type: subject.model_type().to_owned(),
            kind,
            other_kind,
            rank_correlation: agreement.rank_correlation,
            ratio_of_medians: agreement.ratio_of_medians,
            heads: agreement.parts,
        });
    }
    Ok(Vec::new())
}
