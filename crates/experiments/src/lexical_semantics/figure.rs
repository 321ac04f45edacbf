//! The drawings.

use super::published::{Published, published};
use super::table::{Part, Record, Removal, Setting, is_published};
use crate::core::models;
use crate::core::models::state_depth;
use crate::core::table::distinct;
use crate::core::tables::Tables;
use crate::wic;
use layerwise_plot::{
    Axis, Colour, Dash, Figure, LegendEntry, Line, Mark, Marker, OKABE_ITO, Panel, Point, Rule,
    Scale, Scatter, Side, Style,
};

/// Published curves.
const GREY: [Colour; 3] = [
    Colour(0xa0, 0xa0, 0xa0),
    Colour(0xc8, 0xc8, 0xc8),
    Colour(0x70, 0x70, 0x70),
];

/// The drawings with their file names: for one model its curves by setting, for several models a panel for each setting.
pub fn drawings(tables: &Tables) -> Vec<(String, Figure)> {
    let records = tables.of::<Record>();
    let named = records
        .iter()
        .map(|r| (r.model.as_str(), r.model_type.as_str()));
    let models = models::of(named);
    let figure = match models.as_slice() {
        [] => return Vec::new(),
        [model] => of_one(model.name, tables),
        models => of_several(records, models),
    };
    vec![("lexical-semantics".to_owned(), figure)]
}

fn colour(setting: Setting) -> Colour {
    OKABE_ITO[match setting {
        Setting::Base => 0,
        Setting::Repeat => 1,
        Setting::RepeatPrev => 2,
        Setting::Prompt2 => 3,
        Setting::Prompt1 => 4,
        Setting::RepeatPrevToken => 5,
    }]
}

fn style(setting: Setting, dash: Dash) -> Style {
    Style {
        colour: colour(setting),
        dash,
        marker: Marker::Circle,
    }
}

/// The probe of the experiment `wic`.
const PROBE: Style = Style {
    colour: OKABE_ITO[6],
    dash: Dash::DashDotted,
    marker: Marker::Diamond,
};

/// The records of one curve, in the order of their states; published states are read after the final norm.
fn own(records: &[Record], set: &str, setting: Setting, aniso: Removal, pos: Part) -> Vec<Record> {
    let own = records.iter().filter(|r| {
        let curve = (r.setting, r.aniso, r.pos) == (setting, aniso, pos);
        r.pairs_of == set && curve && is_published(r.state, r.normed, r.layers)
    });
    let mut own: Vec<Record> = own.cloned().collect();
    own.sort_by_key(|r| r.state);
    own
}

fn accuracy(record: &Record) -> Point {
    Point {
        x: record.relative_depth,
        y: 100.0 * record.test_accuracy,
        error: Some(100.0 * record.test_accuracy_se),
    }
}

/// A curve, and a star at its maximum.
fn starred(style: Style, label: &str, points: Vec<Point>) -> Vec<Mark> {
    let best = points
        .iter()
        .copied()
        .reduce(|best, next| match next.y > best.y {
            true => next,
            false => best,
        });
    let star = best.map(|best| {
        Mark::Scatter(Scatter {
            style: Style {
                marker: Marker::Star,
                ..style
            },
            label: format!("{label}, best"),
            points: vec![Point {
                error: None,
                ..best
            }],
            side: Side::Left,
        })
    });
    let line = Mark::Line(Line {
        style,
        label: label.to_owned(),
        points,
        side: Side::Left,
    });
    [Some(line), star].into_iter().flatten().collect()
}

fn panel(title: &str, y: &str, marks: Vec<Mark>) -> Panel {
    Panel {
        title: title.to_owned(),
        x: Axis::new("Relative depth s/L", Scale::Linear).between(0.0, 1.0),
        y: Axis::new(y, Scale::Linear),
        y2: None,
        marks,
    }
}

const PERCENT: &str = "Accuracy (%)";

fn chance(y: f64) -> Mark {
    Mark::Rule(Rule { y, style: None })
}

/// The published curves of some settings, each in its own shade of grey.
fn grey(data: &[Published], settings: &[(&str, Setting)]) -> Vec<Mark> {
    let curves = settings.iter().zip(GREY).map(|((model, setting), colour)| {
        let own = data
            .iter()
            .filter(|p| p.model == *model && p.setting == *setting);
        let own: Vec<&Published> = own.collect();
        let last = own.len().saturating_sub(1);
        let points = own.iter().map(|p| Point {
            x: state_depth(p.state, last),
            y: p.percent,
            error: None,
        });
        Mark::Line(Line {
            style: Style {
                colour,
                dash: Dash::Solid,
                marker: Marker::Square,
            },
            label: format!("{model}, {}, published", setting.name()),
            points: points.collect(),
            side: Side::Left,
        })
    });
    curves.collect()
}

