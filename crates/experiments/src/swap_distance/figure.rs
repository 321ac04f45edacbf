//! The drawings.

use super::table::Record;
use crate::core::logarithm::{decades, logarithm};
use crate::core::models::{self, Model};
use layerwise_metrics::median;
use layerwise_plot::{
    Axis, ColourMap, Figure, HeatMap, Line, Mark, Panel, Point, RowZero, Scale, Side,
};
use ndarray::Array2;
use std::collections::BTreeMap;

/// The drawing with its file name: a map for each model, on one colour scale, and the median at each distance.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    let named = records.iter();
    let models = models::of(named.map(|r| (r.model.as_str(), r.model_type.as_str())));
    if models.is_empty() {
        return Vec::new();
    }
    let range = decades(records.iter().map(|r| r.kl_nats));
    let maps: Vec<Panel> = models
        .iter()
        .map(|model| map(records, model, range))
        .collect();
    let mut rows = models::rows_of(maps, 3);
    rows.push(vec![by_distance(records, &models)]);
    let figure = Figure {
        title: "Divergence when two blocks are exchanged".to_owned(),
        description: format!(
            "Maps: each cell is a pair of blocks, coloured by the logarithm of KL(plain ‖ altered) in nats when they are \
             exchanged; hatched: a block with itself, or no divergence. Last panel: the median over the pairs of a distance. \
             Models: {}.",
            models::names(&models)
        ),
        rows,
        legend: models::legend(&models),
    };
    vec![("swap-distance".to_owned(), figure)]
}

fn map(records: &[Record], model: &Model<'_>, (low, high): (f64, f64)) -> Panel {
    let own = || records.iter().filter(|r| r.model == model.name);
    let layers = own().map(|r| r.layers).max().unwrap_or(0);
    let mut values = Array2::from_elem((layers, layers), f64::NAN);
    for record in own() {
        let value = logarithm(record.kl_nats);
        values[(record.layer, record.other_layer)] = value;
        values[(record.other_layer, record.layer)] = value;
    }
    Panel {
        title: models::title(model, own().map(|r| r.sequences)),
        x: Axis::new("Block m", Scale::Integer),
        y: Axis::new("Block ℓ", Scale::Integer),
        y2: None,
        marks: vec![Mark::HeatMap(HeatMap {
            values,
            low,
            high,
            map: ColourMap::Viridis,
            row_zero: RowZero::Bottom,
            labels: None,
            unit: "log₁₀ KL (nats)".to_owned(),
        })],
    }
}

/// The median divergence of the pairs at each distance.
fn by_distance(records: &[Record], models: &[Model<'_>]) -> Panel {
    let line = |model: &Model<'_>| {
        let mut distances: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for record in records.iter().filter(|r| r.model == model.name) {
            let distance = record.other_layer - record.layer;
            distances.entry(distance).or_default().push(record.kl_nats);
        }
        let points = distances.into_iter().map(|(distance, values)| Point {
            x: distance as f64,
            y: median(values).unwrap_or(f64::NAN),
            error: None,
        });
        Mark::Line(Line {
            style: model.style,
            label: model.name.to_owned(),
            points: points.collect(),
            side: Side::Left,
        })
    };
    Panel {
        title: "By distance, median over pairs".to_owned(),
        x: Axis::new("Distance m − ℓ (blocks)", Scale::Integer),
        y: Axis::new("KL divergence (nats)", Scale::Log10),
        y2: None,
        marks: models.iter().map(line).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::lines_of;

    #[test]
    fn a_pair_has_two_cells_and_a_distance_its_median() {
        let record = |layer: usize, other_layer: usize, kl_nats: f64| Record {
            model: "gpt2".to_owned(),
            model_type: "gpt2".to_owned(),
            layer,
            other_layer,
            layers: 3,
            kl_nats,
            kl_nats_se: None,
            loss_difference_nats: 0.0,
            loss_difference_nats_se: None,
            sequences: 2,
            positions: 10,
        };
        let records = [record(0, 1, 0.1), record(1, 2, 0.3), record(0, 2, 10.0)];
        let figure = &drawings(&records)[0].1;
        let Mark::HeatMap(map) = &figure.rows[0][0].marks[0] else {
            panic!("a map");
        };
        assert_eq!((map.values[(0, 1)], map.values[(1, 0)]), (-1.0, -1.0));
        assert!(map.values[(1, 1)].is_nan());
        assert_eq!((map.low, map.high), (-1.0, 1.0));
        let points = &lines_of(&figure.rows[1][0])[0].points;
        let found: Vec<(f64, f64)> = points.iter().map(|p| (p.x, p.y)).collect();
        assert_eq!(found, [(1.0, 0.2), (2.0, 10.0)]);
        assert!(drawings(&[]).is_empty());
    }
}
