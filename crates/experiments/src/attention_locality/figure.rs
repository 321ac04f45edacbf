//! The drawings.

use super::table::{Measure, Record};
use crate::core::models;
use crate::core::models::Model;
use crate::core::published::family_name;
use layerwise_plot::{
    Axis, Colour, Dash, Figure, LegendEntry, Line, Mark, Marker, Panel, Point, Scale, Style,
};
use std::collections::BTreeSet;

/// Colours of the numbers of preceding tokens, from few to many: points of matplotlib's plasma, distinguishable with any colour
/// vision.
const RAMP: [(Colour, Marker); 5] = [
    (Colour(0x0d, 0x08, 0x87), Marker::Circle),
    (Colour(0x7e, 0x03, 0xa8), Marker::Square),
    (Colour(0xcc, 0x47, 0x78), Marker::Triangle),
    (Colour(0xf0, 0x80, 0x4e), Marker::Diamond),
    (Colour(0xe0, 0xb0, 0x1c), Marker::TriangleDown),
];

/// The drawings with their file names.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    vec![
        ("attention-locality".to_owned(), nips_fig6a(records)),
        ("attention-locality-offset".to_owned(), by_offset(records)),
        ("attention-locality-v1".to_owned(), v1_attention(records)),
    ]
}

/// Figure 6a of the NeurIPS version, read as the weight on all of the k preceding tokens: a panel for each model, a line
/// for each k.
pub fn nips_fig6a(records: &[Record]) -> Figure {
    by_tokens(
        records,
        Measure::Cumulative,
        "Attention to the preceding tokens",
        "Mean total attention weight on the k tokens before the query",
        "Weight on k tokens before",
        |tokens| format!("k = {tokens}"),
    )
}

/// Figure 6a of the NeurIPS version, read as the weight on the one token at each distance.
pub fn by_offset(records: &[Record]) -> Figure {
    by_tokens(
        records,
        Measure::Offset,
        "Attention to the token at a distance",
        "Mean attention weight on the one token at distance i before the query",
        "Weight on the i-th token before",
        |tokens| format!("i = {tokens}"),
    )
}

/// v1's figure: mean attention to the previous five tokens, a panel for each family, a line for each model.
pub fn v1_attention(records: &[Record]) -> Figure {
    let models = models_of(records);
    let panels = models::families(&models)
        .into_iter()
        .map(|family| {
            let own = records
                .iter()
                .filter(|r| r.measure == Measure::PreviousFive);
            Panel {
                title: family_name(family),
                x: models::block_axis(),
                y: weight_axis(
                    "Mean weight on previous five",
                    records,
                    Measure::PreviousFive,
                ),
                y2: None,
                marks: models::with_mean(models::lines(family, own, point))
                    .into_iter()
                    .map(Mark::Line)
                    .collect(),
            }
        })
        .collect();
    Figure {
        title: "Attention to the previous five tokens".to_owned(),
        description: format!(
            "Mean attention weight over pairs of a query and one of the five tokens before it, over heads and sequences: \
             about a fifth of the total weight on the five. Horizontal axis: relative depth of the block. Bands: one \
             standard error to either side. Models: {}.",
            models::names(&models)
        ),
        rows: models::rows_of(panels, 3),
        legend: models::legend_with_mean(&models),
    }
}

fn by_tokens(
    records: &[Record],
    measure: Measure,
    title: &str,
    description: &str,
    label: &str,
    name: fn(usize) -> String,
) -> Figure {
    let models = models_of(records);
    let chosen = || records.iter().filter(|r| r.measure == measure);
    let tokens: BTreeSet<usize> = chosen().map(|r| r.tokens).collect();
    let style = |at: usize| {
        let (colour, marker) = RAMP[at % RAMP.len()];
        let dash = Dash::Solid;
        Style {
            colour,
            dash,
            marker,
        }
    };
    let panel = |model: &Model<'_>| {
        let marks = tokens.iter().enumerate().flat_map(|(at, &tokens)| {
            let own = chosen().filter(|r| r.tokens == tokens);
            let (style, label) = (style(at), name(tokens));
            let lines = models::lines(std::slice::from_ref(model), own, point);
            lines.into_iter().map(move |line| {
                Mark::Line(Line {
                    style,
                    label: label.clone(),
                    ..line
                })
            })
        });
        Panel {
            title: model.name.to_owned(),
            x: models::block_axis(),
            y: weight_axis(label, records, measure),
            y2: None,
            marks: marks.collect(),
        }
    };
    Figure {
        title: title.to_owned(),
        description: format!(
            "{description}, over heads and the queries that have enough tokens before them. Horizontal axis: relative depth \
             of the block. Bands: one standard error to either side. Panels: {}.",
            models::names(&models)
        ),
        rows: models::rows_of(models.iter().map(panel).collect(), 3),
        legend: tokens
            .iter()
            .enumerate()
            .map(|(at, &tokens)| LegendEntry {
                label: name(tokens),
                group: String::new(),
                style: style(at),
            })
            .collect(),
    }
}

