//! The drawings.

use super::table::{FeatureRecord, HistogramRecord, Record, TimeRecord};
use crate::core::styles;
use crate::core::table::distinct;
use crate::core::tables::Tables;
use layerwise_exits::Rule;
use layerwise_plot::{
    Axis, Colour, Dash, Figure, Histogram, LegendEntry, Line, Mark, Marker, Panel, Point, Scale,
    Scatter, Side, Style,
};

/// The rules that are drawn against the fraction left out; the last is the reference for the others.
const RULES: [&str; 8] = [
    "svm", "svm-rbf", "crf", "gap", "top", "state", "patience", "fixed",
];

/// The most tasks to draw.
const MOST_TASKS: usize = 6;

/// The style of the depth from which the answer stays.
const GREY: Style = Style {
    colour: Colour(0x88, 0x88, 0x88),
    dash: Dash::Solid,
    marker: Marker::Circle,
};

/// The style of a rule at its usual threshold.
const USUAL: Style = Style {
    colour: Colour(0, 0, 0),
    dash: Dash::Solid,
    marker: Marker::Diamond,
};

fn look_of_rule(at: usize) -> Style {
    match RULES[at] {
        "fixed" => GREY,
        _ => look(at, Dash::Dashed),
    }
}

fn look(at: usize, dash: Dash) -> Style {
    Style {
        dash,
        ..styles::nth(at)
    }
}

/// A drawing for each model.
pub fn drawings(tables: &Tables) -> Vec<(String, Figure)> {
    let features = tables.of::<FeatureRecord>();
    let models = distinct(features.iter().map(|r| r.model.as_str()));
    if models.is_empty() {
        return Vec::new();
    }
    let times = tables.of::<TimeRecord>();
    let has_times = !times.is_empty();
    let is_timed = times.iter().any(|r| r.time_ratio.is_some());
    let mut rows = Vec::new();
    let all = distinct(features.iter().map(|r| r.task.as_str()));
    let tasks = &all[..MOST_TASKS.min(all.len())];
    for model in &models {
        let before = match models.len() {
            1 => String::new(),
            _ => format!("{model}: "),
        };
        rows.push(vec![
            confidence(features, model, tasks, &before, "gap", |r| {
                (r.gap_mean, r.gap_se)
            }),
            confidence(features, model, tasks, &before, "top", |r| {
                (r.top_mean, r.top_se)
            }),
        ]);
        if models.len() > 1 {
            continue;
        }
        for (at, part) in tasks.chunks(3).enumerate() {
            let panels = part.iter().enumerate();
            rows.push(
                panels
                    .map(|(own, task)| exits(tables, model, task, 3 * at + own))
                    .collect(),
            );
        }
        for part in tasks.chunks(3) {
            rows.push(
                part.iter()
                    .map(|task| agreement(tables, model, task))
                    .collect(),
            );
        }
        if has_times {
            rows.push(
                ["prompt", "question", "decode"]
                    .map(|setting| cost(tables, model, setting))
                    .to_vec(),
            );
        }
    }
    let entry = |label: &str, group: &str, style| LegendEntry {
        label: label.to_owned(),
        group: group.to_owned(),
        style,
    };
    let mut legend: Vec<LegendEntry> = tasks
        .iter()
        .enumerate()
        .map(|(at, task)| entry(task, "task", look(at, Dash::Solid)))
        .collect();
    if models.len() == 1 {
        for (at, rule) in RULES.iter().enumerate() {
            legend.push(entry(rule, "rule", look_of_rule(at)));
        }
        legend.push(entry("at the usual threshold", "rule", USUAL));
        legend.push(entry("answer stays from here on", "stops", GREY));
        for (at, label) in HEADS.iter().enumerate().filter(|_| has_times) {
            legend.push(entry(label, "time", look(at, Dash::Solid)));
            if is_timed {
                let measured = format!("measured, {label}");
                legend.push(entry(&measured, "time", look(at, Dash::Dotted)));
            }
        }
    }
    let counted = tasks.iter().filter_map(|task| {
        let own = features.iter().find(|r| r.task == *task)?;
        Some(format!("{task} {}", own.instances))
    });
    let counted: Vec<String> = counted.collect();
    let mut description = format!(
        "Confidence by depth: the gap between the two most probable tokens and the first's probability, means over test \
         instances ({}) with bands of one standard error. ",
        counted.join(", ")
    );
    if models.len() == 1 {
        description.push_str(
            "Histograms of the blocks after which the linear machine stops at its usual threshold (coloured; darker where the \
             answer agrees with the full model) beside the depth from which the answer stays (grey). Agreement with the full \
             model against the fraction of the blocks left out, one line for each rule; black points are at the usual \
             threshold. ",
        );
        if has_times {
            description.push_str(
                "Time over that of the full model against the fraction of the blocks that runs, as the cost model predicts it",
            );
            description.push_str(match is_timed {
                true => " and as measured. ",
                false => ". ",
            });
        }
    }
    let figure = Figure {
        title: "Early exit".to_owned(),
        description: format!("{description}Models: {}.", models.join(", ")),
        rows,
        legend,
    };
    vec![("early-exit".to_owned(), figure)]
}

