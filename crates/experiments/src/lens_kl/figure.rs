//! The drawings.

use super::table::Record;
use crate::core::lens::Lens;
use crate::core::models;
use crate::core::models::Model;
use crate::core::published::family_name;
use crate::neurons;
use layerwise_plot::{
    Axis, Colour, Dash, Figure, LegendEntry, Line, Mark, Marker, Panel, Point, Rule, Scale, Side,
    Style,
};

/// Columns of a drawing at most.
const COLUMNS: usize = 3;

/// The drawings with their file names: Figure 8 of the NeurIPS version with its standard lens, that of v1 and v3 with the
/// legacy lens, beside it where the models are of one family, else in a drawing of its own; and the divergence in the other
/// direction (G.3).
pub fn drawings(records: &[Record], neurons: &[neurons::Record]) -> Vec<(String, Figure)> {
    let models = models::of(
        records
            .iter()
            .map(|r| (r.model.as_str(), r.model_type.as_str())),
    );
    let families = models::families(&models);
    let of = |lenses: &[Lens]| stacked(records, neurons, &models, lenses);
    let mut drawings = match families.len() {
        0 => return Vec::new(),
        1 => vec![("lens-kl", of(&Lens::BOTH))],
        _ => vec![
            ("lens-kl", of(&[Lens::Standard])),
            ("lens-kl-legacy", of(&[Lens::Legacy])),
        ],
    };
    drawings.push(("lens-kl-reverse", reverse(records, &models)));
    let named = drawings.into_iter();
    named
        .map(|(name, figure)| (name.to_owned(), figure))
        .collect()
}

