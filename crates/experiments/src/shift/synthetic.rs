//! Results as the paper has them, for tests of claims.

use super::measure::on_other_text;
use super::table::{Measure, Record};
use crate::core::lens::Lens;
use crate::core::models::Facts;
use crate::core::sample::Units;
use crate::core::tables::Tables;
use crate::{attention_locality, lens_entropy, lens_kl, mlp_norm, neurons};

/// Adds the plain measures of one model on the corpus, and the same measures as those of another text.
pub(crate) fn add(facts: &Facts, tables: &mut Tables) {
    let mut plain = Tables::default();
    for add in [
        attention_locality::synthetic::add,
        lens_entropy::synthetic::add,
        lens_kl::synthetic::add,
        mlp_norm::synthetic::add,
        neurons::synthetic::add,
    ] {
        add(facts, &mut plain);
    }
    let record = |measure, index, relative_depth, value| Record {
        model: facts.name.clone(),
        model_type: facts.family.clone(),
        text: "code".to_owned(),
        shifted: true,
        measure,
        index,
        layers: facts.layers,
        relative_depth,
        value,
        value_se: None,
        sequences: 10,
        positions: 1000,
    };
    let mut records = Vec::new();
    let own = plain.of::<lens_kl::Record>().iter();
    for r in own.filter(|r| r.lens == Lens::Standard) {
        records.push(record(
            Measure::LensKl,
            r.state,
            r.relative_depth,
            r.kl_nats,
        ));
    }
    let own = plain.of::<lens_entropy::Record>().iter();
    for r in own.filter(|r| r.lens == Lens::Standard) {
        records.push(record(
            Measure::LensEntropy,
            r.state,
            r.relative_depth,
            r.entropy_bits,
        ));
    }
    for r in plain.of::<mlp_norm::Record>() {
        records.push(record(
            Measure::MlpOutNorm,
            r.layer,
            r.relative_depth,
            r.mlp_out_norm,
        ));
    }
    for r in plain.of::<attention_locality::Record>() {
        records.push(record(
            Measure::PreviousFive,
            r.layer,
            r.relative_depth,
            r.attention,
        ));
    }
    let units = plain.of::<Units>().iter().cloned();
    let units: Vec<Units> = units.map(on_other_text).collect();
    plain.of_mut().extend(units);
    tables.extend(plain);
    tables.of_mut().extend(records);
}
