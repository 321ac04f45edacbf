//! The line of each model, from the tables of other experiments.

use super::table::Record;
use crate::core::curve::{Point, median, middle, peak};
use crate::core::models::Facts;
use crate::core::tables::Tables;
use crate::{attention_locality, mlp_norm, neurons, robustness};

/// The line of each model, from the results of other experiments.
pub fn derive(tables: &Tables, models: &[Facts]) -> Vec<Record> {
    let median_of = |model: &str, intervention, quantity| {
        let curve = robustness::curve(tables, model, intervention, quantity).ok()?;
        median(&middle(&curve).ok()?)
    };
    let depth = |curve: Option<Vec<Point>>| {
        let peak = peak(&curve?)?;
        // If every block has none, no block has most.
        (peak.value > 0.0).then_some(peak.depth)
    };
    let agreement = |r: &robustness::Record| (r.top1_agreement, r.top1_agreement_se);
    let divergence = |r: &robustness::Record| (r.kl_nats, r.kl_nats_se);
    models
        .iter()
        .map(|facts| {
            let model = facts.name.as_str();
            let prediction = neurons::density(tables, model, neurons::prediction);
            let suppression = neurons::density(tables, model, neurons::suppression);
            Record {
                model: facts.name.clone(),
                model_type: facts.family.clone(),
                layers: facts.layers,
                parameters: facts.parameters,
                median_drop_agreement: median_of(model, robustness::Intervention::Drop, agreement),
                median_swap_agreement: median_of(model, robustness::Intervention::Swap, agreement),
                median_drop_kl_nats: median_of(model, robustness::Intervention::Drop, divergence),
                attention_peak_depth: depth(attention_locality::curve(tables, model).ok()),
                prediction_peak_depth: depth(prediction.ok()),
                suppression_peak_depth: depth(suppression.ok()),
                mlp_norm_peak_depth: depth(mlp_norm::curve(tables, model).ok()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::{self, Synthetic};
    use crate::scale::figure::drawings;

    fn synthetic(models: &[Facts]) -> Tables {
        let parts: &[Synthetic] = &[
            robustness::synthetic::add,
            attention_locality::synthetic::add,
            neurons::synthetic::add,
            mlp_norm::synthetic::add,
        ];
        testing::tables(models, parts)
    }

    #[test]
    fn a_model_has_its_medians_and_peaks() {
        let models = testing::models();
        let tables = synthetic(&models);
        let records = derive(&tables, &models);
        assert_eq!(records.len(), models.len());
        let gpt2 = records.iter().find(|r| r.model == "gpt2").unwrap();
        assert_eq!((gpt2.layers, gpt2.parameters), (12, 124_000_000));
        // The median of blocks 3 to 9 of 12, at depths 3/11 to 9/11, is block 6's.
        let own = tables.of::<robustness::Record>().iter();
        let block = own.filter(|r| r.model == "gpt2" && r.layer == 6);
        let block: Vec<&robustness::Record> = block.collect();
        assert_eq!(gpt2.median_drop_agreement, Some(block[0].top1_agreement));
        assert_eq!(gpt2.median_swap_agreement, Some(block[1].top1_agreement));
        assert_eq!(gpt2.suppression_peak_depth, Some(1.0));
        assert_eq!(gpt2.mlp_norm_peak_depth, Some(1.0));
        let empty = derive(&Tables::default(), &models[..1]);
        assert_eq!(empty[0].median_drop_agreement, None);
        assert_eq!(empty[0].attention_peak_depth, None);
    }

    #[test]
    fn every_model_has_its_marker_in_every_panel() {
        let models = testing::models();
        let records = derive(&synthetic(&models), &models);
        let drawn = drawings(&records);
        assert_eq!(drawn.len(), 1);
        let figure = &drawn[0].1;
        assert_eq!(figure.legend.len(), models.len());
        for panel in figure.rows.iter().flatten() {
            assert_eq!(panel.marks.len(), models.len(), "{}", panel.title);
        }
        assert!(drawings(&[]).is_empty());
    }
}