fn of_one(model: &str, tables: &Tables) -> Figure {
    let records = tables.of::<Record>();
    let sets = distinct(records.iter().map(|r| r.pairs_of.as_str()));
    let rows = sets.iter().flat_map(|set| panels(set, tables));
    let settings = Setting::ALL.into_iter().map(|setting| LegendEntry {
        label: setting.name().to_owned(),
        group: "setting".to_owned(),
        style: style(setting, Dash::Dashed),
    });
    let others = [
        ("linear probe", PROBE),
        (
            "published, first named",
            Style {
                colour: GREY[0],
                dash: Dash::Solid,
                marker: Marker::Square,
            },
        ),
        (
            "published, second named",
            Style {
                colour: GREY[1],
                dash: Dash::Solid,
                marker: Marker::Square,
            },
        ),
        (
            "published, third named",
            Style {
                colour: GREY[2],
                dash: Dash::Solid,
                marker: Marker::Square,
            },
        ),
    ];
    let has_published = sets.contains(&"wic");
    let others = others.into_iter().enumerate();
    let others = others.filter(|(at, _)| *at == 0 || has_published);
    let others = others.map(|(_, (label, style))| LegendEntry {
        label: label.to_owned(),
        group: "other".to_owned(),
        style,
    });
    Figure {
        title: format!("Word senses by the cosine of states of {model}"),
        description: format!(
            "Accuracy on the test pairs, same sense or not, by a threshold on the cosine chosen on the development \
             pairs, without training; chance is the dotted line. Horizontal axis: depth of the residual \
             stream s, from the embedding at 0 to the last block's output at 1, which is read after the final \
             norm; squares at 1 are read without the norm. Stars: the best state. Bands: one binomial standard \
             error. Panels: at the word in its sentence and in its repetition, with the \
             linear probe; at the word's repetition, before it, and at the end of a prompt; with (dashed) and \
             without (dotted) removal of what all words share; nouns (dashed) and verbs (dotted); the chosen \
             thresholds; the area under the ROC curve, which needs no threshold.{}",
            match has_published {
                true => {
                    " Grey: published curves, in (a) of Llama-2-7B base and repeat and of BERT-large base, in (b) of \
                     Llama-2-7B prompt2 and repeat_prev."
                }
                false => "",
            }
        ),
        rows: models::on_equal_axes(&rows.collect::<Vec<_>>()),
        legend: settings.chain(others).collect(),
    }
}

fn panels(set: &str, tables: &Tables) -> Vec<Vec<Panel>> {
    use Setting::{Base, Prompt2, Repeat, RepeatPrev};
    let records = tables.of::<Record>();
    let data = match set {
        "wic" => published().unwrap_or_default(),
        _ => Vec::new(),
    };
    let curve = |setting: Setting| {
        let own = own(records, set, setting, Removal::Batch, Part::All);
        let points = own.iter().map(accuracy).collect();
        let mut marks = starred(style(setting, Dash::Dashed), setting.name(), points);
        marks.extend(raw_last(records, set, setting));
        marks
    };
    let probe = tables.of::<wic::Record>().iter();
    let probe = probe.filter(|r| r.pairs_of == set && r.method == wic::Method::Probe);
    let probe = probe.map(|r| Point {
        x: r.relative_depth,
        y: 100.0 * r.accuracy,
        error: r.accuracy_se.map(|error| 100.0 * error),
    });
    let llama = "Llama-2-7B";
    let mut senses = vec![chance(50.0)];
    let published = [(llama, Base), (llama, Repeat), ("BERT-large", Base)];
    senses.extend(grey(&data, &published));
    senses.extend([Base, Repeat].into_iter().flat_map(curve));
    senses.extend(starred(PROBE, "linear probe", probe.collect()));
    let mut predictions = vec![chance(50.0)];
    predictions.extend(grey(&data, &[(llama, Prompt2), (llama, RepeatPrev)]));
    predictions.extend([Prompt2, Repeat, RepeatPrev].into_iter().flat_map(curve));
    let both = |settings: &[Setting], ways: [(Removal, Part, Dash, &str); 2]| {
        let mut marks = vec![chance(50.0)];
        for &setting in settings {
            for (aniso, pos, dash, name) in ways {
                let own = own(records, set, setting, aniso, pos);
                let label = format!("{} {name}", setting.name());
                marks.extend(starred(
                    style(setting, dash),
                    &label,
                    own.iter().map(accuracy).collect(),
                ));
            }
        }
        marks
    };
    let removal = both(
        &[Base, Repeat, Prompt2],
        [
            (Removal::Batch, Part::All, Dash::Dashed, "with removal"),
            (Removal::None, Part::All, Dash::Dotted, "without removal"),
        ],
    );
    let parts = both(
        &[Base, Prompt2],
        [
            (Removal::Batch, Part::Noun, Dash::Dashed, "nouns"),
            (Removal::Batch, Part::Verb, Dash::Dotted, "verbs"),
        ],
    );
    let each = |value: fn(&Record) -> Option<f64>| {
        let line = |setting: Setting| {
            let own = own(records, set, setting, Removal::Batch, Part::All);
            let points = own.iter().filter_map(|r| {
                Some(Point {
                    x: r.relative_depth,
                    y: value(r)?,
                    error: None,
                })
            });
            Mark::Line(Line {
                style: style(setting, Dash::Dashed),
                label: setting.name().to_owned(),
                points: points.collect(),
                side: Side::Left,
            })
        };
        Setting::ALL.into_iter().map(line).collect::<Vec<Mark>>()
    };
    let thresholds = each(|r| Some(r.threshold));
    let mut areas = vec![chance(0.5)];
    areas.extend(each(|r| r.auc));
    vec![
        vec![
            panel(&format!("{set}: at the word"), PERCENT, senses),
            panel("Before it, and by prompt", PERCENT, predictions),
            panel("With and without removal", PERCENT, removal),
        ],
        vec![
            panel("Nouns and verbs", PERCENT, parts),
            panel("Chosen thresholds", "Cosine", thresholds),
            panel("Without a threshold", "Area under the ROC curve", areas),
        ],
    ]
}

