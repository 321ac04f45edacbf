//! The drawings.

use super::table::{PairRecord, Record, SimilarityRecord, SpeedRecord, TaskRecord};
use super::variants::{FRACTIONS, Family, Kind};
use crate::core::models;
use crate::core::table::distinct;
use crate::core::tables::Tables;
use layerwise_plot::{
    Axis, Colour, Dash, Figure, LegendEntry, Line, Mark, Marker, OKABE_ITO, Panel, Point, Rule,
    Scale, Scatter, Side, Style,
};
use std::collections::BTreeSet;

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
    if records.iter().any(|r| r.kind == Kind::DropSublayers) {
        legend.push(LegendEntry {
            label: "both kinds: most similar".to_owned(),
            group: "both kinds".to_owned(),
            style: look(Kind::DropSublayers, Dash::DashDotted),
        });
    }
    let figure = Figure {
        title: "Skipping late sublayers".to_owned(),
        description: description(tables, &models),
        rows,
        legend,
    };
    vec![("sublayer-skip".to_owned(), figure)]
}

/// What the drawing of these models shows.
fn description(tables: &Tables, models: &[&str]) -> String {
    let pairs = tables.of::<PairRecord>().iter();
    let sequences = models::on_sequences(pairs.map(|r| r.sequences));
    let is_timed = |r: &SpeedRecord| r.decode_ratio.is_some();
    let shown = match models {
        [_] if tables.of::<SpeedRecord>().iter().any(is_timed) => {
            "Loss, accuracy and predicted and, as points, measured gain in decoding speed"
        }
        [_] => "Loss, accuracy and predicted gain in decoding speed",
        _ => "Loss, and what is lost against the predicted gain in decoding speed,",
    };
    let similar = match models {
        [_] => ", and how similar each sublayer's output is to its input",
        _ => "",
    };
    let is_joined = models.iter().any(|model| best(tables, model).len() > 1);
    let joined = match is_joined {
        true => {
            " The dotted line of loss against gain joins the schedules that none beats in both."
        }
        false => "",
    };
    let items = tables.of::<TaskRecord>().iter();
    let items: BTreeSet<String> = items.map(|r| format!("{} {}", r.task, r.items)).collect();
    let items: Vec<String> = items.into_iter().collect();
    let items = match items.is_empty() {
        true => String::new(),
        false => format!(" Items: {}.", items.join(", ")),
    };
    format!(
        "{sequences}{shown} when fractions of the attention sublayers, the MLPs or the blocks are left out{similar}. Bands and \
         bars: one standard error; of lost accuracy, of the change paired by item.{joined}{items} Models: {}.",
        models.join(", ")
    )
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

/// Whether tasks ran under a model's schedules.
fn has_tasks(tables: &Tables, model: &str) -> bool {
    let mut own = tables.of::<Record>().iter().filter(|r| r.model == model);
    own.any(|r| r.relative_drop.is_some())
}

/// The standard error of the tasks' mean accuracy under a schedule minus the plain model's, paired by item.
fn change_error(tables: &Tables, record: &Record) -> Option<f64> {
    let own = tables.of::<TaskRecord>().iter();
    let own = own.filter(|r| r.model == record.model && r.schedule == record.schedule);
    let errors: Vec<f64> = own.map(|r| r.change_se).collect::<Option<_>>()?;
    let squares: f64 = errors.iter().map(|error| error * error).sum();
    (!errors.is_empty()).then(|| squares.sqrt() / errors.len() as f64)
}

/// The gain and the cost of a schedule: accuracy lost if tasks ran, else the loss.
fn gain_and_cost(tables: &Tables, record: &Record) -> Option<Point> {
    let (y, error) = match has_tasks(tables, &record.model) {
        true => {
            let error = change_error(tables, record).zip(plain_mean(tables, &record.model));
            let error = error.map(|(error, plain)| 100.0 * error / plain);
            (100.0 * record.relative_drop?, error)
        }
        false => (record.nll_increase, record.nll_increase_se),
    };
    Some(Point {
        x: 100.0 * (record.predicted_ratio - 1.0),
        y,
        error,
    })
}

/// The schedules that none beats in both gain and cost, from the cheapest on.
fn best(tables: &Tables, model: &str) -> Vec<Point> {
    let own = tables.of::<Record>().iter().filter(|r| r.model == model);
    let mut all: Vec<Point> = own.filter_map(|r| gain_and_cost(tables, r)).collect();
    all.sort_by(|a, b| a.y.total_cmp(&b.y).then(b.x.total_cmp(&a.x)));
    let mut best: Vec<Point> = Vec::new();
    for point in all {
        if best.last().is_none_or(|last| point.x > last.x) {
            best.push(Point {
                error: None,
                ..point
            });
        }
    }
    best
}

/// The cost of each schedule against its gain; a line joins the best, if they are several.
fn frontier(tables: &Tables, model: &str) -> Panel {
    let kinds = [
        Kind::DropAttn,
        Kind::DropMlp,
        Kind::Drop,
        Kind::DropSublayers,
    ];
    let of_kind = |kind: Kind| {
        let own = tables.of::<Record>().iter();
        let own = own.filter(|r| r.model == model && r.kind == kind);
        Mark::Scatter(Scatter {
            style: look(kind, Dash::Solid),
            label: name(kind).to_owned(),
            points: own.filter_map(|r| gain_and_cost(tables, r)).collect(),
            side: Side::Left,
        })
    };
    let mut marks: Vec<Mark> = kinds.into_iter().map(of_kind).collect();
    let best = best(tables, model);
    let is_line = best.len() > 1;
    if is_line {
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
    }
    Panel {
        title: match is_line {
            true => "loss against gain (line: frontier)",
            false => "loss against gain",
        }
        .to_owned(),
        x: Axis::new("Predicted gain, 512 cached (%)", Scale::Linear),
        y: match has_tasks(tables, model) {
            true => Axis::new("Accuracy lost (% of plain)", Scale::Linear),
            false => Axis::new("Increase of the loss (nats)", Scale::Linear),
        },
        y2: None,
        marks,
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::*;
    use crate::core::testing::named;

    fn tables(models: &[&str]) -> Tables {
        let mut tables = named(models, synthetic::add);
        for model in models {
            let mut tasks = tables.of::<TaskRecord>().iter();
            let plain = tasks.rfind(|r| r.model == *model).cloned();
            tables.push(TaskRecord {
                schedule: "id".to_owned(),
                accuracy: 0.5,
                change_se: Some(0.0),
                ..plain.expect("a task")
            });
        }
        tables
    }

    #[test]
    fn a_description_tells_of_what_is_drawn_alone() {
        let check = |models: &[&str], tells: &[&str], is_silent: &[&str]| {
            let figure = &drawings(&tables(models))[0].1;
            let said = &figure.description;
            for part in tells {
                assert!(said.contains(part), "{part}: {said}");
            }
            for part in is_silent {
                assert!(!said.contains(part), "{part}: {said}");
            }
            let mut panels = figure.rows.iter().flatten();
            assert!(panels.all(|panel| !panel.title.contains("frontier")));
            let mut legend = figure.legend.iter();
            assert!(legend.all(|entry| !entry.label.contains("both kinds")));
        };
        let both = ["On 39 sequences.", "Items: boolq 500."];
        let [sequences, items] = both;
        check(
            &["gpt2"],
            &[sequences, items, "similar"],
            &["dotted line of"],
        );
        check(
            &["gpt2", "llama"],
            &both,
            &["similar", "dotted line of", "measured"],
        );
    }

    #[test]
    fn lost_accuracy_has_the_error_of_the_paired_change() {
        let mut tables = tables(&["gpt2"]);
        let cheap = |r: &Record| r.kind == Kind::DropAttn && r.family == Family::Latter;
        for record in tables.of_mut::<Record>() {
            record.predicted_ratio = if cheap(record) { 1.1 } else { 1.2 };
            record.relative_drop = Some(if cheap(record) { 0.0 } else { 0.5 });
        }
        let panel = frontier(&tables, "gpt2");
        assert!(panel.title.ends_with("(line: frontier)"));
        assert_eq!(best(&tables, "gpt2").len(), 2);
        let Mark::Scatter(attention) = &panel.marks[0] else {
            panic!("a scatter");
        };
        let point = attention.points.iter().find(|point| point.y == 0.0);
        let point = point.expect("a schedule without loss");
        assert!((point.x - 10.0).abs() < 1e-9, "{point:?}");
        let error = point.error.expect("its tasks have an error");
        assert!((error - 100.0 * 0.005 / 0.5).abs() < 1e-9, "{error}");
    }
}
