//! Whether a word has the same sense in two contexts, read from each residual stream.
//!
//! - **Stands for** Figures 7a and 18 of the NeurIPS version, and v3's WiC figure.
//! - **Needs** any models, and word-in-context pairs: the real set where its folder is given, else a stand-in made from text.
//! - **Feeds the claims** D12, D13.

use super::models::{self, Model};
use super::table::{self, negative_error, record};
use crate::plot::{Axis, Figure, Line, Mark, Panel, Point, Rule, Scale, Side};
use serde::{Deserialize, Serialize};

/// How the label is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Logistic regression on [h₁; h₂; |h₁−h₂|; h₁⊙h₂], standardised, with L2 chosen on the development pairs (B.12).
    Probe,
    /// Cosine above a threshold chosen on the development pairs, dimensions standardised within batches (F.3); no training.
    Cosine,
}

record! {
    /// One line of `wic.csv`: one method on one residual stream.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// Its family, the `model_type` of its config.
        pub family: String,
        /// The set of pairs: `wic`, or the stand-in's name.
        pub pairs_of: String,
        /// How the label is read.
        pub method: Method,
        /// The residual stream s: 0 is the embedding, s the output of block s−1.
        pub state: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// s/L.
        pub relative_depth: f64,
        /// Accuracy on the test pairs; chance is 0.5.
        pub accuracy: f64,
        /// Its standard error, clustered by word.
        pub accuracy_se: Option<f64>,
        /// The inverse penalty C, or the threshold, that the development pairs chose.
        pub chosen: f64,
        /// Pairs for training.
        pub train_pairs: u64,
        /// Pairs for choosing.
        pub dev_pairs: u64,
        /// Pairs for testing.
        pub test_pairs: u64,
    }
    key(model, pairs_of, method, state) fault(|r| negative_error([("accuracy_se", r.accuracy_se)]))
}

/// The drawing with the name of its file.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    if records.is_empty() {
        return Vec::new();
    }
    let models = models::of(
        records
            .iter()
            .map(|r| (r.model.as_str(), r.family.as_str())),
    );
    let sets = table::distinct(records.iter().map(|r| r.pairs_of.as_str()));
    let methods = [(Method::Probe, "linear probe"), (Method::Cosine, "cosine")];
    let figure = Figure {
        title: "Word senses, read from each residual stream".to_owned(),
        description: format!(
            "Accuracy on the test pairs, same sense or not, at the target word: a logistic probe, and a threshold on the \
             cosine without training. Dotted line: chance. Horizontal axis: depth of the residual stream s, from the \
             embedding at 0 to the last block's output at 1. Bands: one standard error to either side, clustered by word. \
             Models: {}.",
            models::names(&models),
        ),
        rows: sets
            .iter()
            .map(|set| {
                methods
                    .map(|(method, title)| {
                        panel(records, &models, set, method, &format!("{set}, {title}"))
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
) -> Panel {
    let chance = Mark::Rule(Rule {
        y: 0.5,
        style: None,
    });
    let lines = models.iter().map(|model| {
        let mut own: Vec<&Record> = records
            .iter()
            .filter(|r| r.model == model.name && r.family == model.family)
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
        y: Axis::new("Accuracy", Scale::Linear),
        y2: None,
        marks: [chance].into_iter().chain(lines).collect(),
    }
}
