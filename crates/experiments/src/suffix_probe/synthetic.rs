//! Results as the paper has them, for tests of claims.

use super::chosen::Chosen;
use super::table::Record;
use crate::core::models::Facts;
use crate::core::tables::Tables;
use crate::core::testing::units;
use crate::neurons::Kind;

/// Adds the records of one model.
pub(crate) fn add(facts: &Facts, tables: &mut Tables) {
    for (chosen, accuracy) in [
        (Chosen::Single, 0.9),
        (Chosen::Suppression, 0.9),
        (Chosen::Other, 0.8),
        (Chosen::Ensemble, 0.964),
        (Chosen::Model, 0.905),
    ] {
        units(tables, facts, chosen.curve(), 0, accuracy, 0.01);
    }
    for rank in 1..=32 {
        tables.push(Record {
            model: facts.name.clone(),
            model_type: facts.family.clone(),
            rank,
            layer: facts.layers - 1,
            layers: facts.layers,
            neuron: rank,
            kind: if rank == 1 {
                Kind::Suppression
            } else {
                Kind::Prediction
            },
            single_accuracy: if rank == 1 { 0.9 } else { 0.8 },
            single_accuracy_se: Some(0.01),
            ensemble_accuracy: 0.9 + 0.002 * rank as f64,
            ensemble_accuracy_se: Some(0.01),
            model_accuracy: 0.905,
            model_accuracy_se: Some(0.01),
            examples: 2000,
        });
    }
}
