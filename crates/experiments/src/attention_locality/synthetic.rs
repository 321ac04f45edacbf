//! Results as the paper has them, for tests of claims.

use super::measure::CURVE;
use super::table::{Measure, Record};
use crate::core::models::Facts;
use crate::core::tables::Tables;
use crate::core::testing::{blocks, units};

/// Adds the records of one model.
pub(crate) fn add(facts: &Facts, tables: &mut Tables) {
    let layers = facts.layers;
    for (layer, depth) in blocks(facts) {
        let rise = if layer + 1 == layers { 0.01 } else { 0.0 };
        let attention = 0.1 - 0.08 * depth + rise;
        units(tables, facts, CURVE, layer, attention, 0.001);
        tables.push(Record {
            model: facts.name.clone(),
            model_type: facts.family.clone(),
            layer,
            layers,
            relative_depth: depth,
            measure: Measure::PreviousFive,
            tokens: 5,
            attention,
            attention_se: Some(0.001),
            sequences: 10,
            positions: 1000,
        });
    }
}
