//! The drawings.

use super::table::{Intervention, Record};
use crate::core::models;
use crate::core::models::Model;
use crate::core::published::family_name;
use crate::core::table::distinct;
use layerwise_plot::{Axis, Figure, Mark, Panel, Point, Rule, Scale, Scatter, Side};

/// The interventions to draw, with the suffixes of their file names and their titles.
const DRAWN: [(Intervention, &str, &str); 3] = [
    (Intervention::Swap, "swap", "swap ℓ and ℓ+1"),
    (Intervention::Drop, "drop", "drop ℓ"),
    (Intervention::RepeatFive, "repeat", "repeat ℓ…ℓ+4"),
];

/// The drawings with their file names. With one family, a row for each intervention; with several families, as in the paper, a
/// drawing for each intervention with a row for each family.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    if records.is_empty() {
        return Vec::new();
    }
    let models = models::of(
        records
            .iter()
            .map(|r| (r.model.as_str(), r.model_type.as_str())),
    );
    let tasks = distinct(records.iter().map(|r| r.task.as_str()));
    let sizes = tasks.iter().filter_map(|task| {
        let own = records.iter().find(|r| r.task == *task)?;
        Some(format!("{task} {}", own.items))
    });
    let sizes: Vec<String> = sizes.collect();
    let row = |models: &[Model<'_>], intervention: Intervention, title: &str| -> Vec<Panel> {
        let panels = tasks.iter();
        panels
            .map(|task| panel(records, models, intervention, task, title))
            .collect()
    };
    let figure = |title: &str, rows: Vec<Vec<Panel>>, about: &str| Figure {
        title: title.to_owned(),
        description: format!(
            "Rows: {about}. Columns: tasks. Accuracy without length normalisation; dotted lines: the plain models. \
             Horizontal axis: relative depth of block ℓ, of a repeat its middle block. Bars: one standard error, to either \
             side, of the difference from the dotted line, paired by item. Items: {}. Models: {}.",
            sizes.join(", "),
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
            let rows = families
                .iter()
                .map(|family| row(family, intervention, &family_name(family)));
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
            record.task == task && record.model == model.name && record.model_type == model.family
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
            error: record.difference_se,
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
