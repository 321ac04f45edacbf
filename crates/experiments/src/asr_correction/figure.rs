//! The drawings.

use super::table::{AlphaRecord, ConfidenceRecord, Record, ShareRecord};
use crate::core::table::distinct;
use crate::core::tables::Tables;
use layerwise_metrics::errors_in_interval;
use layerwise_plot::{
    Axis, Dash, Figure, Histogram, LegendEntry, Line, Mark, Marker, OKABE_ITO, Panel, Point, Rule,
    Scale, Scatter, Side, Style,
};
use layerwise_transcripts::Normaliser;

/// Systems in the order of the axis: mode, count rule, whether there is a gate, name.
const SYSTEMS: [(&str, &str, bool, &str); 8] = [
    ("best", "free", false, "best"),
    ("vote", "free", false, "vote"),
    ("select", "free", false, "select"),
    ("lattice", "free", false, "lattice"),
    ("lattice", "keep", false, "lattice, same count"),
    ("lattice", "free", true, "lattice, gated"),
    ("lattice", "keep", true, "lattice, same count, gated"),
    ("constrained", "free", false, "written along the lattice"),
];

/// The drawing with its file name: for each model and set a row of four panels.
pub fn drawings(tables: &Tables) -> Vec<(String, Figure)> {
    // Leave out texts as they are written, which have another number of words.
    let records = tables.of::<Record>().iter();
    let records: Vec<&Record> = records
        .filter(|r| r.normaliser != Normaliser::None.name())
        .collect();
    if records.is_empty() {
        return Vec::new();
    }
    let mut rows = Vec::new();
    let models = distinct(records.iter().map(|r| r.model.as_str()));
    for &model in &models {
        let own: Vec<&Record> = records
            .iter()
            .copied()
            .filter(|r| r.model == model)
            .collect();
        for set in distinct(own.iter().map(|r| r.set.as_str())) {
            let of_set: Vec<&Record> = own.iter().copied().filter(|r| r.set == set).collect();
            let is_own = |of: (&str, &str)| of == (model, set);
            let alphas = tables.of::<AlphaRecord>().iter();
            let alphas: Vec<&AlphaRecord> = alphas
                .filter(|r| is_own((r.model.as_str(), r.set.as_str())))
                .collect();
            let shares = tables.of::<ShareRecord>().iter();
            let shares: Vec<&ShareRecord> = shares
                .filter(|r| is_own((r.model.as_str(), r.set.as_str())))
                .collect();
            let bins = tables.of::<ConfidenceRecord>().iter();
            let bins: Vec<&ConfidenceRecord> = bins
                .filter(|r| is_own((r.model.as_str(), r.set.as_str())))
                .collect();
            let title = match models.len() {
                1 => set.to_owned(),
                _ => format!("{set}, {model}"),
            };
            rows.push(vec![
                over_alpha(&title, &alphas, &of_set),
                over_share(&shares),
                systems(&of_set),
                confidences(&bins),
            ]);
        }
    }
    let is_measured = |(mode, count, gated, _): (&str, &str, bool, &str)| {
        let is_own =
            |r: &&Record| r.mode == mode && r.count_rule == count && r.tau.is_empty() != gated;
        records.iter().any(is_own)
    };
    let legend = SYSTEMS.iter().enumerate();
    let legend = legend.filter(|(_, system)| is_measured(**system));
    let legend = legend.map(|(at, (.., name))| LegendEntry {
        label: format!("{} {name}", at + 1),
        group: "system".to_owned(),
        style: style(at),
    });
    let figure = Figure {
        title: "Word error rates of corrected transcripts".to_owned(),
        description: "For each model and set, from the left. Word error rate against the share of the language model, with \
                      95 % bands over utterances; dotted lines are the best hypotheses and, by the reference, the best of \
                      each list and of each lattice. Word error rate against the share of lists that are sent to \
                      correction. Word error rate of each system, with the 95 % interval over resampled utterances; what \
                      the model writes freely is only in the table. Lists by the highest posterior of a hypothesis, blue \
                      where the best hypothesis is right, vermilion where it is wrong."
            .to_owned(),
        rows,
        legend: legend.collect(),
    };
    vec![("asr-correction".to_owned(), figure)]
}

fn style(at: usize) -> Style {
    Style {
        colour: OKABE_ITO[at % OKABE_ITO.len()],
        dash: Dash::Solid,
        marker: match at < OKABE_ITO.len() {
            true => Marker::Circle,
            false => Marker::Square,
        },
    }
}

/// The style of a system.
fn style_of(mode: &str, count: &str) -> Style {
    let mut systems = SYSTEMS.iter();
    let at = systems.position(|system| (system.0, system.1, system.2) == (mode, count, false));
    style(at.unwrap_or(0))
}

