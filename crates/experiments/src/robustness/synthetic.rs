//! Results as the paper has them, for tests of claims.

use super::table::{Collapse, Intervention, Record};
use crate::core::models::Facts;
use crate::core::tables::Tables;
use crate::core::testing::{blocks, units};

/// Adds the records of one model.
pub(crate) fn add(facts: &Facts, tables: &mut Tables) {
    let layers = facts.layers;
    let pythia = facts.family == "gpt_neox";
    for (intervention, share, last) in [(Intervention::Drop, 1.0, 1), (Intervention::Swap, 0.5, 2)]
    {
        let family = intervention.family();
        for (layer, depth) in blocks(facts).take(layers + 1 - last) {
            let level = if pythia { 0.4 } else { 0.2 };
            let agreement = 0.75 + 0.002 * layers as f64 + 0.01 * depth;
            let (kl, agreement) = match layer {
                0 => (8.0, 0.05),
                _ if pythia && layer + 2 == layers => (share * level, 0.3),
                _ => (share * level, agreement),
            };
            let entropy = if layer == 0 { 3.0 } else { 0.1 };
            for (quantity, value) in [
                ("kl_nats", kl),
                ("top1_agreement", agreement),
                ("entropy_difference_bits", entropy),
            ] {
                let curve = format!("{family} {quantity}");
                units(tables, facts, &curve, layer, value, 0.01 * value);
            }
            tables.push(Record {
                model: facts.name.clone(),
                model_type: facts.family.clone(),
                intervention,
                layer,
                layers,
                relative_depth: depth,
                kl_nats: kl,
                kl_nats_se: Some(0.01),
                top1_agreement: agreement,
                top1_agreement_se: Some(0.01),
                entropy_bits: 7.0,
                entropy_bits_se: Some(0.01),
                entropy_difference_bits: entropy,
                entropy_difference_bits_se: Some(0.01),
                loss_nats: 4.0,
                loss_nats_se: Some(0.01),
                sequences: 10,
                positions: 1000,
            });
        }
        for (quantity, value) in [
            ("modal_share", 0.2),
            ("every_4th_mean_prediction_entropy_bits", 10.0),
            ("every_4th_mean_prediction_entropy_difference_bits", 1.5),
        ] {
            let curve = format!("{family} {quantity}");
            units(tables, facts, &curve, 0, value, 0.01);
        }
        tables.push(Collapse {
            model: facts.name.clone(),
            model_type: facts.family.clone(),
            intervention,
            layer: 0,
            modal_token: 11,
            modal_share: 0.2,
            modal_share_se: Some(0.01),
            every_4th_mean_prediction_entropy_bits: 10.0,
            every_4th_mean_prediction_entropy_bits_se: Some(0.01),
            every_4th_mean_prediction_entropy_difference_bits: 1.5,
            every_4th_mean_prediction_entropy_difference_bits_se: Some(0.01),
            sequences: 10,
            positions: 1000,
        });
    }
}
