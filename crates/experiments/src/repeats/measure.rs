//! The sweep's statistics for repeated runs of blocks.

use super::table::Record;
use crate::core::error::ExperimentError;
use crate::core::models::relative_depth;
use crate::core::sample::{TEXT, Units};
use crate::core::subject::Subject;
use crate::core::sweep::{Edits, Swept};
use crate::core::tables::Tables;
use layerwise_metrics::ClusteredMean;

/// Numbers of blocks in a repeated run, with the families (B.13).
const REPEATS: [(&str, usize); 2] = [("repeat(l..l+3)", 3), ("repeat(l..l+5)", 5)];

/// The runs that fit into a model.
pub(super) fn edits(layers: usize) -> Vec<Edits> {
    let fitting = REPEATS.iter().filter(|(_, blocks)| *blocks <= layers);
    fitting
        .map(|&(family, _)| Edits {
            family,
            counts_at_first_block: false,
        })
        .collect()
}

/// The curve of the changes of entropy by the first block of the run.
pub(super) fn curve_name(blocks: usize) -> String {
    format!("repeat(l..l+{blocks}) entropy_difference_bits")
}

/// Records every run, compared with the plain model.
///
/// # Errors
/// None: statistics of one sweep are over the same sequences.
pub(super) fn record(
    subject: &Subject<'_>,
    swept: &Swept,
    tables: &mut Tables,
) -> Result<(), ExperimentError> {
    let layers = subject.model.config().layers;
    let plain = swept.plain();
    let mean = |value: &ClusteredMean| value.mean().unwrap_or(f64::NAN);
    for (family, blocks) in REPEATS {
        for altered in swept.of(family)? {
            let (layer, statistics) = (altered.layer, altered.statistics);
            let entropy = statistics.entropy_bits.difference(&plain.entropy_bits)?;
            let loss = statistics.loss_nats.difference(&plain.loss_nats)?;
            let curve = curve_name(blocks);
            tables.push(Units::of(subject.name, &curve, TEXT, layer, &entropy));
            tables.push(Record {
                model: subject.name.to_owned(),
                model_type: subject.model_type().to_owned(),
                blocks,
                start: layer,
                layers,
                relative_depth: relative_depth(layer + blocks / 2, layers),
                entropy_bits: mean(&statistics.entropy_bits),
                entropy_bits_se: statistics.entropy_bits.standard_error(),
                plain_entropy_bits: mean(&plain.entropy_bits),
                entropy_difference_bits: mean(&entropy),
                entropy_difference_bits_se: entropy.standard_error(),
                kl_nats: mean(&statistics.kl_nats),
                kl_nats_se: statistics.kl_nats.standard_error(),
                loss_difference_nats: mean(&loss),
                loss_difference_nats_se: loss.standard_error(),
                sequences: swept.sequences(),
                positions: statistics.kl_nats.count(),
            });
        }
    }
    Ok(())
}
