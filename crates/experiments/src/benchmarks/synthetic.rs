//! Results as the paper has them, for tests of claims.

use super::measure::curve_name;
use super::table::{Intervention, Record};
use crate::core::models::{Facts, relative_depth};
use crate::core::tables::Tables;
use crate::core::testing::{blocks, units};

/// Adds the records of one model.
pub(crate) fn add(facts: &Facts, tables: &mut Tables) {
    let layers = facts.layers;
    let mut add = |intervention, place: Option<(usize, f64)>, accuracy: f64| {
        if let Some((layer, _)) = place {
            let curve = curve_name(intervention, "hellaswag");
            units(tables, facts, &curve, layer, accuracy - 0.5, 0.003);
        }
        tables.push(Record {
            model: facts.name.clone(),
            model_type: facts.family.clone(),
            task: "hellaswag".to_owned(),
            intervention,
            layer: place.map(|(layer, _)| layer),
            layers: facts.layers,
            relative_depth: place.map(|(_, depth)| depth),
            accuracy,
            accuracy_se: Some(0.01),
            difference: accuracy - 0.5,
            difference_se: Some(0.01),
            items: 1000,
        });
    };
    add(Intervention::None, None, 0.5);
    for (layer, depth) in blocks(facts) {
        let accuracy = match layer {
            0 => 0.25,
            _ if layer + 1 == layers => 0.3,
            _ => 0.45,
        };
        add(Intervention::Drop, Some((layer, depth)), accuracy);
        if layer + 1 < layers {
            add(Intervention::Swap, Some((layer, depth)), accuracy);
        }
        if layer + 5 <= layers {
            let middle = relative_depth(layer + 2, layers);
            let accuracy = if middle > 0.8 { 0.52 } else { 0.48 };
            add(Intervention::RepeatFive, Some((layer, middle)), accuracy);
        }
    }
}
