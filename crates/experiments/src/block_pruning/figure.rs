//! The drawings.

use super::table::{PruningRecord, Record, Strategy};
use crate::core::models::{self, Model};
use crate::core::styles;
use layerwise_plot::{
    Axis, ColourMap, Figure, HeatMap, Line, Mark, Panel, Point, RowZero, Scale, Side,
};
use ndarray::Array2;

/// The drawings with their file names: the cost, with a panel for each model and a line for each strategy; and each model's map
/// of distances.
pub fn drawings(costs: &[PruningRecord], distances: &[Record]) -> Vec<(String, Figure)> {
    let mut drawings = Vec::new();
    let named = costs.iter();
    let models = models::of(named.map(|r| (r.model.as_str(), r.model_type.as_str())));
    if !models.is_empty() {
        drawings.push(("block-pruning".to_owned(), cost(costs, &models)));
    }
    let named = distances.iter();
    let models = models::of(named.map(|r| (r.model.as_str(), r.model_type.as_str())));
    if !models.is_empty() {
        drawings.push(("block-distances".to_owned(), maps(distances, &models)));
    }
    drawings
}

/// The greatest cost among all models, so that their panels have the same axis.
fn ends(costs: &[PruningRecord]) -> (f64, f64) {
    let ends = costs.iter().map(|r| {
        let error = r.loss_difference_nats_se.unwrap_or(0.0);
        (
            r.loss_difference_nats - error,
            r.loss_difference_nats + error,
        )
    });
    let finite = ends.filter(|(low, high)| low.is_finite() && high.is_finite());
    finite.fold((0.0, 0.0), |(low, high): (f64, f64), own| {
        (low.min(own.0), high.max(own.1))
    })
}

fn cost(costs: &[PruningRecord], models: &[Model<'_>]) -> Figure {
    let (low, high) = ends(costs);
    let panel = |model: &Model<'_>| {
        let own = || costs.iter().filter(|r| r.model == model.name);
        let marks = Strategy::ALL
            .iter()
            .enumerate()
            .flat_map(|(place, strategy)| {
                let own = own().filter(|r| r.strategy == *strategy);
                let lines = models::lines(std::slice::from_ref(model), own, |r| Point {
                    x: r.removed as f64 / r.layers as f64,
                    y: r.loss_difference_nats,
                    error: r.loss_difference_nats_se,
                });
                lines.into_iter().map(move |line| {
                    Mark::Line(Line {
                        style: styles::nth(place),
                        label: strategy.name().to_owned(),
                        side: Side::Left,
                        ..line
                    })
                })
            });
        Panel {
            title: models::title(model, own().map(|r| r.sequences)),
            x: Axis::new("Share of blocks left out n/L", Scale::Linear).between(0.0, 0.5),
            y: Axis::new("Change of the loss (nats)", Scale::Linear).between(low, high),
            y2: None,
            marks: marks.collect(),
        }
    };
    Figure {
        title: "Cost of leaving out blocks, by the choice of blocks".to_owned(),
        description: format!(
            "Altered minus plain loss in nats a token when n blocks are left out: those of least influence 1 − cos, the n consecutive \
             blocks of least angular distance, those with the least divergence when left out singly, and those chosen one by one. \
             Chosen on other sequences of the text. Bands: one standard error to either side, clustered by sequence. Models: {}.",
            models::names(models)
        ),
        rows: models::rows_of(models.iter().map(panel).collect(), 3),
        legend: styles::legend_of(Strategy::ALL.iter().map(|own| own.name())),
    }
}

fn maps(records: &[Record], models: &[Model<'_>]) -> Figure {
    let high = records.iter().map(|r| r.angular_distance);
    let high = high.filter(|value| value.is_finite()).fold(0.0, f64::max);
    let panel = |model: &Model<'_>| {
        let own = || records.iter().filter(|r| r.model == model.name);
        let layers = own().map(|r| r.layers).max().unwrap_or(0);
        let mut values = Array2::from_elem((layers, layers), f64::NAN);
        for record in own() {
            values[(record.layer, record.last_layer)] = record.angular_distance;
        }
        Panel {
            title: models::title(model, own().map(|r| r.sequences)),
            x: Axis::new("After block m", Scale::Integer),
            y: Axis::new("Before block ℓ", Scale::Integer),
            y2: None,
            marks: vec![Mark::HeatMap(HeatMap {
                values,
                low: 0.0,
                high,
                map: ColourMap::Viridis,
                row_zero: RowZero::Bottom,
                labels: None,
                unit: "Angular distance (π)".to_owned(),
            })],
        }
    };
    Figure {
        title: "How far the residual stream turns over a run of blocks".to_owned(),
        description: format!(
            "Angular distance arccos(cos)/π between the residual streams before block ℓ and after block m, mean over positions; \
             0.5 is a right angle. The diagonal is single blocks; hatched: no run of blocks. Models: {}.",
            models::names(models)
        ),
        rows: models::rows_of(models.iter().map(panel).collect(), 3),
        legend: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::lines_of;

    #[test]
    fn a_strategy_has_a_line_and_a_run_of_blocks_a_cell() {
        let cost = |strategy, removed, loss_difference_nats| PruningRecord {
            model: "gpt2".to_owned(),
            model_type: "gpt2".to_owned(),
            strategy,
            removed,
            layers: 4,
            schedule: "drop([1])".to_owned(),
            kl_nats: 0.1,
            kl_nats_se: None,
            loss_difference_nats,
            loss_difference_nats_se: Some(0.5),
            sequences: 2,
            positions: 10,
        };
        let costs = [
            cost(Strategy::BlockInfluence, 1, 1.0),
            cost(Strategy::BlockInfluence, 2, 2.0),
            cost(Strategy::Divergence, 1, -1.0),
        ];
        let distance = |layer: usize, last_layer: usize| Record {
            model: "gpt2".to_owned(),
            model_type: "gpt2".to_owned(),
            layer,
            last_layer,
            layers: 2,
            cosine: 0.0,
            cosine_se: None,
            angular_distance: 0.25 * (last_layer + 1 - layer) as f64,
            angular_distance_se: None,
            sequences: 2,
            positions: 10,
        };
        let distances = [distance(0, 0), distance(0, 1), distance(1, 1)];
        let drawn = drawings(&costs, &distances);
        let names: Vec<&str> = drawn.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["block-pruning", "block-distances"]);
        let lines = lines_of(&drawn[0].1.rows[0][0]);
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].points[1].x, lines[0].points[1].y), (0.5, 2.0));
        assert_eq!(ends(&costs), (-1.5, 2.5));
        let Mark::HeatMap(map) = &drawn[1].1.rows[0][0].marks[0] else {
            panic!("a map");
        };
        assert_eq!((map.values[(0, 1)], map.high), (0.5, 0.5));
        assert!(map.values[(1, 0)].is_nan());
        assert!(drawings(&[], &[]).is_empty());
    }
}
