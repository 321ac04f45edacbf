//! How the shape changes with the number of blocks and parameters.
//!
//! - **Stands for** Figure 25 of the NeurIPS version (models above 10B parameters, which are given like any other), and v1's
//!   remark that deeper models are more robust.
//! - **Needs** the results of the other figures; what they do not have is left empty.
//! - **Feeds the claims** D7, D25.

use super::models::{self, Facts};
use super::robustness::{self, Intervention};
use super::table::record;
use crate::claims::Evidence;
use crate::claims::evidence::{Point as CurvePoint, median, middle, peak};
use crate::plot::{Axis, Figure, Mark, Panel, Point, Scale, Scatter, Side};
use crate::results::Results;

record! {
    /// One line of `scale.csv`: one model.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// Its family, the `model_type` of its config.
        pub family: String,
        /// Blocks of the model, L.
        pub layers: usize,
        /// Numbers in its weights.
        pub parameters: u64,
        /// Median over blocks at depths 0.2 to 0.9 of the top-1 agreement after a drop.
        pub median_drop_agreement: Option<f64>,
        /// The same after a swap.
        pub median_swap_agreement: Option<f64>,
        /// Median KL(plain ‖ block left out) there, nats.
        pub median_drop_kl_nats: Option<f64>,
        /// Depth of the block with the most attention to the previous five.
        pub attention_peak_depth: Option<f64>,
        /// Depth of the block with the most prediction neurons.
        pub prediction_peak_depth: Option<f64>,
        /// Depth of the block with the most suppression neurons.
        pub suppression_peak_depth: Option<f64>,
        /// Depth of the largest MLP output norm.
        pub mlp_norm_peak_depth: Option<f64>,
    }
    key(model) fault(|_| None)
}

/// The line of each model, from the other figures' results.
pub fn derive(results: &Results, models: &[Facts]) -> Vec<Record> {
    let evidence = Evidence { results, models };
    let median_of = |model: &str, intervention, quantity| {
        let curve = evidence.robustness(model, intervention, quantity).ok()?;
        Some(median(&middle(&curve).ok()?)?.value)
    };
    let depth = |curve: Option<Vec<CurvePoint>>| {
        let peak = peak(&curve?)?;
        // Where every block has none, none has most.
        (peak.value > 0.0).then_some(peak.depth)
    };
    let agreement = |r: &robustness::Record| (r.top1_agreement, r.top1_agreement_se);
    let divergence = |r: &robustness::Record| (r.kl_nats, r.kl_nats_se);
    models
        .iter()
        .map(|facts| {
            let model = facts.name.as_str();
            let prediction = evidence.density(model, |r| r.prediction_percent);
            let suppression = evidence.density(model, |r| r.suppression_percent);
            Record {
                model: facts.name.clone(),
                family: facts.family.clone(),
                layers: facts.layers,
                parameters: facts.parameters,
                median_drop_agreement: median_of(model, Intervention::Drop, agreement),
                median_swap_agreement: median_of(model, Intervention::Swap, agreement),
                median_drop_kl_nats: median_of(model, Intervention::Drop, divergence),
                attention_peak_depth: depth(evidence.previous_five(model).ok()),
                prediction_peak_depth: depth(prediction.ok()),
                suppression_peak_depth: depth(suppression.ok()),
                mlp_norm_peak_depth: depth(evidence.mlp_norm(model).ok()),
            }
        })
        .collect()
}

/// A panel: its title, its vertical axis, and what it shows.
type Quantity = (&'static str, fn() -> Axis, fn(&Record) -> Option<f64>);

/// The drawings with the names of their files: medians and peaks against the number of blocks.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    if records.is_empty() {
        return Vec::new();
    }
    let accuracy = || Axis::new("Median relative accuracy", Scale::Linear).between(0.0, 1.0);
    let divergence = || Axis::new("Median KL (nats)", Scale::Log10);
    let depth = || Axis::new("Relative depth of peak", Scale::Linear).between(0.0, 1.0);
    let rows: [&[Quantity]; 3] = [
        &[
            ("Drop ℓ", accuracy, |r| r.median_drop_agreement),
            ("Swap ℓ and ℓ+1", accuracy, |r| r.median_swap_agreement),
            ("Drop ℓ", divergence, |r| r.median_drop_kl_nats),
        ],
        &[
            ("Attention to previous five", depth, |r| {
                r.attention_peak_depth
            }),
            ("Prediction neurons", depth, |r| r.prediction_peak_depth),
            ("Suppression neurons", depth, |r| r.suppression_peak_depth),
        ],
        &[("MLP output norm", depth, |r| r.mlp_norm_peak_depth)],
    ];
    let models = models::of(
        records
            .iter()
            .map(|r| (r.model.as_str(), r.family.as_str())),
    );
    let panel = |&(title, axis, of): &Quantity| Panel {
        title: title.to_owned(),
        x: Axis::new("Blocks", Scale::Integer),
        y: axis(),
        y2: None,
        marks: models
            .iter()
            .flat_map(|model| {
                let own = records.iter().filter(|r| r.model == model.name);
                own.map(|r| {
                    let y = of(r).unwrap_or(f64::NAN);
                    let x = r.layers as f64;
                    Mark::Scatter(Scatter {
                        label: model.name.to_owned(),
                        style: model.style,
                        points: vec![Point { x, y, error: None }],
                        side: Side::Left,
                    })
                })
            })
            .collect(),
    };
    let figure = Figure {
        title: "The shape against the number of blocks".to_owned(),
        description: "Above: medians over blocks at depths 0.2 to 0.9 of relative accuracy after a drop and after a \
                      swap, and of KL(plain ‖ block left out) in nats. Below: relative depth of the block with the \
                      most attention to the previous five tokens, the most prediction and suppression neurons, and \
                      the largest MLP output. Horizontal axis: blocks of the model."
            .to_owned(),
        rows: rows
            .iter()
            .map(|row| row.iter().map(panel).collect())
            .collect(),
        legend: models::legend(&models),
    };
    vec![("scale".to_owned(), figure)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::synthetic;

    #[test]
    fn a_model_has_its_medians_and_peaks() {
        let models = synthetic::models();
        let results = synthetic::results(&models);
        let records = derive(&results, &models);
        assert_eq!(records.len(), models.len());
        let gpt2 = records.iter().find(|r| r.model == "gpt2").unwrap();
        assert_eq!((gpt2.layers, gpt2.parameters), (12, 124_000_000));
        // The median of blocks 3 to 9 of 12, at depths 3/11 to 9/11, is block 6's.
        let own = results.robustness.iter();
        let block = own.filter(|r| r.model == "gpt2" && r.layer == 6);
        let block: Vec<&robustness::Record> = block.collect();
        assert_eq!(gpt2.median_drop_agreement, Some(block[0].top1_agreement));
        assert_eq!(gpt2.median_swap_agreement, Some(block[1].top1_agreement));
        assert_eq!(gpt2.suppression_peak_depth, Some(1.0));
        assert_eq!(gpt2.mlp_norm_peak_depth, Some(1.0));
        let empty = derive(&Results::default(), &models[..1]);
        assert_eq!(empty[0].median_drop_agreement, None);
        assert_eq!(empty[0].attention_peak_depth, None);
    }

    #[test]
    fn every_model_has_its_marker_in_every_panel() {
        let models = synthetic::models();
        let records = derive(&synthetic::results(&models), &models);
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
