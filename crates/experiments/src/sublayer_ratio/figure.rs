//! The drawings.

use super::table::Record;
use crate::core::models;
use layerwise_plot::{Axis, Figure, Mark, Panel, Point, Rule, Scale};

/// The drawings with the names of their files.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    vec![("sublayer-ratio".to_owned(), v1_ratio(records))]
}

/// v1's figure of the ratio; next to it the size and direction of each block's update.
pub fn v1_ratio(records: &[Record]) -> Figure {
    let models = models::of(
        records
            .iter()
            .map(|r| (r.model.as_str(), r.model_type.as_str())),
    );
    let panel = |title: &str, y: Axis, rule: Option<f64>, of: fn(&Record) -> (f64, Option<f64>)| {
        let lines = models::lines(&models, records.iter(), |r| {
            let (y, error) = of(r);
            let x = r.relative_depth;
            Point { x, y, error }
        });
        let rule = rule.map(|y| Mark::Rule(Rule { y, style: None }));
        Panel {
            title: title.to_owned(),
            x: models::block_axis(),
            y,
            y2: None,
            marks: rule
                .into_iter()
                .chain(lines.into_iter().map(Mark::Line))
                .collect(),
        }
    };
    let logarithmic = |label: &str| Axis::new(label, Scale::Log10);
    Figure {
        title: "Attention in comparison with the MLP".to_owned(),
        description: format!(
            "Means over positions. Left: norm of the attention's output divided by that of the MLP's. Middle: norm of their sum \
             divided by that of the residual stream before the block. Right: cosine of their sum with that stream, negative \
             if a block erases and positive if it strengthens. Horizontal axis: relative depth of the block. Bands: \
             one standard error to either side. Models: {}.",
            models::names(&models)
        ),
        rows: vec![vec![
            panel(
                "Attention to MLP",
                logarithmic("‖attn‖ / ‖mlp‖"),
                Some(1.0),
                |r| (r.ratio, r.ratio_se),
            ),
            panel(
                "Size of the update",
                logarithmic("‖attn + mlp‖ / ‖stream‖"),
                None,
                |r| (r.relative_update, r.relative_update_se),
            ),
            panel(
                "Direction of the update",
                Axis::new("Cosine with stream", Scale::Linear),
                Some(0.0),
                |r| (r.update_cosine, r.update_cosine_se),
            ),
        ]],
        legend: models::legend(&models),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::lines_of;

    #[test]
    fn each_panel_shows_its_quantity() {
        let record = |layer: usize| Record {
            model: "gpt2".to_owned(),
            model_type: "gpt2".to_owned(),
            layer,
            layers: 2,
            relative_depth: layer as f64,
            attn_out_norm: 6.0,
            attn_out_norm_se: None,
            mlp_out_norm: 3.0,
            mlp_out_norm_se: None,
            ratio: 2.0,
            ratio_se: Some(0.2),
            relative_update: 0.3,
            relative_update_se: Some(0.03),
            update_cosine: -0.4,
            update_cosine_se: Some(0.04),
            sequences: 3,
            positions: 30,
        };
        let figure = v1_ratio(&[record(1), record(0)]);
        let found: Vec<(f64, Option<f64>, usize)> = figure.rows[0]
            .iter()
            .map(|panel| {
                let lines = lines_of(panel);
                assert_eq!(lines[0].points.len(), 2);
                let point = lines[0].points[0];
                assert_eq!(point.x, 0.0);
                (point.y, point.error, panel.marks.len() - lines.len())
            })
            .collect();
        assert_eq!(
            found,
            [
                (2.0, Some(0.2), 1),
                (0.3, Some(0.03), 0),
                (-0.4, Some(0.04), 1)
            ]
        );
    }
}