fn models_of(records: &[Record]) -> Vec<Model<'_>> {
    let named = records.iter();
    models::of(named.map(|r| (r.model.as_str(), r.model_type.as_str())))
}

/// The axis of all panels, so that they compare: shares of the whole weight up to 1, means over tokens up to the largest.
fn weight_axis(label: &str, records: &[Record], measure: Measure) -> Axis {
    let own = records.iter().filter(|r| r.measure == measure);
    let ends = own.map(|r| r.attention + r.attention_se.unwrap_or(0.0));
    let most = match measure {
        Measure::Cumulative => 1.0,
        _ => ends.fold(0.0, f64::max),
    };
    Axis::new(label, Scale::Linear).between(0.0, most)
}

fn point(record: &Record) -> Point {
    Point {
        x: record.relative_depth,
        y: record.attention,
        error: record.attention_se,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::{lines_of, relative_depth};

    fn records(model: &str, family: &str, layers: usize) -> Vec<Record> {
        let measures = [
            (Measure::Offset, 1),
            (Measure::Offset, 16),
            (Measure::Cumulative, 1),
            (Measure::Cumulative, 16),
            (Measure::PreviousFive, 5),
        ];
        let record = |layer: usize, (measure, tokens): (Measure, usize)| Record {
            model: model.to_owned(),
            model_type: family.to_owned(),
            layer,
            layers,
            relative_depth: relative_depth(layer, layers),
            measure,
            tokens,
            attention: 0.01 * (tokens + layer) as f64,
            attention_se: Some(0.001),
            sequences: 2,
            positions: 30,
        };
        let layers = (0..layers).rev();
        layers
            .flat_map(|layer| measures.map(|measure| record(layer, measure)))
            .collect()
    }

    fn lines(figure: &Figure) -> Vec<Vec<&Line>> {
        figure.rows.iter().flatten().map(lines_of).collect()
    }

    #[test]
    fn a_model_has_a_panel_with_a_line_for_each_number_of_tokens() {
        let records = [records("gpt2", "gpt2", 3), records("phi-2", "phi", 2)].concat();
        for (figure, letter) in [(nips_fig6a(&records), "k"), (by_offset(&records), "i")] {
            let titles: Vec<&str> = figure
                .rows
                .iter()
                .flatten()
                .map(|p| p.title.as_str())
                .collect();
            assert_eq!(titles, ["gpt2", "phi-2"]);
            for (panel, layers) in lines(&figure).into_iter().zip([3, 2]) {
                let labels: Vec<&str> = panel.iter().map(|line| line.label.as_str()).collect();
                assert_eq!(labels, [format!("{letter} = 1"), format!("{letter} = 16")]);
                for (line, tokens) in panel.iter().zip([1, 16]) {
                    let found: Vec<(f64, f64)> = line.points.iter().map(|p| (p.x, p.y)).collect();
                    let expected: Vec<(f64, f64)> = (0..layers)
                        .map(|l| (relative_depth(l, layers), 0.01 * (tokens + l) as f64))
                        .collect();
                    assert_eq!(found, expected);
                }
            }
            assert_eq!(figure.legend.len(), 2);
        }
    }

    #[test]
    fn a_family_has_a_panel_with_a_line_for_each_model() {
        let records = [
            records("gpt2-xl", "gpt2", 4),
            records("gpt2", "gpt2", 2),
            records("phi-2", "phi", 3),
        ]
        .concat();
        let figure = v1_attention(&records);
        let found: Vec<Vec<(&str, f64)>> = lines(&figure)
            .into_iter()
            .map(|panel| {
                let lines = panel.iter();
                lines
                    .map(|line| (line.label.as_str(), line.points[0].y))
                    .collect()
            })
            .collect();
        assert_eq!(
            found,
            [
                vec![("gpt2-xl", 0.05), ("gpt2", 0.05), ("mean", 0.05)],
                vec![("phi-2", 0.05)]
            ]
        );
        // The largest weight is that of the last block of gpt2-xl.
        let ends: Vec<Option<f64>> = figure.rows[0].iter().map(|panel| panel.y.max).collect();
        assert_eq!(ends, [Some(0.08 + 0.001); 2]);
        assert_eq!(figure.legend.len(), 4);
    }
}
