//! The drawings.

use super::table::{Record, SimilarityRecord, SpeedRecord, TaskRecord};
use super::variants::{FRACTIONS, Family, Kind};
use crate::core::table::distinct;
use crate::core::tables::Tables;
use layerwise_plot::{
    Axis, Colour, Dash, Figure, LegendEntry, Line, Mark, Marker, OKABE_ITO, Panel, Point, Rule,
    Scale, Scatter, Side, Style,
};

/// The families that are drawn as lines.
const LINES: [(Family, Dash, &str); 4] = [
    (Family::Latter, Dash::Solid, "last"),
    (Family::LatterLastKept, Dash::Dashed, "last, very last kept"),
    (
        Family::FirstBlockZeroKept,
        Dash::Dotted,
        "first, block 0 kept",
    ),
    (Family::Similarity, Dash::DashDotted, "most similar"),
];

fn look(kind: Kind, dash: Dash) -> Style {
    let (at, marker) = match kind {
        Kind::DropAttn => (0, Marker::Circle),
        Kind::DropMlp => (1, Marker::Square),
        Kind::Drop => (2, Marker::Triangle),
        Kind::DropSublayers => (3, Marker::Diamond),
    };
    Style {
        colour: OKABE_ITO[at],
        dash,
        marker,
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::DropAttn => "attention",
        Kind::DropMlp => "MLP",
        Kind::Drop => "block",
        Kind::DropSublayers => "both kinds",
    }
}

/// The drawing: all panels of one model, or of several models a row of two panels each.
pub fn drawings(tables: &Tables) -> Vec<(String, Figure)> {
    let records = tables.of::<Record>();
    if records.is_empty() {
        return Vec::new();
    }
    let models = distinct(records.iter().map(|r| r.model.as_str()));
    let rows = match models.as_slice() {
        [model] => one_model(tables, model),
        models => models
            .iter()
            .map(|model| {
                let titled = |panel: Panel| Panel {
                    title: format!("{model}: {}", panel.title),
                    ..panel
                };
                [loss(tables, model), frontier(tables, model)]
                    .map(titled)
                    .to_vec()
            })
            .collect(),
    };
    let mut legend = Vec::new();
    for kind in Kind::OF_ONE_SORT {
        for (family, dash, label) in LINES {
            let has = |r: &Record| r.kind == kind && r.family == family;
            if records.iter().any(has) {
                legend.push(LegendEntry {
                    label: format!("{}: {label}", name(kind)),
                    group: name(kind).to_owned(),
                    style: look(kind, dash),
                });
            }
        }
    }
    legend.push(LegendEntry {
        label: "both kinds: most similar".to_owned(),
        group: "both kinds".to_owned(),
        style: look(Kind::DropSublayers, Dash::DashDotted),
    });
    let figure = Figure {
        title: "Skipping late sublayers".to_owned(),
        description: format!(
            "Loss, accuracy and predicted gain in decoding speed when fractions of the attention sublayers, the MLPs or the \
             blocks are left out, and how similar each sublayer's output is to its input. Bands and bars: one standard \
             error. The dotted line of gain against loss joins the schedules that none beats in both. Models: {}.",
            models.join(", ")
        ),
        rows,
        legend,
    };
    vec![("sublayer-skip".to_owned(), figure)]
}

fn one_model(tables: &Tables, model: &str) -> Vec<Vec<Panel>> {
    let gains = [32, 512, 2048].map(|cached| gain(tables, model, cached));
    let similar = [Kind::DropAttn, Kind::DropMlp].map(|kind| similarity(tables, model, kind));
    let mut first = vec![loss(tables, model)];
    if tables.of::<TaskRecord>().iter().any(|r| r.model == model) {
        first.push(accuracy(tables, model));
    }
    first.push(frontier(tables, model));
    vec![first, gains.to_vec(), similar.to_vec()]
}

fn fraction_axis() -> Axis {
    Axis::new("Fraction left out", Scale::Linear).between(0.0, 0.55)
}

/// A line for each kind and drawn family.
fn lines(
    tables: &Tables,
    model: &str,
    value: impl Fn(&Record) -> (Option<f64>, Option<f64>),
) -> Vec<Mark> {
    let mut marks = Vec::new();
    for kind in Kind::OF_ONE_SORT {
        for (family, dash, label) in LINES {
            let own = tables.of::<Record>().iter();
            let own = own.filter(|r| r.model == model && r.kind == kind && r.family == family);
            let points = own.filter_map(|r| {
                let (y, error) = value(r);
                Some(Point {
                    x: r.fraction,
                    y: y?,
                    error,
                })
            });
            marks.push(Mark::Line(Line {
                style: look(kind, dash),
                label: format!("{}, {label}", name(kind)),
                points: points.collect(),
                side: Side::Left,
            }));
        }
    }
    marks
}

fn loss(tables: &Tables, model: &str) -> Panel {
    Panel {
        title: "loss".to_owned(),
        x: fraction_axis(),
        y: Axis::new("Increase of the loss (nats)", Scale::Log10),
        y2: None,
        marks: lines(tables, model, |r| {
            (
                Some(r.nll_increase).filter(|value| *value > 0.0),
                r.nll_increase_se,
            )
        }),
    }
}

fn plain_mean(tables: &Tables, model: &str) -> Option<f64> {
    let plain = tables.of::<TaskRecord>().iter();
    let plain: Vec<f64> = plain
        .filter(|r| r.model == model && r.schedule == "id")
        .map(|r| r.accuracy)
        .collect();
    (!plain.is_empty()).then(|| plain.iter().sum::<f64>() / plain.len() as f64)
}

