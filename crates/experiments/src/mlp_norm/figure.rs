//! The drawings.

use super::table::Record;
use crate::core::models;
use crate::core::published::family_name;
use layerwise_plot::{Axis, Figure, Mark, Panel, Point, Scale};

/// The drawings with their file names.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    vec![("mlp-norm".to_owned(), nips_fig12b(records))]
}

/// Figures 12b and 20 of the NeurIPS version: a panel for each family.
pub fn nips_fig12b(records: &[Record]) -> Figure {
    let models = models::of(
        records
            .iter()
            .map(|r| (r.model.as_str(), r.model_type.as_str())),
    );
    let panels = models::families(&models)
        .into_iter()
        .map(|family| {
            let lines = models::lines(family, records.iter(), |r| Point {
                x: r.relative_depth,
                y: r.mlp_out_norm,
                error: r.mlp_out_norm_se,
            });
            Panel {
                title: family_name(family),
                x: models::block_axis(),
                y: Axis::new("Norm of MLP output", Scale::Log10),
                y2: None,
                marks: models::with_mean(lines)
                    .into_iter()
                    .map(Mark::Line)
                    .collect(),
            }
        })
        .collect();
    Figure {
        title: "Size of each MLP's output".to_owned(),
        description: format!(
            "Mean L2 norm over positions of the MLP's output, before it is added to the residual stream; the axis is \
             logarithmic, so that a rise at the end looks flatter than on a linear one. Horizontal axis: relative depth of the \
             block. Bands: one standard error to either side. Models: {}.",
            models::names(&models)
        ),
        rows: models::rows_of(panels, 3),
        legend: models::legend_with_mean(&models),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::{lines_of, relative_depth};

    #[test]
    fn a_family_has_a_panel_and_a_model_a_line() {
        let records = |model: &str, family: &str, layers: usize| -> Vec<Record> {
            let record = |layer: usize| Record {
                model: model.to_owned(),
                model_type: family.to_owned(),
                layer,
                layers,
                relative_depth: relative_depth(layer, layers),
                mlp_out_norm: 2.0 + layer as f64,
                mlp_out_norm_se: Some(0.5),
                sequences: 3,
                positions: 30,
            };
            (0..layers).map(record).collect()
        };
        let records = [
            records("gpt2", "gpt2", 2),
            records("gpt2-xl", "gpt2", 4),
            records("phi-2", "phi", 3),
        ]
        .concat();
        let figure = nips_fig12b(&records);
        assert_eq!(figure.rows.len(), 1);
        let labels: Vec<Vec<&str>> = figure.rows[0]
            .iter()
            .map(|panel| lines_of(panel).iter().map(|l| l.label.as_str()).collect())
            .collect();
        assert_eq!(labels, [vec!["gpt2-xl", "gpt2", "mean"], vec!["phi-2"]]);
        let last = lines_of(&figure.rows[0][1])[0].points[2];
        assert_eq!((last.x, last.y, last.error), (1.0, 4.0, Some(0.5)));
    }
}