/// A column for each family and lens, whose panels have one horizontal axis: the divergence, what each block takes off it, and the
/// neurons of the blocks.
fn stacked(
    records: &[Record],
    neurons: &[neurons::Record],
    models: &[Model<'_>],
    lenses: &[Lens],
) -> Figure {
    let found = neurons::figure::are_found(neurons);
    let column = |family: &[Model<'_>], lens: Lens| {
        let own = records.iter().filter(|r| r.lens == lens);
        let lines = models::lines(family, own, forward);
        let mut falls: Vec<Mark> = vec![Mark::Rule(Rule {
            y: 0.0,
            style: None,
        })];
        falls.extend(lines.iter().map(fall).map(Mark::Line));
        let panel = |title: &str, y: Axis, marks: Vec<Mark>| Panel {
            title: title.to_owned(),
            x: models::state_axis(),
            y,
            y2: None,
            marks,
        };
        let mut column = vec![
            divergence(family, lens, lines, "KL(output ‖ lens)"),
            panel(
                "Fall of KL by block",
                Axis::new("Fall of KL (nats)", Scale::Linear),
                falls,
            ),
        ];
        if found {
            let axis = neurons::figure::density_axis(neurons);
            let marks = densities(family, neurons).into_iter().map(Mark::Line);
            column.push(panel("Neurons by block", axis, marks.collect()));
        }
        column
    };
    let families = models::families(models);
    let columns: Vec<Vec<Panel>> = families
        .iter()
        .flat_map(|family| lenses.iter().map(|&lens| column(family, lens)))
        .collect();
    let mut legend = models::legend_with_mean(models);
    if !neurons.is_empty() {
        let grey = Style {
            colour: match found {
                true => Colour(0x55, 0x55, 0x55),
                false => Colour(0xb0, 0xb0, 0xb0),
            },
            dash: Dash::Solid,
            marker: Marker::Circle,
        };
        legend.extend(DENSITIES.map(|(name, dash, marker)| LegendEntry {
            label: match found {
                true => format!("{name} neurons"),
                false => format!("{name} neurons: none found"),
            },
            group: "neurons".to_owned(),
            style: Style {
                dash,
                marker,
                ..grey
            },
        }));
    }
    Figure {
        title: "Divergence of the logit lens from the output".to_owned(),
        description: format!(
            "Above: mean KL(output ‖ lens) of each residual stream s in nats, with the final norm recomputed on each stream \
             (standard lens), or every stream divided by the scale of the last, without bias (legacy lens). Below it: what \
             each block but the first takes off that divergence. At the bottom, where there are any: prediction and suppression \
             neurons in percent of their block, on a logarithmic axis at whose lower end blocks without any lie. Horizontal axis: relative depth, from the embedding, drawn as a \
             separate point, to the output; a block is drawn between the streams that it reads and writes, at (ℓ+½)/L. An open \
             marker is beyond its axis. Bands: one standard error to either side. Models: {}.",
            models::names(models)
        ),
        rows: columns.chunks(COLUMNS).flat_map(rows_of_columns).collect(),
        legend,
    }
}

/// The divergence in the other direction: a row for each lens, a column for each family.
fn reverse(records: &[Record], models: &[Model<'_>]) -> Figure {
    let column = |family: &[Model<'_>]| {
        Lens::BOTH
            .map(|lens| {
                let own = records.iter().filter(|r| r.lens == lens);
                let lines = models::lines(family, own, |r| Point {
                    x: r.relative_depth,
                    y: r.reverse_kl_nats,
                    error: r.reverse_kl_nats_se,
                });
                divergence(family, lens, lines, "KL(lens ‖ output)")
            })
            .to_vec()
    };
    let columns = models::families(models).into_iter().map(column);
    let columns: Vec<Vec<Panel>> = columns.collect();
    Figure {
        title: "Divergence of the output from the logit lens".to_owned(),
        description: format!(
            "Mean KL(lens ‖ output) of each residual stream in nats, through the standard and the legacy lens. Horizontal axis: \
             relative depth, from the embedding, drawn as a separate point, to the output; an open marker is beyond its axis. \
             Bands: one standard error to either side. Models: {}.",
            models::names(models)
        ),
        rows: columns.chunks(COLUMNS).flat_map(rows_of_columns).collect(),
        legend: models::legend_with_mean(models),
    }
}

/// The rows of columns of equal length.
fn rows_of_columns(columns: &[Vec<Panel>]) -> Vec<Vec<Panel>> {
    let length = columns.first().map_or(0, Vec::len);
    let row = |row: usize| columns.iter().map(|column| column[row].clone()).collect();
    (0..length).map(row).collect()
}

fn forward(record: &Record) -> Point {
    Point {
        x: record.relative_depth,
        y: record.kl_nats,
        error: record.kl_nats_se,
    }
}

/// A panel of a family's divergences through a lens.
fn divergence(family: &[Model<'_>], lens: Lens, lines: Vec<Line>, quantity: &str) -> Panel {
    let upper = models::upper_end(&lines);
    let mut lines = models::embedding_apart(lines);
    let after_blocks = lines.iter().filter(|line| line.points[0].x > 0.0);
    let after_blocks: Vec<Line> = after_blocks.cloned().collect();
    lines.extend(models::mean(&after_blocks));
    Panel {
        title: format!("{}, {}", family_name(family), lens.title().to_lowercase()),
        x: models::state_axis(),
        y: Axis {
            min: Some(0.0),
            max: upper,
            ..Axis::new(format!("{quantity} (nats)"), Scale::Linear)
        },
        y2: None,
        marks: lines.into_iter().map(Mark::Line).collect(),
    }
}

/// What each block but the first takes off a divergence; the first begins at the embedding, whose lens reads the input.
fn fall(line: &Line) -> Line {
    let blocks = line.points.windows(2).filter(|pair| pair[0].x > 0.0);
    let falls = blocks.map(|pair| Point {
        x: pair[0].x.midpoint(pair[1].x),
        y: pair[0].y - pair[1].y,
        error: None,
    });
    Line {
        points: falls.collect(),
        ..line.clone()
    }
}

/// Name, line and marker of the densities of neurons; the colour is the model's.
const DENSITIES: [(&str, Dash, Marker); 2] = [
    ("Prediction", Dash::Dashed, Marker::Triangle),
    ("Suppression", Dash::Dotted, Marker::TriangleDown),
];

fn densities(family: &[Model<'_>], neurons: &[neurons::Record]) -> Vec<Line> {
    let percent: [fn(&neurons::Record) -> f64; 2] =
        [|r| r.prediction_percent, |r| r.suppression_percent];
    let lines = DENSITIES.into_iter().zip(percent);
    lines
        .flat_map(|((name, dash, marker), percent)| {
            let lines = models::lines(family, neurons.iter(), |r: &neurons::Record| Point {
                x: (r.layer as f64 + 0.5) / r.layers.max(1) as f64,
                y: percent(r),
                error: None,
            });
            lines.into_iter().map(move |line| Line {
                style: Style {
                    dash,
                    marker,
                    ..line.style
                },
                label: format!("{}, {}", line.label, name.to_lowercase()),
                side: Side::Left,
                ..line
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::{lines_of, relative_depth, state_depth};

    fn records(model: &str, family: &str) -> Vec<Record> {
        let record = |(lens, state): (Lens, usize)| Record {
            model: model.to_owned(),
            model_type: family.to_owned(),
            lens,
            state,
            layers: 2,
            relative_depth: state_depth(state, 2),
            kl_nats: if lens == Lens::Standard { 3.0 } else { 6.0 },
            kl_nats_se: Some(0.1),
            reverse_kl_nats: if lens == Lens::Standard { 4.0 } else { 8.0 },
            reverse_kl_nats_se: Some(0.2),
            top1_agreement: 0.5,
            top1_agreement_se: None,
            sequences: 3,
            positions: 30,
        };
        let lenses = [Lens::Standard, Lens::Legacy];
        let keys = lenses
            .into_iter()
            .flat_map(|lens| (0..3).map(move |state| (lens, state)));
        keys.map(record).collect()
    }

    fn neurons_of(model: &str) -> Vec<neurons::Record> {
        let record = |layer: usize| neurons::Record {
            model: model.to_owned(),
            model_type: "gpt2".to_owned(),
            layer,
            layers: 2,
            relative_depth: relative_depth(layer, 2),
            neurons: 100,
            prediction: 7,
            suppression: 2,
            partition: 0,
            prediction_percent: 7.0,
            suppression_percent: 2.0,
            prediction_above_8_percent: 7.0,
            suppression_above_8_percent: 2.0,
            prediction_above_12_percent: 7.0,
            suppression_above_12_percent: 2.0,
            prediction_by_third_moment_percent: 7.0,
            suppression_by_third_moment_percent: 2.0,
            partition_percent: 0.0,
            kurtosis_p05: 3.0,
            kurtosis_p25: 3.0,
            kurtosis_p50: 3.0,
            kurtosis_p75: 3.0,
            kurtosis_p95: 3.0,
            skewness_p05: 0.0,
            skewness_p25: 0.0,
            skewness_p50: 0.0,
            skewness_p75: 0.0,
            skewness_p95: 0.0,
            heavy_skewness_p50: None,
        };
        (0..2).map(record).collect()
    }

    /// A drawing of the records of models in these families, with the neurons of `gpt2`.
    fn drawn(families: &[&str], counted: bool, name: &str) -> Figure {
        let records = families.iter().flat_map(|family| records(family, family));
        let neurons = if counted {
            neurons_of("gpt2")
        } else {
            Vec::new()
        };
        let drawings = drawings(&records.collect::<Vec<_>>(), &neurons);
        let own = drawings.into_iter().find(|(own, _)| own == name);
        own.unwrap_or_else(|| panic!("{name} is not drawn")).1
    }

    fn titles(figure: &Figure) -> Vec<Vec<&str>> {
        let rows = figure.rows.iter();
        rows.map(|row| row.iter().map(|p| p.title.as_str()).collect())
            .collect()
    }

    #[test]
    fn columns_are_the_lenses_of_a_family_or_families() {
        let check = |families: &[&str], counted: bool, name: &str, expected: &[Vec<&str>]| {
            let figure = drawn(families, counted, name);
            assert_eq!(titles(&figure), expected, "{families:?}, {name}");
            let entries = families.len() + if counted { 2 } else { 0 };
            let entries = if name == "lens-kl-reverse" {
                families.len()
            } else {
                entries
            };
            assert_eq!(figure.legend.len(), entries);
            assert!(figure.rows.iter().flatten().all(|panel| panel.y2.is_none()));
        };
        let (fall, neurons) = ("Fall of KL by block", "Neurons by block");
        let standard = ["GPT-2, standard lens", "phi, standard lens"];
        let legacy = ["GPT-2, legacy lens", "phi, legacy lens"];
        let of_one = vec![standard[0], legacy[0]];
        let of_one = [of_one, vec![fall; 2], vec![neurons; 2]];
        check(&["gpt2"], true, "lens-kl", &of_one);
        check(&["gpt2"], false, "lens-kl", &of_one[..2]);
        let below = [vec![fall; 2], vec![neurons; 2]];
        for (name, first) in [("lens-kl", standard), ("lens-kl-legacy", legacy)] {
            let rows = [vec![first.to_vec()], below.to_vec()].concat();
            check(&["phi", "gpt2"], true, name, &rows);
        }
        let both = [standard.to_vec(), legacy.to_vec()];
        check(&["phi", "gpt2"], true, "lens-kl-reverse", &both);
        assert!(drawings(&[], &[]).is_empty());
    }

    #[test]
    fn models_without_such_neurons_say_so_in_the_legend() {
        let mut neurons = neurons_of("gpt2");
        for record in &mut neurons {
            (record.prediction_percent, record.suppression_percent) = (0.0, 0.0);
        }
        let figure = &drawings(&records("gpt2", "gpt2"), &neurons)[0].1;
        assert_eq!(figure.rows.len(), 2);
        let labels: Vec<&str> = figure.legend.iter().map(|e| e.label.as_str()).collect();
        let expected = [
            "gpt2",
            "Prediction neurons: none found",
            "Suppression neurons: none found",
        ];
        assert_eq!(labels, expected);
    }

    #[test]
    fn divergences_have_the_embedding_apart() {
        for (name, values) in [("lens-kl", [3.0, 6.0]), ("lens-kl-reverse", [4.0, 8.0])] {
            let figure = drawn(&["gpt2"], false, name);
            let panels = figure.rows.iter().flatten();
            let panels = panels.filter(|panel| panel.title.ends_with("lens"));
            let shown: Vec<f64> = panels
                .map(|panel| {
                    let lines = lines_of(panel);
                    // The embedding, and the blocks' outputs.
                    let lengths: Vec<usize> = lines.iter().map(|line| line.points.len()).collect();
                    assert_eq!(lengths, [1, 2]);
                    lines[1].points[0].y
                })
                .collect();
            assert_eq!(shown, values, "{name}");
        }
    }

    #[test]
    fn a_fall_stands_above_the_neurons_of_its_block() {
        let mut records = records("gpt2", "gpt2");
        for (record, kl) in records.iter_mut().zip([90.0, 5.0, 2.0, 80.0, 4.0, 5.5]) {
            record.kl_nats = kl;
        }
        let figure = &drawings(&records, &neurons_of("gpt2"))[0].1;
        for (lens, expected) in [(0, 3.0), (1, -1.5)] {
            let column = [0, 1, 2].map(|row: usize| &figure.rows[row][lens]);
            assert!(column.iter().all(|panel| panel.x == column[0].x));
            let falls = lines_of(column[1]);
            let places: Vec<(f64, f64)> = falls[0].points.iter().map(|p| (p.x, p.y)).collect();
            assert_eq!(places, [(0.75, expected)]);
            let neurons: Vec<(f64, f64, &str)> = lines_of(column[2])
                .into_iter()
                .map(|line| (line.points[1].x, line.points[1].y, line.label.as_str()))
                .collect();
            let expected = [
                (0.75, 7.0, "gpt2, prediction"),
                (0.75, 2.0, "gpt2, suppression"),
            ];
            assert_eq!(neurons, expected);
        }
    }

    #[test]
    fn an_embedding_far_off_does_not_stretch_the_axis() {
        let check = |kl: f64, expected: Option<f64>| {
            let mut records = records("gpt2", "gpt2");
            records[0].kl_nats = kl;
            let figure = &drawings(&records, &[])[0].1;
            let ends = [0, 1].map(|lens: usize| figure.rows[0][lens].y.max);
            assert_eq!(ends, [expected, None]);
        };
        check(5.9, None);
        check(100.0, Some(1.1 * 3.0));
    }
}
