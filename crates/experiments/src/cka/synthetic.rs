//! Results as the paper has them, for tests of claims.

use super::measure::curve_name;
use super::table::{Estimator, Record};
use crate::core::curve::is_middle;
use crate::core::models::Facts;
use crate::core::tables::Tables;
use crate::core::testing::{blocks, units};

/// Adds the records of one model.
pub(crate) fn add(facts: &Facts, tables: &mut Tables) {
    let layers = facts.layers;
    for (layer, depth) in blocks(facts) {
        for (other_layer, other) in blocks(facts) {
            let inside = [depth, other].map(is_middle);
            let cka = if inside == [true; 2] || layer == other_layer {
                0.9
            } else {
                0.4
            };
            if layer <= other_layer {
                let place = layer * layers + other_layer;
                let value = if layer == other_layer { 1.0 } else { cka };
                units(
                    tables,
                    facts,
                    curve_name(Estimator::LastToken),
                    place,
                    value,
                    0.01,
                );
            }
            tables.push(Record {
                model: facts.name.clone(),
                model_type: facts.family.clone(),
                estimator: Estimator::LastToken,
                layer,
                other_layer,
                layers,
                cka,
                batches: 8,
                samples: 128,
            });
        }
    }
}
