//! Results as the paper has them, for tests of claims.

use super::measure::curve_name;
use super::table::{Method, Record};
use crate::core::models::Facts;
use crate::core::tables::Tables;
use crate::core::testing::{states, units};

/// Adds the records of one model.
pub(crate) fn add(facts: &Facts, tables: &mut Tables) {
    let layers = facts.layers;
    for (state, depth) in states(facts) {
        let accuracy = 0.55 + 0.15 * (1.0 - (2.0 * depth - 1.0).abs());
        units(tables, facts, &curve_name("wic"), state, accuracy, 0.003);
        tables.push(Record {
            model: facts.name.clone(),
            model_type: facts.family.clone(),
            pairs_of: "wic".to_owned(),
            method: Method::Probe,
            state,
            layers,
            relative_depth: depth,
            accuracy,
            accuracy_se: Some(0.01),
            chosen: 1.0,
            train_pairs: 5428,
            dev_pairs: 638,
            test_pairs: 1400,
        });
    }
}
