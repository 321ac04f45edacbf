//! The sweep's statistics for dropped and swapped blocks.

use super::collapse;
use super::table::{Intervention, Record};
use crate::core::error::ExperimentError;
use crate::core::models::relative_depth;
use crate::core::sample::{TEXT, Units};
use crate::core::subject::Subject;
use crate::core::sweep::{Edits, Swept};
use crate::core::tables::Tables;
use layerwise_metrics::ClusteredMean;

const fn edits(intervention: Intervention) -> (Edits, Intervention) {
    let edits = Edits {
        family: intervention.family(),
        counts_at_first_block: true,
    };
    (edits, intervention)
}

/// The interventions, as families of edits.
pub(super) const EDITS: [(Edits, Intervention); 2] =
    [edits(Intervention::Drop), edits(Intervention::Swap)];

/// Records every schedule, compared with the plain one, and the token predicted most often when the first block is changed.
///
/// # Errors
/// None: statistics of one sweep are over the same sequences.
pub(super) fn record(
    subject: &Subject<'_>,
    swept: &Swept,
    tables: &mut Tables,
) -> Result<(), ExperimentError> {
    let layers = subject.model.config().layers;
    let mean = |value: &ClusteredMean| value.mean().unwrap_or(f64::NAN);
    for (edits, intervention) in EDITS {
        for altered in swept.of(edits.family)? {
            let (layer, statistics) = (altered.layer, altered.statistics);
            let entropy = statistics
                .entropy_bits
                .difference(&swept.plain().entropy_bits)?;
            for (quantity, mean) in [
                ("kl_nats", &statistics.kl_nats),
                ("top1_agreement", &statistics.top1_agreement),
                ("entropy_difference_bits", &entropy),
            ] {
                let curve = format!("{} {quantity}", edits.family);
                tables.push(Units::of(subject.name, &curve, TEXT, layer, mean));
            }
            tables.push(Record {
                model: subject.name.to_owned(),
                model_type: subject.model_type().to_owned(),
                intervention,
                layer,
                layers,
                relative_depth: relative_depth(layer, layers),
                kl_nats: mean(&statistics.kl_nats),
                kl_nats_se: statistics.kl_nats.standard_error(),
                top1_agreement: mean(&statistics.top1_agreement),
                top1_agreement_se: statistics.top1_agreement.standard_error(),
                entropy_bits: mean(&statistics.entropy_bits),
                entropy_bits_se: statistics.entropy_bits.standard_error(),
                entropy_difference_bits: mean(&entropy),
                entropy_difference_bits_se: entropy.standard_error(),
                loss_nats: mean(&statistics.loss_nats),
                loss_nats_se: statistics.loss_nats.standard_error(),
                sequences: swept.sequences(),
                positions: statistics.kl_nats.count(),
            });
            if layer == 0 {
                let collapse = collapse::record(subject, intervention, altered, swept);
                if let Some((collapse, curves)) = collapse {
                    for (quantity, mean) in curves {
                        let curve = format!("{} {quantity}", edits.family);
                        tables.push(Units::of(subject.name, &curve, TEXT, layer, &mean));
                    }
                    tables.push(collapse);
                }
            }
        }
    }
    Ok(())
}