fn confidence(
    features: &[FeatureRecord],
    model: &str,
    tasks: &[&str],
    before: &str,
    name: &str,
    value: impl Fn(&FeatureRecord) -> (f64, Option<f64>),
) -> Panel {
    let marks = tasks.iter().enumerate().map(|(at, task)| {
        let own = features
            .iter()
            .filter(|r| r.model == model && r.task == *task);
        let points = own.map(|r| {
            let (y, error) = value(r);
            Point {
                x: r.blocks_run as f64,
                y,
                error,
            }
        });
        Mark::Line(Line {
            style: look(at, Dash::Solid),
            label: (*task).to_owned(),
            points: points.collect(),
            side: Side::Left,
        })
    });
    Panel {
        title: format!("{before}{name}"),
        x: Axis::new("Blocks run", Scale::Integer),
        y: Axis::new(
            match name {
                "gap" => "Gap of probabilities",
                _ => "Largest probability",
            },
            Scale::Linear,
        )
        .between(0.0, 1.0),
        y2: None,
        marks: marks.collect(),
    }
}

/// The blocks after which the machine stops; without a machine, the depth from which the answer is final.
fn exits(tables: &Tables, model: &str, task: &str, at: usize) -> Panel {
    let records = tables.of::<HistogramRecord>();
    let steps = |rule: &str, style: Style, count: fn(&HistogramRecord) -> u64| {
        let own = records.iter();
        let own: Vec<&HistogramRecord> = own
            .filter(|r| r.model == model && r.task == task && r.rule == rule)
            .collect();
        let edges = own.iter().map(|r| r.blocks_run as f64 - 0.5);
        let last = own.last().map(|r| r.blocks_run as f64 + 0.5);
        Mark::Histogram(Histogram {
            style,
            edges: edges.chain(last).collect(),
            counts: own.iter().map(|r| count(r) as f64).collect(),
        })
    };
    Panel {
        title: format!("{task}: stops"),
        x: Axis::new("Blocks run", Scale::Integer),
        y: Axis::new("Instances", Scale::Linear),
        y2: None,
        marks: vec![
            steps("oracle-stable", GREY, |r| r.exits),
            steps("svm", look(at, Dash::Solid), |r| r.exits),
            steps("svm", look(at, Dash::Solid), |r| r.agreeing),
        ],
    }
}

/// When the head is read, in the cost model's predictions of time.
const HEADS: [&str; 2] = ["head at the end", "head after each block"];

