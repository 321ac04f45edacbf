//! The drawings.

use super::table::Record;
use crate::core::models;
use crate::neurons::Kind;
use layerwise_plot::{
    Axis, Colour, Dash, Figure, LegendEntry, Line, Mark, Marker, Panel, Point, Rule, Scale,
    Scatter, Side, Style,
};

/// Panels of one row of the drawing.
const COLUMNS: usize = 3;

const fn style(colour: Colour, dash: Dash, marker: Marker) -> Style {
    Style {
        colour,
        dash,
        marker,
    }
}

const ENSEMBLE: Style = style(Colour(0x00, 0x72, 0xb2), Dash::Solid, Marker::Circle);

const MODEL: Style = style(Colour(0xcc, 0x33, 0x33), Dash::Dotted, Marker::Circle);

const KINDS: [(Kind, &str, Style); 3] = [
    (
        Kind::Prediction,
        "prediction neuron",
        style(Colour(0x00, 0x9e, 0x73), Dash::Solid, Marker::Triangle),
    ),
    (
        Kind::Suppression,
        "suppression neuron",
        style(Colour(0xd5, 0x5e, 0x00), Dash::Solid, Marker::Square),
    ),
    (
        Kind::Other,
        "other neuron",
        style(Colour(0x77, 0x77, 0x77), Dash::Solid, Marker::Diamond),
    ),
];

/// The drawing with its file name: one panel for each model.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    if records.is_empty() {
        return Vec::new();
    }
    let models = models::of(
        records
            .iter()
            .map(|r| (r.model.as_str(), r.model_type.as_str())),
    );
    // All panels share an axis, so that models can be compared.
    let ends = records.iter().flat_map(|r| {
        let around = |value: f64, error: Option<f64>| {
            let error = error.unwrap_or(0.0);
            [value - error, value + error]
        };
        let single = around(r.single_accuracy, r.single_accuracy_se);
        let ensemble = around(r.ensemble_accuracy, r.ensemble_accuracy_se);
        single.into_iter().chain(ensemble).chain([r.model_accuracy])
    });
    let ends = ends.filter(|end| end.is_finite());
    let ends = ends.fold((0.5, 0.5), |(low, high): (f64, f64), end| {
        (low.min(end), high.max(end))
    });
    let panels: Vec<Panel> = models
        .iter()
        .map(|model| {
            let own = |r: &&Record| r.model == model.name && r.model_type == model.family;
            let own: Vec<&Record> = records.iter().filter(own).collect();
            panel(model.name, &own, ends)
        })
        .collect();
    let entry = |label: &str, style: Style| LegendEntry {
        label: label.to_owned(),
        group: String::new(),
        style,
    };
    let present = |kind: Kind| records.iter().any(|record| record.kind == kind);
    let kinds = KINDS.into_iter().filter(|(kind, ..)| present(*kind));
    let figure = Figure {
        title: "Probes for the ending \"-ing\" of the next token".to_owned(),
        description: "Test accuracy on balanced examples, in folds by document. Markers: logistic probes of single neurons, \
                      by rank on the training folds. Line: probes of the first k neurons together. Dotted line: how often \
                      the model's most probable token has the ending exactly when the true one has. Bars and band: one standard \
                      error to either side, clustered by document."
            .to_owned(),
        rows: panels.chunks(COLUMNS).map(<[Panel]>::to_vec).collect(),
        legend: kinds
            .map(|(_, label, style)| entry(label, style))
            .chain([
                entry("first k neurons", ENSEMBLE),
                entry("the model itself", MODEL),
            ])
            .collect(),
    };
    vec![("suffix-probe".to_owned(), figure)]
}

fn panel(model: &str, records: &[&Record], (low, high): (f64, f64)) -> Panel {
    let mut own = records.to_vec();
    own.sort_by_key(|record| record.rank);
    let rule = own.first().map(|record| {
        Mark::Rule(Rule {
            y: record.model_accuracy,
            style: Some(MODEL),
        })
    });
    let point = |record: &Record, y: f64, error: Option<f64>| Point {
        x: record.rank as f64,
        y,
        error,
    };
    let ensemble = own
        .iter()
        .map(|r| point(r, r.ensemble_accuracy, r.ensemble_accuracy_se));
    let ensemble = Mark::Line(Line {
        style: ENSEMBLE,
        label: "first k neurons".to_owned(),
        points: ensemble.collect(),
        side: Side::Left,
    });
    let singles = KINDS.into_iter().map(|(kind, label, style)| {
        let of_kind = own.iter().filter(|record| record.kind == kind);
        let points = of_kind.map(|r| point(r, r.single_accuracy, r.single_accuracy_se));
        Mark::Scatter(Scatter {
            style,
            label: label.to_owned(),
            points: points.collect(),
            side: Side::Left,
        })
    });
    Panel {
        title: model.to_owned(),
        x: Axis::new("Rank k", Scale::Integer),
        y: Axis::new("Accuracy", Scale::Linear).between(low, high),
        y2: None,
        marks: rule.into_iter().chain([ensemble]).chain(singles).collect(),
    }
}
