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

/// What is going to be run.
///
/// # Errors
/// None: every model has heads.
pub(super) fn announce(subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
    let even = Even::of(&subject.text);
    Ok(vec![even.told("heads", plan(subject)?.entries().len())])
}

/// Ablates every head, and fills the tables.
///
/// # Errors
/// Logits that are not finite, a journal that cannot be used, or an interrupt.
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
    let plain = &ablated.statistics[0];
    for (entry, statistics) in ablated.plan.entries().iter().zip(&ablated.statistics) {
        let (Some(family), member) = (entry.family, &entry.member) else {
            continue;
        };
        let (Some(layer), Some(head)) = (member.l, member.h) else {
            continue;
        };
        let loss = statistics.loss_nats.difference(&plain.loss_nats)?;
        tables.push(Record {
            model: subject.name.to_owned(),
            model_type: subject.model_type().to_owned(),
            layer,
            head,
            layers: config.layers,
            heads: config.heads,
            relative_depth: relative_depth(layer, config.layers),
            kind: Kind::ALL[family],
            kl_nats: statistics.kl_nats.mean().unwrap_or(f64::NAN),
            kl_nats_se: statistics.kl_nats.standard_error(),
            loss_difference_nats: loss.mean().unwrap_or(f64::NAN),
            loss_difference_nats_se: loss.standard_error(),
            sequences: even.sequences.len() as u64,
            positions: statistics.kl_nats.count(),
        });
    }
    let own: Vec<Record> = tables
        .of::<Record>()
        .iter()
        .filter(|r| r.model == subject.name)
        .cloned()
        .collect();
    for [kind, other_kind] in Kind::pairs() {
        let of = |kind: Kind| own.iter().filter(move |r| r.kind == kind);
        let pairs: Vec<(f64, f64)> = of(kind)
            .filter_map(|r| {
                let same = |other: &&Record| (other.layer, other.head) == (r.layer, r.head);
                Some((r.kl_nats, of(other_kind).find(same)?.kl_nats))
            })
            .collect();
        let agreement = Agreement::of(&pairs);
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
