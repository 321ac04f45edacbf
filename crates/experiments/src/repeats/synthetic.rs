//! Results as the paper has them, for tests of claims.

use super::measure::curve_name;
use super::table::Record;
use crate::core::models::{Facts, relative_depth};
use crate::core::tables::Tables;
use crate::core::testing::{blocks, units};

/// Adds the records of one model.
pub(crate) fn add(facts: &Facts, tables: &mut Tables) {
    let layers = facts.layers;
    for (layer, _) in blocks(facts) {
        for blocks in [3, 5] {
            if layer + blocks > layers {
                continue;
            }
            let middle = relative_depth(layer + blocks / 2, layers);
            let change = if middle > 0.5 { -0.2 } else { 0.3 };
            units(tables, facts, &curve_name(blocks), layer, change, 0.01);
            tables.push(Record {
                model: facts.name.clone(),
                model_type: facts.family.clone(),
                blocks,
                start: layer,
                layers,
                relative_depth: middle,
                entropy_bits: 4.0,
                entropy_bits_se: Some(0.01),
                plain_entropy_bits: 4.0,
                entropy_difference_bits: change,
                entropy_difference_bits_se: Some(0.01),
                kl_nats: 0.1,
                kl_nats_se: None,
                loss_difference_nats: 0.1,
                loss_difference_nats_se: None,
                sequences: 10,
                positions: 1000,
            });
        }
    }
}
