//! Results as the paper has them, for tests of claims.

use super::measure::CURVE;
use super::table::Record;
use crate::core::models::Facts;
use crate::core::tables::Tables;
use crate::core::testing::{blocks, units};

/// Adds the records of one model.
pub(crate) fn add(facts: &Facts, tables: &mut Tables) {
    let layers = facts.layers;
    for (layer, depth) in blocks(facts) {
        units(tables, facts, CURVE, layer, 2.0 - 1.5 * depth, 0.01);
        tables.push(Record {
            model: facts.name.clone(),
            model_type: facts.family.clone(),
            layer,
            layers,
            relative_depth: depth,
            attn_out_norm: 1.0,
            attn_out_norm_se: None,
            mlp_out_norm: 1.0,
            mlp_out_norm_se: None,
            ratio: 2.0 - 1.5 * depth,
            ratio_se: None,
            relative_update: 0.5,
            relative_update_se: None,
            update_cosine: 0.0,
            update_cosine_se: None,
            sequences: 10,
            positions: 1000,
        });
    }
}
