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
    let measured = measured(&records);
    let mut rows = Vec::new();
    let models = distinct(records.iter().map(|r| r.model.as_str()));
    let sets = distinct(records.iter().map(|r| r.set.as_str()));
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
            // What tells the rows apart comes first: a panel is narrow.
            let title = match (models.len(), sets.len()) {
                (1, _) => set.to_owned(),
                (_, 1) => model.to_owned(),
                _ => format!("{model}, {set}"),
            };
            rows.push(vec![
                over_alpha(&title, &alphas, &of_set),
                over_share(&shares),
                systems(&of_set, &measured),
                confidences(&bins),
            ]);
        }
    }
    let legend = measured.iter().enumerate();
    let legend = legend.map(|(place, &at)| LegendEntry {
        label: format!("{} {}", place + 1, SYSTEMS[at].3),
        group: "system".to_owned(),
        style: style(at),
    });
    let mut sizes: Vec<String> = Vec::new();
    for set in &sets {
        // What is written along lattices covers only the first utterances.
        let own = records.iter().filter(|r| r.set == *set);
        if let Some(most) = own.max_by_key(|r| r.utterances) {
            let (utterances, words) = (most.utterances, most.reference_words);
            sizes.push(format!("{set} ({utterances} utterances, {words} words)"));
        }
    }
    let figure = Figure {
        title: "Word error rates of corrected transcripts".to_owned(),
        description: format!(
            "For each model and set, from the left. Word error rate against the share of the language model, with \
             bands of 1.96 standard errors over utterances; dotted lines are the best hypotheses and, by the reference, the best of \
             each list and of each lattice. Word error rate against the share of lists that are sent to \
             correction. Word error rate of each system, with the 95 % interval over resampled utterances; what \
             the model writes freely is only in the table. Lists by the highest posterior of a hypothesis, blue \
             where the best hypothesis is right, vermilion where it is wrong. Sets: {}. Models: {}.",
            sizes.join(", "),
            models.join(", ")
        ),
        rows,
        legend: legend.collect(),
    };
    vec![("asr-correction".to_owned(), figure)]
}

/// Whether a record is of a system.
fn is_of(record: &Record, (mode, count, gated, _): (&str, &str, bool, &str)) -> bool {
    record.mode == mode && record.count_rule == count && record.tau.is_empty() != gated
}

/// The places in [`SYSTEMS`] of those with records.
fn measured(records: &[&Record]) -> Vec<usize> {
    let all = 0..SYSTEMS.len();
    all.filter(|&at| records.iter().any(|r| is_of(r, SYSTEMS[at])))
        .collect()
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

/// A bar for each measured system, with its interval, which need not be symmetric about its rate.
fn systems(records: &[&Record], measured: &[usize]) -> Panel {
    let mut marks: Vec<Mark> = Vec::new();
    if let Some(first) = records.first() {
        let rules = [first.list_oracle, first.lattice_oracle];
        marks.extend(rules.map(|y| Mark::Rule(Rule { y, style: None })));
    }
    for (place, &at) in measured.iter().enumerate() {
        let own = records.iter().find(|r| is_of(r, SYSTEMS[at]));
        let Some(own) = own else { continue };
        let (low, high) = (own.wer_low, own.wer_high);
        let x = place as f64;
        marks.push(Mark::Histogram(Histogram {
            style: style(at),
            edges: vec![x - 0.4, x + 0.4],
            counts: vec![own.wer],
        }));
        let mark = |style: Style, y: f64, error: Option<f64>| {
            Mark::Scatter(Scatter {
                style,
                label: format!("{}, {low:.2} to {high:.2}", SYSTEMS[at].3),
                points: vec![Point { x, y, error }],
                side: Side::Left,
            })
        };
        let bar = Style {
            marker: Marker::None,
            ..style(at)
        };
        marks.push(mark(bar, low.midpoint(high), Some((high - low) / 2.0)));
        marks.push(mark(style(at), own.wer, None));
    }
    Panel {
        title: "Systems".to_owned(),
        x: Axis::new("System", Scale::Integer).named((1..=measured.len()).map(|n| n.to_string())),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn record(model: &str, system: usize) -> Record {
        let (mode, count, gated, _) = SYSTEMS[system];
        let utterances = if mode == "constrained" { 20 } else { 40 };
        Record {
            model: model.to_owned(),
            set: "standin-nbest".to_owned(),
            normaliser: "norm".to_owned(),
            mode: mode.to_owned(),
            count_rule: count.to_owned(),
            alpha: String::new(),
            beta: String::new(),
            theta: None,
            tau: if gated { "0.5" } else { "" }.to_owned(),
            utterances,
            reference_words: 12 * utterances as u64,
            sent: 0,
            sent_share: 0.0,
            substitutions: 9,
            deletions: 2,
            insertions: 1,
            wer: 2.5,
            wer_low: 1.46,
            wer_high: 3.75,
            wer_change: None,
            relative_change: None,
            p_improvement: None,
            p_worsening: None,
            mapsswe_z: None,
            list_oracle: 2.0,
            lattice_oracle: 0.0,
            violations_words: 0,
            violations_count: 0,
            violations_form: 0,
            lm_tokens: 0,
            seconds: None,
        }
    }

    #[test]
    fn bars_reach_from_end_to_end_of_the_interval() {
        let mut tables = Tables::default();
        for model in ["gpt2", "llama"] {
            for system in [0, 3, 7] {
                tables.push(record(model, system));
            }
        }
        let figure = &drawings(&tables)[0].1;
        let titles: Vec<&str> = figure
            .rows
            .iter()
            .map(|row| row[0].title.as_str())
            .collect();
        assert_eq!(titles, ["gpt2", "llama"]);
        let labels: Vec<&str> = figure.legend.iter().map(|e| e.label.as_str()).collect();
        assert_eq!(
            labels,
            ["1 best", "2 lattice", "3 written along the lattice"]
        );
        let said = "Sets: standin-nbest (40 utterances, 480 words). Models: gpt2, llama.";
        assert!(figure.description.ends_with(said), "{}", figure.description);
        let panel = &figure.rows[0][2];
        assert_eq!(panel.x.names, ["1", "2", "3"]);
        let points = panel.marks.iter().filter_map(|mark| match mark {
            Mark::Scatter(scatter) => Some((scatter.style.marker, scatter.points[0])),
            _ => None,
        });
        let points: Vec<(Marker, Point)> = points.collect();
        assert_eq!(points.len(), 2 * 3);
        for (marker, point) in points {
            let Some(error) = point.error else {
                assert_eq!(point.y, 2.5);
                continue;
            };
            assert_eq!(marker, Marker::None);
            assert!((point.y - error - 1.46).abs() < 1e-12);
            assert!((point.y + error - 3.75).abs() < 1e-12);
        }
    }
}