/// Time over that of the full model against the fraction of the blocks that runs: predictions as lines, measurements as points.
fn cost(tables: &Tables, model: &str, setting: &str) -> Panel {
    let marks = [false, true]
        .into_iter()
        .enumerate()
        .flat_map(|(at, reads_head)| {
            let own = || {
                let records = tables.of::<TimeRecord>().iter();
                records.filter(move |r| {
                    (r.model.as_str(), r.setting.as_str(), r.reads_head)
                        == (model, setting, reads_head)
                })
            };
            let most = own().map(|r| r.blocks_run).max().unwrap_or(1) as f64;
            let x = move |r: &TimeRecord| r.blocks_run as f64 / most;
            let foreseen = own().map(|r| Point {
                x: x(r),
                y: r.predicted_ratio,
                error: None,
            });
            let line = Mark::Line(Line {
                style: look(at, Dash::Solid),
                label: HEADS[at].to_owned(),
                points: foreseen.collect(),
                side: Side::Left,
            });
            let measured = own().filter_map(|r| {
                Some(Point {
                    x: x(r),
                    y: r.time_ratio?,
                    error: r.time_ratio_se,
                })
            });
            let points = Mark::Line(Line {
                style: look(at, Dash::Dotted),
                label: "measured".to_owned(),
                points: measured.collect(),
                side: Side::Left,
            });
            let has_times = own().any(|r| r.time_ratio.is_some());
            std::iter::once(line).chain(has_times.then_some(points))
        });
    Panel {
        title: format!("{setting}: time"),
        x: Axis::new("Fraction of the blocks that runs", Scale::Linear).between(0.0, 1.0),
        y: Axis::new("Time over the full model's", Scale::Linear),
        y2: None,
        marks: marks.collect(),
    }
}

fn agreement(tables: &Tables, model: &str, task: &str) -> Panel {
    let own = |rule: &'static str| {
        let own = tables.of::<Record>().iter();
        own.filter(move |r| {
            r.model == model
                && r.task == task
                && r.rule == rule
                && r.vocab == "full"
                && (r.train_task.is_empty() || r.train_task == r.task)
        })
    };
    let point = |r: &Record| Point {
        x: r.pruning_ratio,
        y: r.agreement,
        error: None,
    };
    let lines = RULES.into_iter().enumerate().map(|(at, rule)| {
        let mut points: Vec<Point> = own(rule).map(point).collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x).then(b.y.total_cmp(&a.y)));
        Mark::Line(Line {
            style: look_of_rule(at),
            label: rule.to_owned(),
            points,
            side: Side::Left,
        })
    });
    let usual = RULES.into_iter().flat_map(|name| {
        let usual = name.parse::<Rule>().ok().and_then(Rule::usual);
        own(name).filter(move |r| Some(r.threshold) == usual)
    });
    let usual = Mark::Scatter(Scatter {
        style: USUAL,
        label: "at the usual threshold".to_owned(),
        points: usual.map(point).collect(),
        side: Side::Left,
    });
    Panel {
        title: format!("{task}: agreement"),
        x: Axis::new("Fraction of the blocks left out", Scale::Linear).between(0.0, 1.0),
        y: Axis::new("Agreement with the full model", Scale::Linear).between(0.0, 1.0),
        y2: None,
        marks: lines.chain([usual]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::*;
    use crate::core::testing::named;

    #[test]
    fn a_drawing_tells_of_what_it_shows_alone() {
        let check = |models: &[&str], timed: bool, expected: [bool; 3]| {
            let mut tables = named(models, synthetic::add);
            for record in tables.of_mut::<TimeRecord>() {
                record.time_ratio = record.time_ratio.filter(|_| timed);
            }
            let figure = &drawings(&tables)[0].1;
            let said = &figure.description;
            let mut legend = figure.legend.iter();
            let found = [
                said.contains("Histograms"),
                said.contains("as measured"),
                legend.any(|entry| entry.label.starts_with("measured")),
            ];
            assert_eq!(found, expected, "{models:?}, {timed}: {said}");
            assert!(said.contains("instances (mmlu 100, sst2 100)"), "{said}");
        };
        check(&["gpt2"], true, [true; 3]);
        check(&["gpt2"], false, [true, false, false]);
        check(&["gpt2", "llama"], true, [false; 3]);
    }
}
