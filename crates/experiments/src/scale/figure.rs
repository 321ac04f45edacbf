//! The drawings.

use super::table::Record;
use crate::core::models;
use layerwise_plot::{Axis, Figure, Mark, Panel, Point, Scale, Scatter, Side};
use std::collections::BTreeSet;

/// A panel: its title, its vertical axis, and its value.
type Quantity = (&'static str, fn() -> Axis, fn(&Record) -> Option<f64>);

/// The number of different numbers of blocks.
pub fn depths(records: &[Record]) -> usize {
    let depths: BTreeSet<usize> = records.iter().map(|r| r.layers).collect();
    depths.len()
}

/// The drawings with their file names: medians and peaks against the number of blocks; none if all models have the same number
/// of blocks.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    if depths(records) < 2 {
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
            .map(|r| (r.model.as_str(), r.model_type.as_str())),
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
