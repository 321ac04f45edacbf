//! The drawings.

use super::table::{Intervention, Record};
use crate::core::models;
use crate::core::models::Model;
use layerwise_plot::{Axis, ColourMap, Figure, HeatMap, Mark, Panel, Point, RowZero, Rule, Scale};
use ndarray::Array2;

/// The value that a column of panels shows.
#[derive(Clone, Copy)]
enum Quantity {
    Divergence,
    Agreement,
    EntropyDifference,
}

impl Quantity {
    fn axis(self) -> Axis {
        match self {
            Self::Divergence => Axis::new("KL divergence (nats)", Scale::Log10),
            Self::Agreement => Axis::new("Relative accuracy", Scale::Linear).between(0.0, 1.0),
            Self::EntropyDifference => Axis::new("Entropy change (bits)", Scale::Linear),
        }
    }

    fn of(self, record: &Record) -> (f64, Option<f64>) {
        match self {
            Self::Divergence => (record.kl_nats, record.kl_nats_se),
            Self::Agreement => (record.top1_agreement, record.top1_agreement_se),
            Self::EntropyDifference => (
                record.entropy_difference_bits,
                record.entropy_difference_bits_se,
            ),
        }
    }
}

/// The drawings with their file names.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    vec![
        ("robustness".to_owned(), nips_fig5a(records)),
        ("robustness-v1".to_owned(), v1_fig3(records)),
        ("robustness-diagram".to_owned(), diagram()),
    ]
}

/// Blocks of the model in the diagram.
const DIAGRAM_BLOCKS: usize = 6;

/// Figure 13 of the NeurIPS version: the blocks that run, in order, under each swap and each drop of a model of six blocks. It
/// shows no results.
pub fn diagram() -> Figure {
    let panel = |title: &str, rows: usize, change: fn(&mut Vec<usize>, usize)| {
        let mut values = Array2::from_elem((rows, DIAGRAM_BLOCKS), f64::NAN);
        let mut labels = Array2::from_elem((rows, DIAGRAM_BLOCKS), String::new());
        for row in 0..rows {
            let mut blocks: Vec<usize> = (0..DIAGRAM_BLOCKS).collect();
            change(&mut blocks, row);
            for (place, block) in blocks.into_iter().enumerate() {
                values[(row, place)] = block as f64;
                labels[(row, place)] = block.to_string();
            }
        }
        Panel {
            title: title.to_owned(),
            x: Axis::new("Place in the schedule", Scale::Integer),
            y: Axis::new("ℓ", Scale::Integer),
            y2: None,
            marks: vec![Mark::HeatMap(HeatMap {
                values,
                low: 0.0,
                high: (DIAGRAM_BLOCKS - 1) as f64,
                map: ColourMap::Blues,
                row_zero: RowZero::Top,
                labels: Some(labels),
                unit: "Block".to_owned(),
            })],
        }
    };
    Figure {
        title: "Swapping and dropping blocks of a model of six".to_owned(),
        description: "A model of six blocks, none that was measured. Each row is one altered schedule: the numbers are the blocks that run, from left to right. Left: \
                      blocks ℓ and ℓ+1 change places. Right: block ℓ is left out, so that the last place is empty."
            .to_owned(),
        rows: vec![vec![
            panel("Swap ℓ and ℓ+1", DIAGRAM_BLOCKS - 1, |blocks, l| {
                blocks.swap(l, l + 1);
            }),
            panel("Drop ℓ", DIAGRAM_BLOCKS, |blocks, l| {
                blocks.remove(l);
            }),
        ]],
        legend: Vec::new(),
    }
}

/// Figure 5a of the NeurIPS version: swap above drop; divergence and relative accuracy.
pub fn nips_fig5a(records: &[Record]) -> Figure {
    grid(
        records,
        "Robustness to swapping and dropping blocks",
        "Rows: swapping block ℓ with ℓ+1, and dropping block ℓ. Columns: KL(plain ‖ altered) of the output distributions, \
         in nats, and the share of positions whose most probable token stays the same.",
        &[Quantity::Divergence, Quantity::Agreement],
    )
}

/// Figure 3 of v1: like [`nips_fig5a`], with the change of the output's entropy in a third column.
pub fn v1_fig3(records: &[Record]) -> Figure {
    grid(
        records,
        "Robustness to swapping and dropping blocks, with the change of entropy",
        "Rows: swapping block ℓ with ℓ+1, and dropping block ℓ. Columns: KL(plain ‖ altered) of the output distributions, \
         in nats; the share of positions whose most probable token stays the same; the entropy of the \
         altered output less that of the plain one, in bits.",
        &[
            Quantity::Divergence,
            Quantity::Agreement,
            Quantity::EntropyDifference,
        ],
    )
}