fn accuracy(tables: &Tables, model: &str) -> Panel {
    let mut marks = lines(tables, model, |r| (r.benchmark_mean, r.benchmark_mean_se));
    if let Some(y) = plain_mean(tables, model) {
        marks.push(Mark::Rule(Rule { y, style: None }));
    }
    Panel {
        title: "tasks (dotted rule: plain)".to_owned(),
        x: fraction_axis(),
        y: Axis::new("Mean accuracy", Scale::Linear),
        y2: None,
        marks,
    }
}

/// Predictions from bytes as lines, measurements as points.
fn gain(tables: &Tables, model: &str, cached: usize) -> Panel {
    let mut marks = Vec::new();
    for kind in Kind::OF_ONE_SORT {
        let own = || {
            let own = tables.of::<SpeedRecord>().iter();
            own.filter(move |r| r.model == model && r.kind == kind && r.cached_tokens == cached)
        };
        marks.push(Mark::Line(Line {
            style: look(kind, Dash::Solid),
            label: format!("{}, predicted", name(kind)),
            points: own()
                .map(|r| Point {
                    x: r.fraction,
                    y: 100.0 * (r.predicted_ratio - 1.0),
                    error: None,
                })
                .collect(),
            side: Side::Left,
        }));
        let measured = own().filter_map(|r| {
            Some(Point {
                x: r.fraction,
                y: 100.0 * (r.decode_ratio? - 1.0),
                error: r.decode_ratio_se.map(|error| 100.0 * error),
            })
        });
        marks.push(Mark::Scatter(Scatter {
            style: look(kind, Dash::Solid),
            label: format!("{}, measured", name(kind)),
            points: measured.collect(),
            side: Side::Left,
        }));
    }
    Panel {
        title: format!("{cached} tokens cached"),
        x: fraction_axis(),
        y: Axis::new("Gain in decoding (%)", Scale::Linear),
        y2: None,
        marks,
    }
}

/// Similarity by block; black marks those left out at 33 % by similarity.
fn similarity(tables: &Tables, model: &str, kind: Kind) -> Panel {
    let own: Vec<&SimilarityRecord> = tables
        .of::<SimilarityRecord>()
        .iter()
        .filter(|r| r.model == model && r.kind == kind)
        .collect();
    let point = |r: &&SimilarityRecord| Point {
        x: r.source as f64,
        y: r.similarity_mean,
        error: r.similarity_se,
    };
    let gone = super::variants::count(FRACTIONS[1], own.len());
    let dropped = own.iter().filter(|r| r.rank <= gone).map(point);
    Panel {
        title: format!("{} (black: top 33 %)", name(kind)),
        x: Axis::new("Block", Scale::Integer),
        y: Axis::new("Similarity of input and output", Scale::Linear),
        y2: None,
        marks: vec![
            Mark::Line(Line {
                style: look(kind, Dash::Solid),
                label: name(kind).to_owned(),
                points: own.iter().map(point).collect(),
                side: Side::Left,
            }),
            Mark::Scatter(Scatter {
                style: Style {
                    colour: Colour(0, 0, 0),
                    ..look(kind, Dash::Solid)
                },
                label: format!("{}, left out at 33 %", name(kind)),
                points: dropped
                    .map(|point| Point {
                        error: None,
                        ..point
                    })
                    .collect(),
                side: Side::Left,
            }),
        ],
    }
}

/// The cost and gain of each schedule: lost accuracy if tasks ran, else the loss; a line joins the schedules that no other beats.
fn frontier(tables: &Tables, model: &str) -> Panel {
    let own: Vec<&Record> = tables
        .of::<Record>()
        .iter()
        .filter(|r| r.model == model)
        .collect();
    let has_tasks = own.iter().any(|r| r.relative_drop.is_some());
    let cost = |r: &Record| match has_tasks {
        true => r.relative_drop.map(|drop| 100.0 * drop),
        false => Some(r.nll_increase),
    };
    let point = |r: &Record| {
        Some(Point {
            x: cost(r)?,
            y: 100.0 * (r.predicted_ratio - 1.0),
            error: None,
        })
    };
    let mut marks = Vec::new();
    let kinds = [
        Kind::DropAttn,
        Kind::DropMlp,
        Kind::Drop,
        Kind::DropSublayers,
    ];
    for kind in kinds {
        let points = own
            .iter()
            .filter(|r| r.kind == kind)
            .filter_map(|r| point(r));
        marks.push(Mark::Scatter(Scatter {
            style: look(kind, Dash::Solid),
            label: name(kind).to_owned(),
            points: points.collect(),
            side: Side::Left,
        }));
    }
    let mut all: Vec<Point> = own.iter().filter_map(|r| point(r)).collect();
    all.sort_by(|a, b| a.x.total_cmp(&b.x).then(b.y.total_cmp(&a.y)));
    let mut best: Vec<Point> = Vec::new();
    for point in all {
        if best.last().is_none_or(|last| point.y > last.y) {
            best.push(point);
        }
    }
    marks.push(Mark::Line(Line {
        style: Style {
            colour: Colour(0x77, 0x77, 0x77),
            dash: Dash::Dotted,
            marker: Marker::Circle,
        },
        label: "frontier".to_owned(),
        points: best,
        side: Side::Left,
    }));
    Panel {
        title: "gain against loss (line: frontier)".to_owned(),
        x: match has_tasks {
            true => Axis::new("Accuracy lost (% of plain)", Scale::Linear),
            false => Axis::new("Increase of the loss (nats)", Scale::Linear),
        },
        y: Axis::new("Predicted gain, 512 cached (%)", Scale::Linear),
        y2: None,
        marks,
    }
}
