//! The drawings.

use super::table::{ChangeRecord, EffectRecord};
use crate::core::models::{self, Model};
use layerwise_plot::{Axis, ColourMap, Figure, HeatMap, Mark, Panel, Point, RowZero, Scale};
use ndarray::Array2;

/// Titles of what is drawn at all positions, and at future ones.
const REACHES: [&str; 2] = ["all positions", "future positions"];

/// The drawings with the names of their files: the change of the output by block, and the maps of each model.
pub fn drawings(changes: &[ChangeRecord], effects: &[EffectRecord]) -> Vec<(String, Figure)> {
    let mut drawings = Vec::new();
    let named = changes.iter();
    let models = models::of(named.map(|r| (r.model.as_str(), r.model_type.as_str())));
    if !models.is_empty() {
        drawings.push(("depth-scores".to_owned(), lines(changes, &models)));
    }
    let named = effects.iter();
    let models = models::of(named.map(|r| (r.model.as_str(), r.model_type.as_str())));
    if !models.is_empty() {
        drawings.push(("depth-effects".to_owned(), maps(effects, &models)));
    }
    drawings
}

fn lines(changes: &[ChangeRecord], models: &[Model<'_>]) -> Figure {
    let panel = |reach: usize| {
        let lines = models::lines(models, changes.iter(), |r| {
            let values = [
                (r.output_change, r.output_change_se),
                (r.future_output_change, r.future_output_change_se),
            ];
            let (y, error) = values[reach];
            Point {
                x: r.relative_depth,
                y,
                error,
            }
        });
        Panel {
            title: format!("Output, {}", REACHES[reach]),
            x: Axis::new("Relative depth s/(L−1)", Scale::Linear).between(0.0, 1.0),
            y: Axis::new("Change of the output ‖p − q‖₂", Scale::Linear),
            y2: None,
            marks: lines.into_iter().map(Mark::Line).collect(),
        }
    };
    Figure {
        title: "What skipping a block changes in the output".to_owned(),
        description: format!(
            "{}Mean Euclidean distance of the output distributions of the plain model and of the one without block s. Left: skipped \
             at every position. Right: skipped at the first half of the positions, mean over the other half. Bands: one standard \
             error to either side, clustered by sequence. Models: {}.",
            models::on_sequences(changes.iter().map(|r| r.sequences)),
            models::names(models)
        ),
        rows: models::on_equal_axes(&[vec![panel(0), panel(1)]]),
        legend: models::legend(models),
    }
}

fn maps(effects: &[EffectRecord], models: &[Model<'_>]) -> Figure {
    let value = |r: &EffectRecord, reach: usize| match reach {
        0 => r.update_change,
        _ => r.future_update_change,
    };
    let map = |model: &Model<'_>, reach: usize| {
        let own = || effects.iter().filter(|r| r.model == model.name);
        let layers = own().map(|r| r.layers).max().unwrap_or(0);
        // Blocks before the skipped one do what they did.
        let mut values = Array2::from_shape_fn((layers, layers), |(skipped, block)| {
            if block < skipped { 0.0 } else { f64::NAN }
        });
        for record in own() {
            values[(record.layer, record.later_layer)] = value(record, reach);
        }
        let sequences = own().map(|r| r.sequences);
        Panel {
            title: format!("{}, {}", models::title(model, sequences), REACHES[reach]),
            x: Axis::new("Block ℓ", Scale::Integer),
            y: Axis::new("Skipped block s", Scale::Integer),
            y2: None,
            marks: vec![Mark::HeatMap(HeatMap {
                values,
                low: 0.0,
                // A change of 1 is as large as the update itself.
                high: 1.0,
                map: ColourMap::Viridis,
                row_zero: RowZero::Bottom,
                labels: None,
                unit: "Relative change of the update".to_owned(),
            })],
        }
    };
    Figure {
        title: "What skipping a block changes in the updates of later blocks".to_owned(),
        description: format!(
            "Mean over positions of ‖u − ū‖/‖u‖, where u is the update of block ℓ in the plain model and ū that without block s; \
             1 and more have the last colour. Left: s is skipped at every position. Right: at the first half of the positions, mean \
             over the other half. Earlier blocks do not change; hatched: s itself. Models: {}.",
            models::names(models)
        ),
        rows: models
            .iter()
            .map(|model| vec![map(model, 0), map(model, 1)])
            .collect(),
        legend: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::lines_of;

    #[test]
    fn both_reaches_have_a_line_and_a_map() {
        let change = |layer: usize| ChangeRecord {
            model: "gpt2".to_owned(),
            model_type: "gpt2".to_owned(),
            layer,
            layers: 2,
            relative_depth: layer as f64,
            output_change: 0.5,
            output_change_se: Some(0.1),
            future_output_change: 0.25,
            future_output_change_se: None,
            sequences: 2,
        };
        let effect = EffectRecord {
            model: "gpt2".to_owned(),
            model_type: "gpt2".to_owned(),
            layer: 0,
            later_layer: 1,
            layers: 2,
            update_change: 0.75,
            update_change_se: None,
            update_change_max: 2.0,
            future_update_change: 0.125,
            future_update_change_se: None,
            future_update_change_max: 1.0,
            sequences: 2,
        };
        let drawn = drawings(&[change(0), change(1)], &[effect]);
        let names: Vec<&str> = drawn.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["depth-scores", "depth-effects"]);
        let said = &drawn[0].1.description;
        assert!(said.starts_with("On 2 sequences. "), "{said}");
        for (reach, (line, cell)) in [(0.5, 0.75), (0.25, 0.125)].into_iter().enumerate() {
            let lines = lines_of(&drawn[0].1.rows[0][reach]);
            assert_eq!((lines.len(), lines[0].points[1].y), (1, line));
            let Mark::HeatMap(map) = &drawn[1].1.rows[0][reach].marks[0] else {
                panic!("a map");
            };
            assert_eq!(map.values[(0, 1)], cell);
            assert!(map.values[(0, 0)].is_nan() && map.values[(1, 0)] == 0.0);
        }
        assert!(drawings(&[], &[]).is_empty());
    }
}
