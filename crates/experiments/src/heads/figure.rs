//! The drawings.

use super::table::{AgreementRecord, Record};
use crate::core::ablation::Kind;
use crate::core::logarithm::{decades, logarithm};
use crate::core::models::{self, Model};
use layerwise_plot::{
    Axis, ColourMap, Figure, HeatMap, Line, Mark, Panel, Point, RowZero, Scale, Side,
};
use ndarray::Array2;
use std::collections::BTreeMap;

/// The drawings with their file names: for one model, the maps of its heads; for any number of models, the means of each block's
/// heads.
pub fn drawings(records: &[Record], agreements: &[AgreementRecord]) -> Vec<(String, Figure)> {
    let named = records
        .iter()
        .map(|r| (r.model.as_str(), r.model_type.as_str()));
    let models = models::of(named);
    let mut drawings = Vec::new();
    if let [model] = models.as_slice() {
        drawings.push(("heads".to_owned(), maps(model.name, records, agreements)));
    }
    if !models.is_empty() {
        drawings.push(("heads-by-depth".to_owned(), by_depth(records, &models)));
    }
    drawings
}

/// A map for each kind, on one colour scale, and the agreement of the kinds.
fn maps(model: &str, records: &[Record], agreements: &[AgreementRecord]) -> Figure {
    let layers = records.iter().map(|r| r.layer + 1).max().unwrap_or(0);
    let heads = records.iter().map(|r| r.head + 1).max().unwrap_or(0);
    let (low, high) = decades(records.iter().map(|r| r.kl_nats));
    let map = |kind: Kind| {
        let mut values = Array2::from_elem((layers, heads), f64::NAN);
        for record in records.iter().filter(|r| r.kind == kind) {
            values[(record.layer, record.head)] = logarithm(record.kl_nats);
        }
        Panel {
            title: format!("{} ablation", kind.title()),
            x: Axis::new("Head", Scale::Integer),
            y: Axis::new("Block", Scale::Integer),
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
    };
    Figure {
        title: format!("Divergence when a head of {model} is ablated"),
        description: format!(
            "{}Each cell is one head of {model}, coloured by the logarithm of KL(plain ‖ altered) in nats when its values are \
             replaced by 0, their mean, or those of another sequence; hatched: no divergence. Last panel: rank correlations of the \
             heads' divergences under two kinds of ablation.",
            models::on_sequences(records.iter().map(|r| r.sequences))
        ),
        rows: vec![Kind::ALL.map(map).to_vec(), vec![agreement(agreements)]],
        legend: Vec::new(),
    }
}

fn agreement(records: &[AgreementRecord]) -> Panel {
    let kinds = Kind::ALL.len();
    let mut values = Array2::from_elem((kinds, kinds), 1.0);
    let at = |kind: Kind| Kind::ALL.iter().position(|own| *own == kind).unwrap_or(0);
    for record in records {
        let (row, column) = (at(record.kind), at(record.other_kind));
        values[(row, column)] = record.rank_correlation;
        values[(column, row)] = record.rank_correlation;
    }
    let label = |(row, column): (usize, usize), value: &f64| match row == column {
        true => Kind::ALL[row].name().to_owned(),
        false => format!("{value:.2}"),
    };
    let labels = Array2::from_shape_fn(values.dim(), |place| label(place, &values[place]));
    Panel {
        title: "Rank agreement of kinds".to_owned(),
        x: Axis::new("Kind", Scale::Integer).named(Kind::ALL.map(Kind::title)),
        y: Axis::new("Kind", Scale::Integer).named(Kind::ALL.map(Kind::title)),
        y2: None,
        marks: vec![Mark::HeatMap(HeatMap {
            values,
            low: 0.0,
            high: 1.0,
            map: ColourMap::Blues,
            row_zero: RowZero::Top,
            labels: Some(labels),
            unit: "Rank correlation".to_owned(),
        })],
    }
}

/// The mean divergence of a block's heads against depth, a panel for each kind.
fn by_depth(records: &[Record], models: &[Model<'_>]) -> Figure {
    let panel = |kind: Kind| {
        let mut sums: BTreeMap<(&str, usize), (f64, f64, f64)> = BTreeMap::new();
        for record in records.iter().filter(|r| r.kind == kind) {
            let place = (record.model.as_str(), record.layer);
            let own = sums
                .entry(place)
                .or_insert((record.relative_depth, 0.0, 0.0));
            own.1 += record.kl_nats;
            own.2 += 1.0;
        }
        let lines = models.iter().map(|model| {
            let own = sums.iter().filter(|((name, _), _)| *name == model.name);
            let points = own.map(|(_, (depth, sum, count))| Point {
                x: *depth,
                y: sum / count,
                error: None,
            });
            Mark::Line(Line {
                style: model.style,
                label: model.name.to_owned(),
                points: points.collect(),
                side: Side::Left,
            })
        });
        Panel {
            title: format!("{} ablation", kind.title()),
            x: models::block_axis(),
            y: Axis::new("Mean KL of a head (nats)", Scale::Log10),
            y2: None,
            marks: lines.collect(),
        }
    };
    Figure {
        title: "Divergence when one head is ablated, by depth".to_owned(),
        description: format!(
            "{}KL(plain ‖ altered) in nats when one head is ablated, mean over the heads of a block. Horizontal axis: relative \
             depth of the block. Models: {}.",
            models::on_sequences(records.iter().map(|r| r.sequences)),
            models::names(models)
        ),
        rows: models::on_equal_axes(&[Kind::ALL.map(panel).to_vec()]),
        legend: models::legend(models),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::{lines_of, relative_depth};

    fn records(model: &str) -> Vec<Record> {
        let mut records = Vec::new();
        for kind in Kind::ALL {
            for (layer, head) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                records.push(Record {
                    model: model.to_owned(),
                    model_type: "gpt2".to_owned(),
                    layer,
                    head,
                    layers: 2,
                    heads: 2,
                    relative_depth: relative_depth(layer, 2),
                    kind,
                    kl_nats: if (layer, head) == (1, 1) { 0.0 } else { 0.01 },
                    kl_nats_se: None,
                    loss_difference_nats: 0.0,
                    loss_difference_nats_se: None,
                    sequences: 2,
                    positions: 10,
                });
            }
        }
        records
    }

    #[test]
    fn one_model_has_maps_and_several_have_lines() {
        let agreement = AgreementRecord {
            model: "gpt2".to_owned(),
            model_type: "gpt2".to_owned(),
            kind: Kind::Zero,
            other_kind: Kind::Resample,
            rank_correlation: 0.25,
            ratio_of_medians: 2.0,
            heads: 4,
        };
        let one = drawings(&records("gpt2"), &[agreement]);
        let names: Vec<&str> = one.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["heads", "heads-by-depth"]);
        for (_, figure) in &one {
            assert!(figure.description.starts_with("On 2 sequences. "));
        }
        let Mark::HeatMap(map) = &one[0].1.rows[0][0].marks[0] else {
            panic!("a map");
        };
        assert_eq!(map.values[(0, 1)], -2.0);
        assert!(
            map.values[(1, 1)].is_nan(),
            "no divergence has no logarithm"
        );
        let Mark::HeatMap(map) = &one[0].1.rows[1][0].marks[0] else {
            panic!("a map");
        };
        let labels = map.labels.as_ref().unwrap();
        assert_eq!(
            (labels[(0, 0)].as_str(), labels[(2, 0)].as_str()),
            ("zero", "0.25")
        );
        let both = [records("gpt2"), records("gpt2-xl")].concat();
        let several = drawings(&both, &[]);
        assert_eq!(several.len(), 1);
        let lines = lines_of(&several[0].1.rows[0][0]);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].points[1].y, 0.005);
        assert!(drawings(&[], &[]).is_empty());
    }
}
