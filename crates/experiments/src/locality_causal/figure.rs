//! The drawings.

use super::table::Record;
use crate::core::models::{self, Model};
use layerwise_plot::{Colour, Dash, Figure, LegendEntry, Marker, Panel, Point, Style};
use std::collections::BTreeSet;

/// Colours of windows, from narrow to wide: points of matplotlib's plasma, distinguishable with any colour vision.
const RAMP: [(Colour, Marker); 6] = [
    (Colour(0x0d, 0x08, 0x87), Marker::Circle),
    (Colour(0x6a, 0x00, 0xa8), Marker::Square),
    (Colour(0xb1, 0x2a, 0x90), Marker::Triangle),
    (Colour(0xe1, 0x64, 0x62), Marker::Diamond),
    (Colour(0xfc, 0xa6, 0x36), Marker::TriangleDown),
    (Colour(0xd9, 0xc7, 0x1c), Marker::Circle),
];

/// The drawing with its file name: a panel for each model, a line for each window.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    let named = records.iter();
    let models = models::of(named.map(|r| (r.model.as_str(), r.model_type.as_str())));
    if models.is_empty() {
        return Vec::new();
    }
    let windows: BTreeSet<usize> = records.iter().map(|r| r.window).collect();
    let panels = models.iter().map(|model| panel(records, model, &windows));
    let figure = Figure {
        title: "Divergence when a block sees only the nearest tokens".to_owned(),
        description: format!(
            "KL(plain ‖ altered) in nats when every query of one block attends only to itself, the w−1 tokens before it \
             and position 0. Horizontal axis: relative depth of the block. Bands: one standard error to either side. \
             Panels: {}.",
            models::names(&models)
        ),
        rows: models::on_equal_axes(&models::rows_of(panels.collect(), 3)),
        legend: windows
            .iter()
            .enumerate()
            .map(|(at, window)| LegendEntry {
                label: format!("w = {window}"),
                group: String::new(),
                style: style(at),
            })
            .collect(),
    };
    vec![("locality-causal".to_owned(), figure)]
}

fn style(at: usize) -> Style {
    let (colour, marker) = RAMP[at % RAMP.len()];
    Style {
        colour,
        dash: Dash::Solid,
        marker,
    }
}

fn panel(records: &[Record], model: &Model<'_>, windows: &BTreeSet<usize>) -> Panel {
    let groups = windows.iter().enumerate().map(|(at, &window)| {
        let own = records.iter().filter(|r| r.window == window);
        (format!("w = {window}"), style(at), own.collect())
    });
    let sequences = records.iter().filter(|r| r.model == model.name);
    let title = models::title(model, sequences.map(|r| r.sequences));
    models::divergences(title, model, groups, |r: &Record| Point {
        x: r.relative_depth,
        y: r.kl_nats,
        error: r.kl_nats_se,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::{lines_of, relative_depth};

    #[test]
    fn a_model_has_a_panel_with_a_line_for_each_window() {
        let record = |model: &str, layer: usize, window: usize| Record {
            model: model.to_owned(),
            model_type: "gpt2".to_owned(),
            layer,
            layers: 3,
            relative_depth: relative_depth(layer, 3),
            window,
            kl_nats: 0.1 / window as f64,
            kl_nats_se: Some(0.001),
            sequences: 2,
            positions: 20,
        };
        let mut records = Vec::new();
        for model in ["gpt2", "gpt2-xl"] {
            for window in [8, 1] {
                records.extend((0..3).rev().map(|layer| record(model, layer, window)));
            }
        }
        let drawn = drawings(&records);
        let figure = &drawn[0].1;
        let titles = figure.rows[0].iter().map(|panel| panel.title.as_str());
        assert_eq!(
            titles.collect::<Vec<_>>(),
            ["gpt2: 2 sequences", "gpt2-xl: 2 sequences"]
        );
        let ends = figure.rows[0]
            .iter()
            .map(|panel| (panel.y.min, panel.y.max));
        let expected = (Some(0.0125), Some(0.1 + 0.001));
        assert_eq!(ends.collect::<Vec<_>>(), [expected; 2]);
        let lines = lines_of(&figure.rows[0][1]);
        let labels: Vec<&str> = lines.iter().map(|line| line.label.as_str()).collect();
        assert_eq!(labels, ["w = 1", "w = 8"]);
        assert_eq!(lines[1].points[2].x, 1.0);
        assert_eq!(lines[1].points[2].y, 0.0125);
        assert_eq!(figure.legend.len(), 2);
        assert!(drawings(&[]).is_empty());
    }
}
