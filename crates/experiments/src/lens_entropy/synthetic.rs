//! Results as the paper has them, for tests of claims.

use super::measure::curve_name;
use super::table::Record;
use crate::core::lens::Lens;
use crate::core::models::{Facts, state_depth};
use crate::core::tables::Tables;
use crate::core::testing::{states, units};

/// Adds the records of one model.
pub(crate) fn add(facts: &Facts, tables: &mut Tables) {
    let layers = facts.layers;
    for lens in Lens::BOTH {
        for (state, depth) in states(facts) {
            // The last two blocks make the output less certain again.
            let rise = 0.5 * (state + 2).saturating_sub(layers) as f64;
            let entropy_depth = if rise > 0.0 {
                state_depth(layers - 2, layers)
            } else {
                depth
            };
            let fall = 16.0 * (entropy_depth - 0.5).max(0.0);
            let entropy = 14.0 - entropy_depth.min(0.5) - fall + rise;
            units(tables, facts, &curve_name(lens), state, entropy, 0.01);
            tables.push(Record {
                model: facts.name.clone(),
                model_type: facts.family.clone(),
                lens,
                state,
                layers,
                relative_depth: depth,
                entropy_bits: entropy,
                entropy_bits_se: Some(0.01),
                entropy_bits_sd: Some(0.1),
                sequences: 10,
                positions: 1000,
            });
        }
    }
}
