//! The drawings.

use super::table::Record;
use crate::core::models;
use crate::core::models::Model;
use layerwise_plot::{Axis, Figure, Mark, Panel, Point, Rule, Scale};

/// The drawings with their file names.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    vec![("repeats".to_owned(), nips_fig12c(records))]
}

/// The left column shows the change from the plain model, with the standard error of paired differences; the right column shows
/// Figures 22 (three blocks), 12c and 23 (five) of the NeurIPS version.
pub fn nips_fig12c(records: &[Record]) -> Figure {
    let models = models::of(
        records
            .iter()
            .map(|r| (r.model.as_str(), r.model_type.as_str())),
    );
    Figure {
        title: "Entropy of the output when a run of blocks is repeated".to_owned(),
        description: format!(
            "Each block of a run of three, or five, runs twice in place. Left: the entropy of the output in bits minus the plain \
             model's, position by position. Right: its mean; dotted: the plain model's. Horizontal axis: relative depth of the \
             run's middle block. Bands: one standard error, clustered by sequence. The last run contains the \
             last block. Models: {}.",
            models::names(&models)
        ),
        rows: [3, 5]
            .map(|blocks| {
                vec![
                    change(records, &models, blocks),
                    entropy(records, &models, blocks),
                ]
            })
            .to_vec(),
        legend: models::legend(&models),
    }
}

fn entropy(records: &[Record], models: &[Model<'_>], blocks: usize) -> Panel {
    let own = records.iter().filter(|r| r.blocks == blocks);
    let baselines = models.iter().filter_map(|model| {
        let plain = own.clone().find(|r| r.model == model.name)?;
        Some(Mark::Rule(Rule {
            y: plain.plain_entropy_bits,
            style: Some(model.style),
        }))
    });
    let lines = models::lines(models, own.clone(), |r| Point {
        x: r.relative_depth,
        y: r.entropy_bits,
        error: r.entropy_bits_se,
    });
    Panel {
        title: format!("{blocks} blocks repeated"),
        x: axis(),
        y: Axis::new("Entropy (bits)", Scale::Linear),
        y2: None,
        marks: baselines.chain(lines.into_iter().map(Mark::Line)).collect(),
    }
}

fn change(records: &[Record], models: &[Model<'_>], blocks: usize) -> Panel {
    let own = records.iter().filter(|r| r.blocks == blocks);
    let lines = models::lines(models, own, |r| Point {
        x: r.relative_depth,
        y: r.entropy_difference_bits,
        error: r.entropy_difference_bits_se,
    });
    let zero = Mark::Rule(Rule {
        y: 0.0,
        style: None,
    });
    Panel {
        title: format!("{blocks} blocks repeated, change"),
        x: axis(),
        y: Axis::new("Entropy change (bits)", Scale::Linear),
        y2: None,
        marks: std::iter::once(zero)
            .chain(lines.into_iter().map(Mark::Line))
            .collect(),
    }
}

fn axis() -> Axis {
    Axis::new("Relative depth of middle block", Scale::Linear).between(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::lines_of;

    fn record(model: &str, blocks: usize, start: usize) -> Record {
        Record {
            model: model.to_owned(),
            model_type: "gpt2".to_owned(),
            blocks,
            start,
            layers: 12,
            relative_depth: models::relative_depth(start + blocks / 2, 12),
            entropy_bits: 4.0 + start as f64,
            entropy_bits_se: Some(0.1),
            plain_entropy_bits: if model == "gpt2" { 5.0 } else { 4.5 },
            entropy_difference_bits: start as f64 - 1.0,
            entropy_difference_bits_se: Some(0.01),
            kl_nats: 0.5,
            kl_nats_se: None,
            loss_difference_nats: 0.1,
            loss_difference_nats_se: None,
            sequences: 3,
            positions: 30,
        }
    }

    #[test]
    fn each_run_length_has_a_row_with_baselines() {
        let records: Vec<Record> = ["gpt2", "gpt2-xl"]
            .into_iter()
            .flat_map(|model| {
                [(3, 0), (3, 9), (5, 7)].map(|(blocks, start)| record(model, blocks, start))
            })
            .collect();
        let figure = nips_fig12c(&records);
        for (row, (title, points)) in figure
            .rows
            .iter()
            .zip([("3 blocks repeated", 2), ("5 blocks repeated", 1)])
        {
            assert_eq!(row[1].title, title);
            let baselines: Vec<f64> = row[1]
                .marks
                .iter()
                .filter_map(|mark| match mark {
                    Mark::Rule(rule) => rule.style.map(|_| rule.y),
                    _ => None,
                })
                .collect();
            assert_eq!(baselines, [5.0, 4.5]);
            for panel in row {
                let lines = lines_of(panel);
                assert_eq!(lines.len(), 2);
                assert!(lines.iter().all(|line| line.points.len() == points));
            }
        }
        let point = lines_of(&figure.rows[0][0])[0].points[1];
        assert_eq!(
            (point.x, point.y, point.error),
            (10.0 / 11.0, 8.0, Some(0.01))
        );
    }
}
