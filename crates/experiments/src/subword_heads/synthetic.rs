//! Results as the paper has them, for tests of claims.

use super::readings::curve_name;
use super::table::{Record, Selection};
use crate::core::models::Facts;
use crate::core::tables::Tables;
use crate::core::testing::{blocks, units};

/// Adds the records of one model.
pub(crate) fn add(facts: &Facts, tables: &mut Tables) {
    let layers = facts.layers;
    for half in [0, 1] {
        for (selection, values) in [
            (Selection::Single, [0.3, 0.05, 0.02]),
            (Selection::Multi, [0.1, 0.3, 0.5]),
        ] {
            for (token, attention) in (1..).zip(values) {
                units(
                    tables,
                    facts,
                    &curve_name(selection, half),
                    token,
                    attention,
                    0.01,
                );
            }
        }
    }
    for (layer, _) in blocks(facts) {
        for head in 0..2 {
            let merges = head == 0 && 2 * layer < layers;
            let apart = [0.3, 0.05, 0.02];
            let pieces = if merges { [0.1, 0.3, 0.5] } else { apart };
            for (selection, values) in [
                (Selection::Single, apart),
                (Selection::Multi, pieces),
                (Selection::MultiFiltered, pieces),
            ] {
                for (token, attention) in (1..).zip(values) {
                    tables.push(Record {
                        model: facts.name.clone(),
                        model_type: facts.family.clone(),
                        layer,
                        head,
                        layers,
                        selection,
                        token,
                        attention,
                        attention_se: Some(0.01),
                        windows: 988,
                    });
                }
            }
        }
    }
}
