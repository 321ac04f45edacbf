//! The drawings.

use super::table::{Measure, Record};
use crate::core::models;
use layerwise_plot::{
    Axis, Colour, Dash, Figure, LegendEntry, Line, Mark, Marker, Panel, Point, Scale, Style,
};
use std::collections::BTreeSet;

/// The drawings with their file names.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    vec![("shift".to_owned(), nips_fig26(records))]
}

/// Figure 26 of the NeurIPS version: a panel for each measure; solid on the corpus, dashed on the second text.
pub fn nips_fig26(records: &[Record]) -> Figure {
    let models = models::of(
        records
            .iter()
            .map(|r| (r.model.as_str(), r.model_type.as_str())),
    );
    let panel = |measure: Measure| {
        let lines = [false, true].into_iter().flat_map(|shifted| {
            let own = records
                .iter()
                .filter(move |r| r.measure == measure && r.shifted == shifted);
            let lines = models::lines(&models, own, |r| Point {
                x: r.relative_depth,
                y: r.value,
                error: r.value_se,
            });
            let text = text_of(records, shifted);
            lines.into_iter().map(move |line| Line {
                style: of_text(line.style, shifted),
                label: format!("{}, {text}", line.label),
                ..line
            })
        });
        let lines: Vec<Line> = lines.collect();
        let (title, x, mut y) = axes(measure);
        if measure == Measure::LensKl {
            y.max = models::upper_end(&lines);
        }
        let lines = match measure {
            Measure::LensKl | Measure::LensEntropy => models::embedding_apart(lines),
            Measure::MlpOutNorm | Measure::PreviousFive => lines,
        };
        Panel {
            title: title.to_owned(),
            x,
            y,
            y2: None,
            marks: lines.into_iter().map(Mark::Line).collect(),
        }
    };
    let grey = Style {
        colour: Colour(0x55, 0x55, 0x55),
        dash: Dash::Solid,
        marker: Marker::Circle,
    };
    let mut legend = models::legend(&models);
    if !records.is_empty() {
        legend.extend([false, true].map(|shifted| LegendEntry {
            label: sized(records, shifted),
            group: "texts".to_owned(),
            style: of_text(grey, shifted),
        }));
    }
    Figure {
        title: "The same measures on text of another kind".to_owned(),
        description: format!(
            "Solid: {}; dashed: {}. Mean divergence of the standard lens from the output, mean entropy of the standard lens, \
             mean L2 norm of the MLP's output, and mean attention weight on each of the previous five tokens. Horizontal \
             axis: relative depth; of the lens, the embedding, at 0, is drawn as a separate point. Bands: one standard error to \
             either side; an open marker lies beyond its axis. Models: {}.",
            sized(records, false),
            sized(records, true),
            models::names(&models)
        ),
        rows: vec![
            vec![panel(Measure::LensKl), panel(Measure::LensEntropy)],
            vec![panel(Measure::MlpOutNorm), panel(Measure::PreviousFive)],
        ],
        legend,
    }
}

/// Names of the first or the second texts.
fn text_of(records: &[Record], shifted: bool) -> String {
    let own = records.iter().filter(|r| r.shifted == shifted);
    let names: BTreeSet<&str> = own.map(|r| r.text.as_str()).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// Names of the first or the second texts, with their numbers of sequences.
fn sized(records: &[Record], shifted: bool) -> String {
    let own = records.iter().filter(|r| r.shifted == shifted);
    let texts: BTreeSet<(&str, u64)> = own.map(|r| (r.text.as_str(), r.sequences)).collect();
    let texts = texts.iter();
    let texts = texts.map(|(name, count)| format!("{name} ({count} sequences)"));
    texts.collect::<Vec<_>>().join(", ")
}

fn of_text(style: Style, shifted: bool) -> Style {
    let dash = if shifted { Dash::Dashed } else { Dash::Solid };
    Style { dash, ..style }
}

fn axes(measure: Measure) -> (&'static str, Axis, Axis) {
    let from_none = |label: &str| Axis {
        min: Some(0.0),
        ..Axis::new(label, Scale::Linear)
    };
    match measure {
        Measure::LensKl => (
            "Divergence of the lens",
            models::state_axis(),
            from_none("KL(output ‖ lens) (nats)"),
        ),
        Measure::LensEntropy => (
            "Entropy of the lens",
            models::state_axis(),
            from_none("Entropy (bits)"),
        ),
        Measure::MlpOutNorm => (
            "Size of MLP output",
            models::block_axis(),
            Axis::new("Norm of MLP output", Scale::Log10),
        ),
        Measure::PreviousFive => (
            "Local attention",
            models::block_axis(),
            from_none("Mean weight on previous five"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::lines_of;

    #[test]
    fn each_measure_has_a_panel_with_both_texts() {
        let record = |measure: Measure, shifted: bool, index: usize| Record {
            model: "gpt2".to_owned(),
            model_type: "gpt2".to_owned(),
            text: if shifted { "code" } else { "prose" }.to_owned(),
            shifted,
            measure,
            index,
            layers: 2,
            relative_depth: index as f64,
            value: measure as u8 as f64 + if shifted { 0.5 } else { 0.0 },
            value_se: None,
            sequences: 3,
            positions: 30,
        };
        let measures = [
            Measure::LensKl,
            Measure::LensEntropy,
            Measure::MlpOutNorm,
            Measure::PreviousFive,
        ];
        let records: Vec<Record> = measures
            .into_iter()
            .flat_map(|measure| {
                [(true, 0), (false, 1), (false, 0)].map(|(s, i)| record(measure, s, i))
            })
            .collect();
        let figure = nips_fig26(&records);
        for (panel, measure) in figure.rows.iter().flatten().zip(measures) {
            let value = measure as u8 as f64;
            let found: Vec<(&str, Dash, f64, usize)> = lines_of(panel)
                .into_iter()
                .map(|line| {
                    let first = line.points[0].y;
                    (
                        line.label.as_str(),
                        line.style.dash,
                        first,
                        line.points.len(),
                    )
                })
                .collect();
            let prose = |points: usize| ("gpt2, prose", Dash::Solid, value, points);
            let code = ("gpt2, code", Dash::Dashed, value + 0.5, 1);
            let expected = match measure {
                // The embedding stands apart from the blocks.
                Measure::LensKl | Measure::LensEntropy => vec![prose(1), prose(1), code],
                Measure::MlpOutNorm | Measure::PreviousFive => vec![prose(2), code],
            };
            assert_eq!(found, expected);
        }
        let labels: Vec<&str> = figure.legend.iter().map(|e| e.label.as_str()).collect();
        assert_eq!(
            labels,
            ["gpt2", "prose (3 sequences)", "code (3 sequences)"]
        );
    }
}
