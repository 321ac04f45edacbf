//! Accuracy on benchmarks under altered schedules.
//!
//! - **Stands for** Figures 15 (swap), 16 (drop) and 24 (repeats of five blocks) of the NeurIPS version, and v3's benchmark figure.
//! - **Needs** any models, and items: LAMBADA, ARC-easy and HellaSwag where their folder is given, else stand-ins made from text.
//! - **Computes** `acc` as lm-evaluation-harness does.
//! - **Feeds the claims** D8, D24.
//!
//! The published figures leave out ℓ = L−1, the dropped last block among them; here nothing is left out. Dotted lines are
//! the plain models, bars one standard error.

use super::models::{self, Model};
use super::table::{self, negative_error, record};
use crate::plot::{Axis, Figure, Mark, Panel, Point, Rule, Scale, Scatter, Side};
use serde::{Deserialize, Serialize};

/// What is done to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intervention {
    /// Nothing.
    None,
    /// Block ℓ is left out.
    Drop,
    /// Blocks ℓ and ℓ+1 change places.
    Swap,
    /// Blocks ℓ to ℓ+4 each run twice in place.
    RepeatFive,
}

record! {
    /// One line of `benchmarks.csv`: one task under one schedule.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// Its family, the `model_type` of its config.
        pub family: String,
        /// The task: `lambada_openai`, `arc_easy`, `hellaswag`, or a stand-in's name.
        pub task: String,
        /// What is done.
        pub intervention: Intervention,
        /// The block ℓ, from 0; empty for the plain model.
        pub layer: Option<usize>,
        /// Blocks of the model, L.
        pub layers: usize,
        /// ℓ/(L−1), for a repeat that of its middle block.
        pub relative_depth: Option<f64>,
        /// Share of items answered rightly.
        pub accuracy: f64,
        /// Its standard error.
        pub accuracy_se: Option<f64>,
        /// Accuracy less the plain model's, paired.
        pub difference: f64,
        /// Its standard error.
        pub difference_se: Option<f64>,
        /// Items.
        pub items: u64,
    }
    key(model, task, intervention, layer) fault(|r| negative_error([("accuracy_se", r.accuracy_se), ("difference_se", r.difference_se)]))
}

/// The interventions that are drawn, with the ends of their files' names and their titles.
const DRAWN: [(Intervention, &str, &str); 3] = [
    (Intervention::Swap, "swap", "swap ℓ and ℓ+1"),
    (Intervention::Drop, "drop", "drop ℓ"),
    (Intervention::RepeatFive, "repeat", "repeat ℓ…ℓ+4"),
];

/// The drawings with the names of their files: of one family a row for each intervention, of several families, as in the
/// paper, a drawing for each intervention with a row for each family.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    if records.is_empty() {
        return Vec::new();
    }
    let models = models::of(
        records
            .iter()
            .map(|r| (r.model.as_str(), r.family.as_str())),
    );
    let tasks = table::distinct(records.iter().map(|r| r.task.as_str()));
    let row = |models: &[Model<'_>], intervention: Intervention, title: &str| -> Vec<Panel> {
        let panels = tasks.iter();
        panels
            .map(|task| panel(records, models, intervention, task, title))
            .collect()
    };
    let figure = |title: &str, rows: Vec<Vec<Panel>>, about: &str| Figure {
        title: title.to_owned(),
        description: format!(
            "Rows: {about}. Columns: tasks. Accuracy without normalisation by length; dotted lines: the plain models. \
             Horizontal axis: relative depth of block ℓ, of a repeat its middle block. Bars: one standard error to either \
             side. Models: {}.",
            models::names(&models),
        ),
        rows,
        legend: models::legend(&models),
    };
    let families = models::families(&models);
    if families.len() == 1 {
        let rows = DRAWN.map(|(intervention, _, title)| row(&models, intervention, title));
        let about =
            "swapping block ℓ with ℓ+1, dropping block ℓ, running blocks ℓ to ℓ+4 twice in place";
        let title = "Benchmark accuracy under swaps, drops and repeats";
        return vec![("benchmarks".to_owned(), figure(title, rows.to_vec(), about))];
    }
    DRAWN
        .into_iter()
        .map(|(intervention, end, title)| {
            let rows = families.iter().map(|family| {
                let name = models::family_name(family[0].family);
                row(family, intervention, name)
            });
            let title = format!("Benchmark accuracy: {title}");
            let figure = figure(&title, rows.collect(), "families");
            (format!("benchmarks-{end}"), figure)
        })
        .collect()
}

fn panel(
    records: &[Record],
    models: &[Model<'_>],
    intervention: Intervention,
    task: &str,
    title: &str,
) -> Panel {
    let mut marks = Vec::new();
    for model in models {
        let own = |record: &&Record| {
            record.task == task && record.model == model.name && record.family == model.family
        };
        let plain = records.iter().filter(own);
        marks.extend(
            plain
                .filter(|record| record.intervention == Intervention::None)
                .map(|record| {
                    Mark::Rule(Rule {
                        y: record.accuracy,
                        style: Some(model.style),
                    })
                }),
        );
        let mut altered: Vec<&Record> = records
            .iter()
            .filter(own)
            .filter(|record| record.intervention == intervention)
            .collect();
        altered.sort_by_key(|record| record.layer);
        let points = altered.iter().map(|record| Point {
            x: record.relative_depth.unwrap_or(f64::NAN),
            y: record.accuracy,
            error: record.accuracy_se,
        });
        marks.push(Mark::Scatter(Scatter {
            style: model.style,
            label: model.name.to_owned(),
            points: points.collect(),
            side: Side::Left,
        }));
    }
    Panel {
        title: format!("{task}, {title}"),
        x: Axis::new("Relative depth ℓ/(L−1)", Scale::Linear).between(0.0, 1.0),
        y: Axis::new("Accuracy", Scale::Linear),
        y2: None,
        marks,
    }
}
