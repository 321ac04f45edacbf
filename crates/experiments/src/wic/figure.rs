//! The drawings.

use super::table::{Method, Record};
use crate::core::models;
use crate::core::models::Model;
use crate::core::table::distinct;
use layerwise_plot::{Axis, Figure, Line, Mark, Panel, Point, Rule, Scale, Side};

/// The drawing with its file name.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    if records.is_empty() {
        return Vec::new();
    }
    let models = models::of(
        records
            .iter()
            .map(|r| (r.model.as_str(), r.model_type.as_str())),
    );
    // All panels share an axis, so that methods can be compared.
    let ends = records.iter().map(|r| {
        let error = r.accuracy_se.unwrap_or(0.0);
        (r.accuracy - error, r.accuracy + error)
    });
    let ends = ends.filter(|(low, high)| low.is_finite() && high.is_finite());
    let ends = ends.fold((0.5, 0.5), |(low, high): (f64, f64), own| {
        (low.min(own.0), high.max(own.1))
    });
    let sets = distinct(records.iter().map(|r| r.pairs_of.as_str()));
    let sizes = sets.iter().filter_map(|set| {
        let r = records.iter().find(|r| r.pairs_of == *set)?;
        let (train, dev, test) = (r.train_pairs, r.dev_pairs, r.test_pairs);
        Some(format!(
            "{set}: {train} pairs to train, {dev} to choose, {test} to test"
        ))
    });
    let sizes: Vec<String> = sizes.collect();
    let methods = [(Method::Probe, "linear probe"), (Method::Cosine, "cosine")];
    let figure = Figure {
        title: "Word senses, read from each residual stream".to_owned(),
        description: format!(
            "Accuracy on the test pairs, same sense or not, at the target word: a logistic probe, and a threshold on the \
             cosine without training. Dotted line: chance. Horizontal axis: depth of the residual stream s, from the \
             embedding at 0 to the last block's output at 1. Bands: one standard error, clustered by word; it is 0 if all \
             pairs get the same answer, which is right for half of each word's pairs. {}. Models: {}.",
            sizes.join("; "),
            models::names(&models),
        ),
        rows: sets
            .iter()
            .map(|set| {
                methods
                    .map(|(method, title)| {
                        let title = format!("{set}, {title}");
                        panel(records, &models, set, method, &title, ends)
                    })
                    .to_vec()
            })
            .collect(),
        legend: models::legend(&models),
    };
    vec![("wic".to_owned(), figure)]
}

fn panel(
    records: &[Record],
    models: &[Model<'_>],
    set: &str,
    method: Method,
    title: &str,
    (low, high): (f64, f64),
) -> Panel {
    let chance = Mark::Rule(Rule {
        y: 0.5,
        style: None,
    });
    let lines = models.iter().map(|model| {
        let mut own: Vec<&Record> = records
            .iter()
            .filter(|r| r.model == model.name && r.model_type == model.family)
            .filter(|r| r.pairs_of == set && r.method == method)
            .collect();
        own.sort_by_key(|record| record.state);
        let points = own.iter().map(|record| Point {
            x: record.relative_depth,
            y: record.accuracy,
            error: record.accuracy_se,
        });
        Mark::Line(Line {
            style: model.style,
            label: model.name.to_owned(),
            points: points.collect(),
            side: Side::Left,
        })
    });
    Panel {
        title: title.to_owned(),
        x: Axis::new("Relative depth s/L", Scale::Linear).between(0.0, 1.0),
        y: Axis::new("Accuracy", Scale::Linear).between(low, high),
        y2: None,
        marks: [chance].into_iter().chain(lines).collect(),
    }
}
