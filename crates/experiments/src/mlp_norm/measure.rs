//! The size of each MLP's output, from the observations of `sublayer_ratio`.

use super::table::Record;
use crate::core::error::ExperimentError;
use crate::core::models::relative_depth;
use crate::core::plain::Observed;
use crate::core::sample::{TEXT, Units};
use crate::core::subject::Subject;
use crate::core::sum::mean;
use crate::core::tables::Tables;
use crate::sublayer_ratio::measure::{SIZES, Sizes};

/// The curve of the MLP's output norm by block, a mean over positions.
pub const MEAN: &str = "mlp_out_norm";
/// The same for the median over each sequence's positions.
pub const MEDIAN: &str = "mlp_out_norm median";

/// Records the means over a text.
///
/// # Errors
/// None: the form of sums was checked when they were read.
pub fn record(
    subject: &Subject<'_>,
    observed: &Observed,
    tables: &mut Tables,
) -> Result<(), ExperimentError> {
    let sequences: Vec<Vec<Sizes>> = observed.of(&SIZES)?;
    let layers = subject.model.config().layers;
    for layer in 0..sequences.first().map_or(0, Vec::len) {
        let sums = sequences.iter().map(|blocks| blocks[layer].mlp);
        let (mlp_out_norm, mlp_out_norm_se, sums) = mean(sums);
        let (.., medians) = mean(sequences.iter().map(|blocks| blocks[layer].mlp_median));
        tables.push(Units::of(subject.name, MEAN, TEXT, layer, &sums));
        tables.push(Units::of(subject.name, MEDIAN, TEXT, layer, &medians));
        tables.push(Record {
            model: subject.name.to_owned(),
            model_type: subject.model_type().to_owned(),
            layer,
            layers,
            relative_depth: relative_depth(layer, layers),
            mlp_out_norm,
            mlp_out_norm_se,
            sequences: observed.sequences(),
            positions: sums.count(),
        });
    }
    Ok(())
}
