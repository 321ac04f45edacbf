//! The divergence of the lenses from the output, from the observations of `lens_entropy`.

use super::table::Record;
use crate::core::error::ExperimentError;
use crate::core::lens::Lens;
use crate::core::models::state_depth;
use crate::core::plain::Observed;
use crate::core::sample::{TEXT, Units};
use crate::core::subject::Subject;
use crate::core::sum::{Sum, mean};
use crate::core::tables::Tables;
use crate::lens_entropy::measure::{VIEWS, View, Views};

/// The curve of a lens's divergence by residual stream.
pub fn curve_name(lens: Lens) -> String {
    format!("{} lens kl_nats", lens.name())
}

/// Records the means over a text.
///
/// # Errors
/// None: the form of sums was checked when they were read.
pub fn record(
    subject: &Subject<'_>,
    observed: &Observed,
    tables: &mut Tables,
) -> Result<(), ExperimentError> {
    let sequences: Vec<Views> = observed.of(&VIEWS)?;
    if sequences.is_empty() {
        return Ok(());
    }
    let layers = subject.model.config().layers;
    for lens in Lens::BOTH {
        for state in 0..=layers {
            let mean = |of: fn(&View) -> Sum| {
                mean(sequences.iter().map(|views| of(&views.of(lens)[state])))
            };
            let (kl_nats, kl_nats_se, sums) = mean(|view| view.kl_nats);
            tables.push(Units::of(
                subject.name,
                &curve_name(lens),
                TEXT,
                state,
                &sums,
            ));
            let (reverse_kl_nats, reverse_kl_nats_se, _) = mean(|view| view.reverse_kl_nats);
            let (top1_agreement, top1_agreement_se, _) = mean(|view| view.top1_agreement);
            tables.push(Record {
                model: subject.name.to_owned(),
                model_type: subject.model_type().to_owned(),
                lens,
                state,
                layers,
                relative_depth: state_depth(state, layers),
                kl_nats,
                kl_nats_se,
                reverse_kl_nats,
                reverse_kl_nats_se,
                top1_agreement,
                top1_agreement_se,
                sequences: observed.sequences(),
                positions: sums.count(),
            });
        }
    }
    Ok(())
}