fn y() -> Axis {
    Axis::new("Word error rate (%)", Scale::Linear)
}

/// A line for each system among records, which are distinguished by mode and count rule.
fn lines<R>(
    records: &[&R],
    system: impl Fn(&R) -> (&str, &str),
    point: impl Fn(&R) -> Point,
) -> Vec<Mark> {
    let mut marks = Vec::new();
    for (mode, count, _, name) in SYSTEMS.iter().filter(|system| !system.2) {
        let own = records.iter().filter(|r| system(r) == (*mode, *count));
        let points: Vec<Point> = own.map(|r| point(r)).collect();
        if !points.is_empty() {
            marks.push(Mark::Line(Line {
                style: style_of(mode, count),
                label: (*name).to_owned(),
                points,
                side: Side::Left,
            }));
        }
    }
    marks
}

fn over_alpha(title: &str, alphas: &[&AlphaRecord], records: &[&Record]) -> Panel {
    let of = |mode: &str| {
        records
            .iter()
            .find(|r| r.mode == mode && r.count_rule == "free")
    };
    let best = of("best").map(|r| r.wer);
    let oracles = of("lattice").map(|r| [r.list_oracle, r.lattice_oracle]);
    let rules = best.into_iter().chain(oracles.into_iter().flatten());
    let mut marks: Vec<Mark> = rules.map(|y| Mark::Rule(Rule { y, style: None })).collect();
    marks.extend(lines(
        alphas,
        |r| (r.mode.as_str(), r.count_rule.as_str()),
        |r| Point {
            x: r.alpha,
            y: r.wer,
            error: r.wer_se.map(|error| errors_in_interval(None) * error),
        },
    ));
    Panel {
        title: title.to_owned(),
        x: Axis::new("Model's share α", Scale::Linear),
        y: y(),
        y2: None,
        marks,
    }
}

fn over_share(shares: &[&ShareRecord]) -> Panel {
    Panel {
        title: "By the share that is sent".to_owned(),
        x: Axis::new("Utterances sent (%)", Scale::Linear).between(0.0, 100.0),
        y: y(),
        y2: None,
        marks: lines(
            shares,
            |r| (r.mode.as_str(), r.count_rule.as_str()),
            |r| Point {
                x: r.sent_share,
                y: r.wer,
                error: None,
            },
        ),
    }
}

fn systems(records: &[&Record]) -> Panel {
    let mut marks: Vec<Mark> = Vec::new();
    if let Some(first) = records.first() {
        let rules = [first.list_oracle, first.lattice_oracle];
        marks.extend(rules.map(|y| Mark::Rule(Rule { y, style: None })));
    }
    for (at, (mode, count, gated, name)) in SYSTEMS.into_iter().enumerate() {
        let own = records
            .iter()
            .find(|r| r.mode == mode && r.count_rule == count && r.tau.is_empty() != gated);
        let Some(own) = own else { continue };
        let x = (at + 1) as f64;
        marks.push(Mark::Histogram(Histogram {
            style: style(at),
            edges: vec![x - 0.4, x + 0.4],
            counts: vec![own.wer],
        }));
        marks.push(Mark::Scatter(Scatter {
            style: style(at),
            label: name.to_owned(),
            points: vec![Point {
                x,
                y: own.wer,
                error: Some((own.wer_high - own.wer_low) / 2.0),
            }],
            side: Side::Left,
        }));
    }
    Panel {
        title: "Systems".to_owned(),
        x: Axis::new("System", Scale::Integer).between(0.5, SYSTEMS.len() as f64 + 0.5),
        y: y(),
        y2: None,
        marks,
    }
}

fn confidences(bins: &[&ConfidenceRecord]) -> Panel {
    let histogram = |at: usize, count: fn(&ConfidenceRecord) -> usize| {
        let last = bins.last().map(|bin| bin.high);
        Mark::Histogram(Histogram {
            style: style(at),
            edges: bins.iter().map(|bin| bin.low).chain(last).collect(),
            counts: bins.iter().map(|bin| count(bin) as f64).collect(),
        })
    };
    let marks = match bins.is_empty() {
        true => Vec::new(),
        false => vec![
            histogram(RIGHT, |bin| bin.right),
            histogram(WRONG, |bin| bin.wrong),
        ],
    };
    Panel {
        title: "Right and wrong lists".to_owned(),
        x: Axis::new("Highest posterior", Scale::Linear).between(0.0, 1.0),
        y: Axis::new("Lists", Scale::Linear),
        y2: None,
        marks,
    }
}

/// Colours of lists by their best hypothesis.
const RIGHT: usize = 0;
const WRONG: usize = 1;
