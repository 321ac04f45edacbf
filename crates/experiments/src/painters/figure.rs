//! The drawings.

use super::table::{Record, Variant};
use crate::core::models::{self, Model};
use crate::core::styles;
use layerwise_plot::{Axis, Figure, Line, Mark, Panel, Point, Scale, Side};
use std::collections::BTreeMap;

/// The drawing with its file name: a panel for each model, a line for each variant.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    let named = records.iter();
    let models = models::of(named.map(|r| (r.model.as_str(), r.model_type.as_str())));
    if models.is_empty() {
        return Vec::new();
    }
    let lowest = records.iter().map(|r| r.normalised_score);
    let lowest = lowest.filter(|score| score.is_finite()).fold(0.0, f64::min);
    let panels = models.iter().map(|model| panel(records, model, lowest));
    let figure = Figure {
        title: "Middle blocks skipped, repeated, reordered and side by side".to_owned(),
        description: format!(
            "1 − (loss − plain loss)/(ln |V| − plain loss) with n blocks around the middle altered: 1 for the plain model, 0 for a \
             uniform guess. Horizontal axis: the share n/L of the blocks. Random order: mean of its draws. Bands: one standard \
             error to either side, clustered by sequence. Models: {}.",
            models::names(&models)
        ),
        rows: models::rows_of(panels.collect(), 3),
        legend: styles::legend_of(Variant::ALL.iter().map(|own| own.name())),
    };
    vec![("painters".to_owned(), figure)]
}

fn panel(records: &[Record], model: &Model<'_>, lowest: f64) -> Panel {
    let own = || records.iter().filter(|r| r.model == model.name);
    let line = |(place, variant): (usize, Variant)| {
        // Average the draws with the same number of blocks; the standard error of each is about that of the mean, since they
        // share the text.
        let mut points: BTreeMap<usize, Vec<&Record>> = BTreeMap::new();
        for record in own().filter(|r| r.variant == variant) {
            points.entry(record.blocks).or_default().push(record);
        }
        let point = |(blocks, draws): (usize, Vec<&Record>)| {
            let count = draws.len() as f64;
            let errors: Option<Vec<f64>> = draws.iter().map(|r| r.normalised_score_se).collect();
            Point {
                x: blocks as f64 / draws[0].layers as f64,
                y: draws.iter().map(|r| r.normalised_score).sum::<f64>() / count,
                error: errors.map(|errors| errors.iter().sum::<f64>() / count),
            }
        };
        Mark::Line(Line {
            style: styles::nth(place),
            label: variant.name().to_owned(),
            points: points.into_iter().map(point).collect(),
            side: Side::Left,
        })
    };
    Panel {
        title: models::title(model, own().map(|r| r.sequences)),
        x: Axis::new("Share of the blocks n/L", Scale::Linear).between(0.0, 1.0),
        y: Axis::new("Normalised score (1 = plain)", Scale::Linear).between(lowest, 1.0),
        y2: None,
        marks: Variant::ALL.into_iter().enumerate().map(line).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::lines_of;

    #[test]
    fn draws_are_averaged_and_models_share_the_axis() {
        let record = |model: &str, variant, draw, normalised_score| Record {
            model: model.to_owned(),
            model_type: "gpt2".to_owned(),
            variant,
            blocks: 2,
            draw,
            layers: 4,
            schedule: "id".to_owned(),
            kl_nats: 1.0,
            kl_nats_se: None,
            loss_difference_nats: 1.0,
            loss_difference_nats_se: None,
            normalised_score,
            normalised_score_se: Some(0.1),
            sequences: 2,
            positions: 10,
        };
        let records = [
            record("gpt2", Variant::RandomOrder, 0, 0.5),
            record("gpt2", Variant::RandomOrder, 1, 1.0),
            record("phi-2", Variant::Skip, 0, -0.25),
        ];
        let figure = &drawings(&records)[0].1;
        let lines = lines_of(&figure.rows[0][0]);
        let random = lines.iter().find(|line| line.label == "random order");
        let point = &random.unwrap().points[0];
        assert_eq!((point.x, point.y), (0.5, 0.75));
        let axes: Vec<&Axis> = figure.rows.iter().flatten().map(|panel| &panel.y).collect();
        assert_eq!(axes[0], axes[1]);
        assert!(drawings(&[]).is_empty());
    }
}
