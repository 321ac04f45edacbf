//! The plain pass on a text of another kind, next to that on the corpus.

use super::table::{Measure, Record};
use crate::core::error::ExperimentError;
use crate::core::lens::Lens;
use crate::core::plain::{Observation, observe};
use crate::core::sample::Units;
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use crate::{attention_locality, lens_entropy, lens_kl, mlp_norm, sublayer_ratio};

/// The observations made on both texts.
const OBSERVATIONS: &[&dyn Observation] = &[
    &attention_locality::measure::LOCALITY,
    &lens_entropy::measure::VIEWS,
    &sublayer_ratio::measure::SIZES,
];

/// Runs a model on the second text and records both texts; the results on the corpus are in `tables` already.
///
/// # Errors
/// As [`observe`].
pub(super) fn measure(subject: &Subject<'_>, tables: &mut Tables) -> Result<(), ExperimentError> {
    let Some(other) = &subject.other_text else {
        return Ok(());
    };
    let observed = observe(&subject.runs, other.sequences(), OBSERVATIONS)?;
    let mut second = Tables::default();
    attention_locality::measure::record(subject, &observed, &mut second)?;
    lens_entropy::measure::record(subject, &observed, &mut second)?;
    lens_kl::measure::record(subject, &observed, &mut second)?;
    mlp_norm::measure::record(subject, &observed, &mut second)?;
    let both = [
        records(tables, &subject.text.name(), false),
        records(&second, &other.name(), true),
    ];
    tables.of_mut().extend(both.into_iter().flatten());
    let units = second.of::<Units>().iter().cloned();
    tables.of_mut().extend(units.map(on_other_text));
    Ok(())
}

/// The name of a curve on the second text.
pub(super) fn elsewhere(curve: &str) -> String {
    format!("other text: {curve}")
}

/// Units of the second text.
pub(super) fn on_other_text(units: Units) -> Units {
    Units {
        curve: elsewhere(&units.curve),
        sample: elsewhere(&units.sample),
        ..units
    }
}

/// The measures of the plain pass on one text, with the standard lens.
fn records(tables: &Tables, text: &str, shifted: bool) -> Vec<Record> {
    let text = || text.to_owned();
    let mut records = Vec::new();
    for r in tables
        .of::<lens_kl::Record>()
        .iter()
        .filter(|r| r.lens == Lens::Standard)
    {
        records.push(Record {
            model: r.model.clone(),
            model_type: r.model_type.clone(),
            text: text(),
            shifted,
            measure: Measure::LensKl,
            index: r.state,
            layers: r.layers,
            relative_depth: r.relative_depth,
            value: r.kl_nats,
            value_se: r.kl_nats_se,
            sequences: r.sequences,
            positions: r.positions,
        });
    }
    let entropies = tables.of::<lens_entropy::Record>().iter();
    for r in entropies.filter(|r| r.lens == Lens::Standard) {
        records.push(Record {
            model: r.model.clone(),
            model_type: r.model_type.clone(),
            text: text(),
            shifted,
            measure: Measure::LensEntropy,
            index: r.state,
            layers: r.layers,
            relative_depth: r.relative_depth,
            value: r.entropy_bits,
            value_se: r.entropy_bits_se,
            sequences: r.sequences,
            positions: r.positions,
        });
    }
    for r in tables.of::<mlp_norm::Record>() {
        records.push(Record {
            model: r.model.clone(),
            model_type: r.model_type.clone(),
            text: text(),
            shifted,
            measure: Measure::MlpOutNorm,
            index: r.layer,
            layers: r.layers,
            relative_depth: r.relative_depth,
            value: r.mlp_out_norm,
            value_se: r.mlp_out_norm_se,
            sequences: r.sequences,
            positions: r.positions,
        });
    }
    let previous_five = tables.of::<attention_locality::Record>().iter();
    for r in previous_five.filter(|r| r.measure == attention_locality::Measure::PreviousFive) {
        records.push(Record {
            model: r.model.clone(),
            model_type: r.model_type.clone(),
            text: text(),
            shifted,
            measure: Measure::PreviousFive,
            index: r.layer,
            layers: r.layers,
            relative_depth: r.relative_depth,
            value: r.attention,
            value_se: r.attention_se,
            sequences: r.sequences,
            positions: r.positions,
        });
    }
    records
}
