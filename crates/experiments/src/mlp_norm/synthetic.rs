//! Results as the paper has them, for tests of claims.

use super::measure::{MEAN, MEDIAN};
use super::table::Record;
use crate::core::models::Facts;
use crate::core::tables::Tables;
use crate::core::testing::{blocks, units};

/// Adds the records of one model.
pub(crate) fn add(facts: &Facts, tables: &mut Tables) {
    let layers = facts.layers;
    for (layer, depth) in blocks(facts) {
        let norm = 1.0 + 9.0 * depth * depth;
        units(tables, facts, MEAN, layer, norm, 0.01);
        units(tables, facts, MEDIAN, layer, norm, 0.01);
        tables.push(Record {
            model: facts.name.clone(),
            model_type: facts.family.clone(),
            layer,
            layers,
            relative_depth: depth,
            mlp_out_norm: norm,
            mlp_out_norm_se: Some(0.01),
            sequences: 10,
            positions: 1000,
        });
    }
}