/// The last residual stream without the final norm, next to the one after it.
fn raw_last(records: &[Record], set: &str, setting: Setting) -> Option<Mark> {
    let own = records.iter().find(|r| {
        let curve = (r.setting, r.aniso, r.pos) == (setting, Removal::Batch, Part::All);
        r.pairs_of == set && curve && r.state == r.layers && !r.normed
    })?;
    Some(Mark::Scatter(Scatter {
        style: Style {
            marker: Marker::Square,
            ..style(setting, Dash::Dashed)
        },
        label: format!("{}, last without the final norm", setting.name()),
        points: vec![Point {
            error: None,
            ..accuracy(own)
        }],
        side: Side::Left,
    }))
}

fn of_several(records: &[Record], models: &[models::Model<'_>]) -> Figure {
    let sets = distinct(records.iter().map(|r| r.pairs_of.as_str()));
    let panel_of = |set: &str, setting: Setting| {
        let mut marks = vec![chance(50.0)];
        for model in models {
            let of_model = records.iter().filter(|r| r.model == model.name);
            let of_model: Vec<Record> = of_model.cloned().collect();
            let own = own(&of_model, set, setting, Removal::Batch, Part::All);
            marks.extend(starred(
                model.style,
                model.name,
                own.iter().map(accuracy).collect(),
            ));
        }
        panel(&format!("{set}: {}", setting.name()), PERCENT, marks)
    };
    let rows = sets.iter().flat_map(|set| {
        let settings = Setting::ALL.map(|setting| panel_of(set, setting));
        let [a, b, c, d, e, f] = settings;
        [vec![a, b, c], vec![d, e, f]]
    });
    Figure {
        title: "Word senses by the cosine of states, in six settings".to_owned(),
        description: format!(
            "Accuracy on the test pairs, same sense or not, by a threshold on the cosine chosen on the development pairs, \
             without training; one panel for each setting. Dotted line: chance. Horizontal axis: depth of the residual \
             stream s; the last is read after the final norm. Stars: the best state. Bands: one binomial standard error to \
             either side. Models: {}.",
            models::names(models),
        ),
        rows: models::on_equal_axes(&rows.collect::<Vec<_>>()),
        legend: models::legend(models),
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::*;
    use crate::core::testing::small;

    #[test]
    fn published_curves_are_told_of_where_they_are_drawn() {
        let check = |set: &str, expected: bool| {
            let mut tables = Tables::default();
            synthetic::add(&small(), &mut tables);
            for record in tables.of_mut::<Record>() {
                record.pairs_of = set.to_owned();
            }
            let figure = &drawings(&tables)[0].1;
            let mut legend = figure.legend.iter();
            let found = [
                figure.description.contains("published"),
                legend.any(|entry| entry.label.starts_with("published")),
            ];
            assert_eq!(found, [expected; 2], "{set}");
        };
        check("wic", true);
        check("standin-wic", false);
    }
}
