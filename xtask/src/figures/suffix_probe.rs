//! Probes for the ending "-ing" of the next token, from single neurons and from ensembles.
//!
//! - **Stands for** Figure 12a (9) of the NeurIPS version, and v1's and v3's "-ing" figures.
//! - **Needs** any models and any text with enough words of that ending; the neurons of `suffix-neurons` (GPT-2 XL: the published list).
//! - **Feeds the claims** D19, D20.

use super::models;
use super::suffix_neurons::Kind;
use super::table::{negative_error, record};
use crate::plot::{
    Axis, Colour, Dash, Figure, LegendEntry, Line, Mark, Marker, Panel, Point, Rule, Scale,
    Scatter, Side, Style,
};

record! {
    /// One line of `suffix-probe.csv`: one rank k.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// Its family, the `model_type` of its config.
        pub family: String,
        /// k: the neuron's rank by single accuracy on the training folds, and how many neurons the ensemble has.
        pub rank: usize,
        /// Block of the neuron, from 0.
        pub layer: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// Its index in the block.
        pub neuron: usize,
        /// What it does to the vocabulary.
        pub kind: Kind,
        /// Test accuracy of the probe on this neuron alone.
        pub single_accuracy: f64,
        /// Its standard error, clustered by document.
        pub single_accuracy_se: Option<f64>,
        /// Test accuracy of the probe on the first k neurons.
        pub ensemble_accuracy: f64,
        /// Its standard error.
        pub ensemble_accuracy_se: Option<f64>,
        /// Share of examples whose most probable next token has the ending exactly where the true one has.
        pub model_accuracy: f64,
        /// Its standard error.
        pub model_accuracy_se: Option<f64>,
        /// Test examples, half of each class.
        pub examples: u64,
    }
    key(model, rank) fault(|r| negative_error([("single_accuracy_se", r.single_accuracy_se), ("ensemble_accuracy_se", r.ensemble_accuracy_se), ("model_accuracy_se", r.model_accuracy_se)]))
}

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

/// The drawing with the name of its file: one panel for each model.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    if records.is_empty() {
        return Vec::new();
    }
    let models = models::of(
        records
            .iter()
            .map(|r| (r.model.as_str(), r.family.as_str())),
    );
    let panels: Vec<Panel> = models
        .iter()
        .map(|model| {
            let own = |r: &&Record| r.model == model.name && r.family == model.family;
            panel(model.name, &records.iter().filter(own).collect::<Vec<_>>())
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
                      the model's most probable token has the ending where the true one has. Bars and band: one standard \
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

fn panel(model: &str, records: &[&Record]) -> Panel {
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
        y: Axis::new("Accuracy", Scale::Linear),
        y2: None,
        marks: rule.into_iter().chain([ensemble]).chain(singles).collect(),
    }
}
