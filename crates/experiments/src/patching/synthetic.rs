//! Results under which the claim holds, for its tests.

use super::measure::curve_name;
use super::table::{Record, SetRecord};
use crate::core::models::Facts;
use crate::core::tables::Tables;
use crate::core::testing::{blocks, units};

/// Adds the records of one model.
pub(crate) fn add(facts: &Facts, tables: &mut Tables) {
    tables.push(SetRecord {
        model: facts.name.clone(),
        model_type: facts.family.clone(),
        set: "indirect-objects".to_owned(),
        description: "pairs".to_owned(),
        seed: 0,
        pairs: 8,
        tokens: 16,
        first_position: 10,
        subject_position: 10,
        clean_logit_difference_nats: 3.0,
        corrupted_logit_difference_nats: -3.0,
        effect_nats: 6.0,
        effect_nats_se: Some(0.5),
    });
    for (layer, depth) in blocks(facts) {
        let recovered = if depth < 0.4 { 0.95 } else { 0.05 };
        units(
            tables,
            facts,
            &curve_name("indirect-objects"),
            layer,
            recovered,
            0.02,
        );
        for (site, position) in [("resid.post", 10), ("resid.post", 15), ("mlp.out", 10)] {
            let at_subject = (site, position) == ("resid.post", 10);
            tables.push(Record {
                model: facts.name.clone(),
                model_type: facts.family.clone(),
                set: "indirect-objects".to_owned(),
                site: site.to_owned(),
                layer,
                layers: facts.layers,
                relative_depth: depth,
                position,
                recovered: if at_subject { recovered } else { 0.05 },
                recovered_se: Some(0.02),
                logit_difference_nats: 0.0,
                logit_difference_nats_se: Some(0.1),
                pairs: 8,
            });
        }
    }
}
