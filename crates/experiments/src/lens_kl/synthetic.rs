//! Results as the paper has them, for tests of claims.

use super::measure::curve_name;
use super::table::Record;
use crate::core::lens::Lens;
use crate::core::models::Facts;
use crate::core::tables::Tables;
use crate::core::testing::{states, units};

/// Adds the records of one model.
pub(crate) fn add(facts: &Facts, tables: &mut Tables) {
    let layers = facts.layers;
    let steepness = if facts.name == "phi-1" { 5.0 } else { 19.0 };
    for lens in Lens::BOTH {
        for (state, depth) in states(facts) {
            let late = (depth - 0.5).max(0.0);
            let divergence = 10.0 - depth.min(0.5) - steepness * late;
            units(tables, facts, &curve_name(lens), state, divergence, 0.01);
            tables.push(Record {
                model: facts.name.clone(),
                model_type: facts.family.clone(),
                lens,
                state,
                layers,
                relative_depth: depth,
                kl_nats: divergence,
                kl_nats_se: Some(0.01),
                reverse_kl_nats: 1.0,
                reverse_kl_nats_se: None,
                top1_agreement: depth,
                top1_agreement_se: None,
                sequences: 10,
                positions: 1000,
            });
        }
    }
}
