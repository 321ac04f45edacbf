//! The divergence of every sublayer under every kind of ablation.

use super::table::{AgreementRecord, Record, Sublayer};
use crate::core::ablation::{self, Agreement, Even, Kind};
use crate::core::error::ExperimentError;
use crate::core::models::relative_depth;
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_sweep::Plan;

/// Sublayer and kind of ablation of each family, in the order of the plan's families.
const ABLATIONS: [(Sublayer, Kind); 6] = [
    (Sublayer::Attn, Kind::Zero),
    (Sublayer::Attn, Kind::Mean),
    (Sublayer::Attn, Kind::Resample),
    (Sublayer::Mlp, Kind::Zero),
    (Sublayer::Mlp, Kind::Mean),
    (Sublayer::Mlp, Kind::Resample),
];

fn plan(subject: &Subject<'_>) -> Result<Plan, ExperimentError> {
    let family =
        |(sublayer, kind): (Sublayer, Kind)| format!("{}({}[l])", kind.name(), sublayer.site());
    ablation::plan(subject, &ABLATIONS.map(family))
}

/// Describes the runs.
///
/// # Errors
/// None: every model has both sublayers.
pub(super) fn announce(subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
    let plan = plan(subject)?;
    Ok(vec![ablation::told(subject, "ablation-kinds", &plan)])
}

/// Multiply-adds of the runs.
///
/// # Errors
/// As for [`announce`].
pub(super) fn work(subject: &Subject<'_>) -> Result<f64, ExperimentError> {
    Ok(ablation::work(subject, &plan(subject)?))
}

/// Ablates every sublayer in every way, and fills the tables.
///
/// # Errors
/// Logits are not finite, a journal cannot be used, or the user interrupts.
pub(super) fn measure(
    subject: &Subject<'_>,
    tables: &mut Tables,
) -> Result<Vec<String>, ExperimentError> {
    let even = Even::of(&subject.text);
    if let Some(refusal) = even.refusal("ablation-kinds") {
        return Ok(vec![refusal]);
    }
    let ablated = ablation::run(subject, plan(subject)?, &even)?;
    let layers = subject.model.config().layers;
    let mut divergences = Vec::new();
    for effect in ablated.effects()? {
        let Some(layer) = effect.member.l else {
            continue;
        };
        let (sublayer, kind) = ABLATIONS[effect.family];
        divergences.push((sublayer, (kind, layer, effect.kl_nats)));
        tables.push(Record {
            model: subject.name.to_owned(),
            model_type: subject.model_type().to_owned(),
            layer,
            layers,
            relative_depth: relative_depth(layer, layers),
            sublayer,
            kind,
            kl_nats: effect.kl_nats,
            kl_nats_se: effect.kl_nats_se,
            loss_difference_nats: effect.loss_difference_nats,
            loss_difference_nats_se: effect.loss_difference_nats_se,
            sequences: even.sequences.len() as u64,
            positions: effect.positions,
        });
    }
    for sublayer in Sublayer::ALL {
        let own = divergences.iter().filter(|(of, _)| *of == sublayer);
        for ([kind, other_kind], agreement) in Agreement::of_kinds(own.map(|(_, own)| *own)) {
            tables.push(AgreementRecord {
                model: subject.name.to_owned(),
                model_type: subject.model_type().to_owned(),
                sublayer,
                kind,
                other_kind,
                rank_correlation: agreement.rank_correlation,
                ratio_of_medians: agreement.ratio_of_medians,
                blocks: agreement.parts,
            });
        }
    }
    Ok(Vec::new())
}