fn grid(records: &[Record], title: &str, description: &str, quantities: &[Quantity]) -> Figure {
    let models = models::of(
        records
            .iter()
            .map(|r| (r.model.as_str(), r.model_type.as_str())),
    );
    let rows = [
        (Intervention::Swap, "Swap ℓ and ℓ+1"),
        (Intervention::Drop, "Drop ℓ"),
    ];
    Figure {
        title: title.to_owned(),
        description: format!(
            "{description} Horizontal axis: relative depth of block ℓ. Bands: one standard error. \
             Models: {}.",
            models::names(&models),
        ),
        rows: rows
            .into_iter()
            .map(|(intervention, title)| {
                quantities
                    .iter()
                    .map(|&quantity| panel(records, &models, intervention, title, quantity))
                    .collect()
            })
            .collect(),
        legend: models::legend(&models),
    }
}

fn panel(
    records: &[Record],
    models: &[Model<'_>],
    intervention: Intervention,
    title: &str,
    quantity: Quantity,
) -> Panel {
    let zero = matches!(quantity, Quantity::EntropyDifference).then_some(Mark::Rule(Rule {
        y: 0.0,
        style: None,
    }));
    let own = records
        .iter()
        .filter(|record| record.intervention == intervention);
    let lines = models::lines(models, own, |record| {
        let (y, error) = quantity.of(record);
        let x = record.relative_depth;
        Point { x, y, error }
    });
    Panel {
        title: title.to_owned(),
        x: models::block_axis(),
        y: quantity.axis(),
        y2: None,
        marks: zero
            .into_iter()
            .chain(lines.into_iter().map(Mark::Line))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::{lines_of, relative_depth};
    use crate::core::table::{parse, write};
    use std::path::Path;

    fn record(model: &str, intervention: Intervention, layer: usize, layers: usize) -> Record {
        Record {
            model: model.to_owned(),
            model_type: "gpt2".to_owned(),
            intervention,
            layer,
            layers,
            relative_depth: relative_depth(layer, layers),
            kl_nats: 0.1 + layer as f64,
            kl_nats_se: Some(0.01),
            top1_agreement: 0.75,
            top1_agreement_se: Some(0.0),
            entropy_bits: 4.5,
            entropy_bits_se: Some(0.1),
            entropy_difference_bits: -0.25,
            entropy_difference_bits_se: Some(0.05),
            loss_nats: 3.0,
            loss_nats_se: None,
            sequences: 2,
            positions: 62,
        }
    }

    fn results(model: &str, layers: usize) -> Vec<Record> {
        let dropped = (0..layers).map(|layer| record(model, Intervention::Drop, layer, layers));
        let swapped = (0..layers - 1).map(|layer| record(model, Intervention::Swap, layer, layers));
        dropped.chain(swapped).collect()
    }

    fn text(records: &[Record]) -> String {
        let mut written = Vec::new();
        write(records, &mut written).unwrap();
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn records_survive_a_file() {
        let mut records = results("gpt2, or \"so\"", 3);
        records[0].kl_nats = 1.0 / 3.0;
        records[1].kl_nats = f64::INFINITY;
        records[2].kl_nats_se = None;
        let found =
            parse::<Record>(text(&records).as_bytes(), Path::new("robustness.csv")).unwrap();
        assert_eq!(found, records);
        let none = parse::<Record>(text(&[]).as_bytes(), Path::new("robustness.csv")).unwrap();
        assert_eq!(none, []);
    }

    #[test]
    fn a_mean_that_is_not_a_number_survives_a_file() {
        let mut records = results("gpt2", 2);
        records[0].entropy_bits = f64::NAN;
        let found =
            parse::<Record>(text(&records).as_bytes(), Path::new("robustness.csv")).unwrap();
        assert!(found[0].entropy_bits.is_nan());
    }

    #[test]
    fn a_bad_file_is_refused_with_its_place() {
        let good = text(&results("gpt2", 3));
        let check = |from: &str, to: &str, expected: &str| {
            assert!(good.contains(from), "{from:?} is not in {good}");
            let bad = good.replacen(from, to, 1);
            let error = parse::<Record>(bad.as_bytes(), Path::new("robustness.csv")).expect_err(to);
            let message = error.to_string();
            assert!(message.starts_with("robustness.csv: "), "{message}");
            assert!(message.contains(expected), "{from:?} to {to:?}: {message}");
        };
        check(
            "kl_nats_se,top1",
            "kl_nats,top1",
            "line 1: expected the columns model,",
        );
        check(&good.clone(), "", "line 1: expected the columns model,");
        check(
            "drop",
            "skip",
            "line 2: intervention: expected a value of the column",
        );
        check("drop", "skip", "found \"skip\"");
        check(
            ",0,3,0.0,",
            ",-1,3,0.0,",
            "line 2: layer: expected a value of the column",
        );
        check(
            ",1,3,0.5,",
            ",3,3,0.5,",
            "line 3: layer: expected a block from 0 to 2, found \"3\"",
        );
        check(
            "swap,1,3,0.5,",
            "swap,2,3,1.0,",
            "line 6: layer: expected a block from 0 to 1, found \"2\"",
        );
        check(
            ",0,3,",
            ",0,0,",
            "line 2: layers: expected at least 1 blocks, found \"0\"",
        );
        check(
            ",1,3,0.5,",
            ",1,3,0.4,",
            "line 3: relative_depth: expected 0.5, found \"0.4\"",
        );
        check(
            ",1,3,0.5,",
            ",1,3,NaN,",
            "line 3: relative_depth: expected 0.5, found \"NaN\"",
        );
        check(
            ",0.75,",
            ",1.75,",
            "line 2: top1_agreement: expected a share from 0 to 1, found \"1.75\"",
        );
        check(
            ",0.05,",
            ",-0.05,",
            "line 2: entropy_difference_bits_se: expected a standard error",
        );
        check(
            ",4.5,",
            ",,",
            "line 2: entropy_bits: expected a value of the column",
        );
        check(
            "gpt2,gpt2,drop,1,3,0.5",
            "gpt2,gpt2,drop,0,3,0",
            "line 3: model: expected one line about model \"gpt2\"",
        );
        check(",62\n", "\n", "line: 2");
    }

    #[test]
    fn the_diagram_shows_what_runs() {
        let figure = diagram();
        assert!(figure.description.contains("none that was measured"));
        for (panel, row, expected) in [(0, 2, "013245"), (1, 0, "12345"), (1, 5, "01234")] {
            let Mark::HeatMap(map) = &figure.rows[0][panel].marks[0] else {
                panic!("a map");
            };
            let labels = map.labels.as_ref().unwrap();
            let found: String = labels.row(row).iter().map(String::as_str).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn swaps_stand_above_drops() {
        let mut records = results("gpt2", 5);
        records.reverse();
        for (figure, columns) in [(nips_fig5a(&records), 2), (v1_fig3(&records), 3)] {
            let titles: Vec<Vec<&str>> = figure
                .rows
                .iter()
                .map(|row| row.iter().map(|panel| panel.title.as_str()).collect())
                .collect();
            assert_eq!(
                titles,
                [vec!["Swap ℓ and ℓ+1"; columns], vec!["Drop ℓ"; columns]]
            );
            for panel in &figure.rows[0] {
                let depths: Vec<f64> = lines_of(panel)[0]
                    .points
                    .iter()
                    .map(|point| point.x)
                    .collect();
                assert_eq!(depths, [0.0, 0.25, 0.5, 0.75]);
            }
            for panel in &figure.rows[1] {
                let depths: Vec<f64> = lines_of(panel)[0]
                    .points
                    .iter()
                    .map(|point| point.x)
                    .collect();
                assert_eq!(depths, [0.0, 0.25, 0.5, 0.75, 1.0]);
            }
        }
    }

    #[test]
    fn each_column_shows_its_quantity() {
        let figure = v1_fig3(&results("gpt2", 2));
        let check = |column: usize, label: &str, y: f64, error: f64, rules: usize| {
            let panel = &figure.rows[1][column];
            assert_eq!(panel.y.label, label);
            let point = lines_of(panel)[0].points[0];
            assert_eq!((point.y, point.error), (y, Some(error)), "{label}");
            assert_eq!(panel.marks.len() - 1, rules, "{label}");
        };
        check(0, "KL divergence (nats)", 0.1, 0.01, 0);
        check(1, "Relative accuracy", 0.75, 0.0, 0);
        check(2, "Entropy change (bits)", -0.25, 0.05, 1);
    }

    #[test]
    fn every_model_has_its_line_and_its_entry() {
        let records = [
            results("gpt2-xl", 4),
            results("gpt2", 2),
            results("unheard-of", 3),
        ]
        .concat();
        let figure = nips_fig5a(&records);
        let names: Vec<&str> = figure
            .legend
            .iter()
            .map(|entry| entry.label.as_str())
            .collect();
        assert_eq!(names, ["gpt2", "gpt2-xl", "unheard-of"]);
        for panel in figure.rows.iter().flatten() {
            let lengths: Vec<usize> = lines_of(panel)
                .iter()
                .map(|line| line.points.len())
                .collect();
            assert!(lengths.is_sorted_by(|a, b| a > b), "{lengths:?}");
            for entry in &figure.legend {
                assert!(
                    lines_of(panel).iter().any(|line| line.style == entry.style),
                    "{}",
                    entry.label
                );
            }
        }
    }
}
