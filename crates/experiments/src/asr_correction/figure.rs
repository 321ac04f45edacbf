//! The drawings.

use super::table::{GateRecord, Record};
use crate::core::table::distinct;
use crate::core::tables::Tables;
use layerwise_plot::{
    Axis, Dash, Figure, LegendEntry, Line, Mark, Marker, OKABE_ITO, Panel, Point, Rule, Scale,
    Scatter, Side, Style,
};

/// Systems in the order of the axis: mode, count rule, whether there is a gate, name.
const SYSTEMS: [(&str, &str, bool, &str); 7] = [
    ("best", "free", false, "best"),
    ("vote", "free", false, "vote"),
    ("select", "free", false, "select"),
    ("lattice", "free", false, "lattice"),
    ("lattice", "keep", false, "lattice, same count"),
    ("lattice", "free", true, "lattice, gated"),
    ("lattice", "keep", true, "lattice, same count, gated"),
];

/// The drawing with the name of its file: for each model and set the systems, and what the gate sends.
pub fn drawings(tables: &Tables) -> Vec<(String, Figure)> {
    let records = tables.of::<Record>();
    if records.is_empty() {
        return Vec::new();
    }
    let mut rows = Vec::new();
    for model in distinct(records.iter().map(|r| r.model.as_str())) {
        let own: Vec<&Record> = records.iter().filter(|r| r.model == model).collect();
        for set in distinct(own.iter().map(|r| r.set.as_str())) {
            let of_set: Vec<&Record> = own.iter().copied().filter(|r| r.set == set).collect();
            let gate = tables.of::<GateRecord>().iter();
            let gate = gate.filter(|r| r.model == model && r.set == set && r.score == "posterior");
            let gate: Vec<&GateRecord> = gate.filter(|r| r.tau.is_some()).collect();
            let title = format!("{model}, {set}");
            rows.push(vec![systems(&title, &of_set), sent(&gate)]);
        }
    }
    let legend = SYSTEMS.iter().enumerate();
    let legend = legend.map(|(at, (.., name))| LegendEntry {
        label: format!("{} {name}", at + 1),
        group: "system".to_owned(),
        style: style(at),
    });
    let figure = Figure {
        title: "Word error rates of corrected transcripts".to_owned(),
        description: "For each model and set, left: word error rate of each system, with bars of half the 95 % interval \
                      over resampled utterances divided by 1.96; dotted lines are the best hypothesis and the best path by \
                      the reference. Right: word error rate of the best hypotheses of the utterances that the gate sends, \
                      and of those that it keeps, against the share that it sends."
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
        marker: Marker::Circle,
    }
}

fn systems(title: &str, records: &[&Record]) -> Panel {
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
        marks.push(Mark::Scatter(Scatter {
            style: style(at),
            label: name.to_owned(),
            points: vec![Point {
                x: (at + 1) as f64,
                y: own.wer,
                error: Some((own.wer_high - own.wer_low) / 2.0 / 1.96),
            }],
            side: Side::Left,
        }));
    }
    Panel {
        title: title.to_owned(),
        x: Axis::new("System", Scale::Integer).between(1.0, SYSTEMS.len() as f64),
        y: Axis::new("Word error rate (%)", Scale::Linear),
        y2: None,
        marks,
    }
}

fn sent(gate: &[&GateRecord]) -> Panel {
    let line = |at: usize, label: &str, wer: fn(&GateRecord) -> Option<f64>| {
        let points = gate.iter().filter_map(|r| {
            Some(Point {
                x: r.sent_share,
                y: wer(r)?,
                error: None,
            })
        });
        Mark::Line(Line {
            style: style(at),
            label: label.to_owned(),
            points: points.collect(),
            side: Side::Left,
        })
    };
    Panel {
        title: "Sent (upper) and kept (lower)".to_owned(),
        x: Axis::new("Utterances sent (%)", Scale::Linear).between(0.0, 100.0),
        y: Axis::new("Word error rate (%)", Scale::Linear),
        y2: None,
        marks: vec![
            line(1, "sent", |r| r.wer_sent),
            line(0, "kept", |r| r.wer_kept),
        ],
    }
}
