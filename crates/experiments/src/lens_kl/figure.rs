//! The drawings.

use super::table::Record;
use crate::core::lens::Lens;
use crate::core::models;
use crate::core::models::Model;
use crate::neurons;
use layerwise_plot::{
    Axis, Colour, Dash, Figure, LegendEntry, Line, Mark, Marker, Panel, Point, Scale, Side, Style,
};

/// The drawings with their file names.
pub fn drawings(records: &[Record], neurons: &[neurons::Record]) -> Vec<(String, Figure)> {
    vec![
        ("lens-kl".to_owned(), nips_fig8(records, neurons)),
        ("lens-kl-reverse".to_owned(), reverse(records, neurons)),
    ]
}

/// Figure 8 of the NeurIPS version in the left column, that of v1 and v3 in the right one; a row for each family.
pub fn nips_fig8(records: &[Record], neurons: &[neurons::Record]) -> Figure {
    grid(
        records,
        neurons,
        "Divergence of the logit lens from the output",
        "KL(output ‖ lens)",
        |r| Point {
            x: r.relative_depth,
            y: r.kl_nats,
            error: r.kl_nats_se,
        },
    )
}

/// Like [`nips_fig8`], with the divergence in the other direction (G.3).
pub fn reverse(records: &[Record], neurons: &[neurons::Record]) -> Figure {
    grid(
        records,
        neurons,
        "Divergence of the output from the logit lens",
        "KL(lens ‖ output)",
        |r| Point {
            x: r.relative_depth,
            y: r.reverse_kl_nats,
            error: r.reverse_kl_nats_se,
        },
    )
}

fn grid(
    records: &[Record],
    neurons: &[neurons::Record],
    title: &str,
    quantity: &str,
    point: fn(&Record) -> Point,
) -> Figure {
    let models = models::of(
        records
            .iter()
            .map(|r| (r.model.as_str(), r.model_type.as_str())),
    );
    let panel = |family: &[Model<'_>], lens: Lens| {
        let own = records.iter().filter(|r| r.lens == lens);
        let mut lines = models::lines(family, own, point);
        let upper = models::upper_end(&lines);
        lines = models::embedding_apart(lines);
        let densities = densities(family, neurons);
        let y2 = (!densities.is_empty()).then(|| Axis {
            min: Some(0.0),
            ..Axis::new("Neurons (%)", Scale::Linear)
        });
        lines.splice(0..0, densities);
        Panel {
            title: format!(
                "{}, {}",
                models::family_name(family[0].family),
                lens.title().to_lowercase()
            ),
            x: models::state_axis(),
            y: Axis {
                min: Some(0.0),
                max: upper,
                ..Axis::new(format!("{quantity} (nats)"), Scale::Linear)
            },
            y2,
            marks: lines.into_iter().map(Mark::Line).collect(),
        }
    };
    let rows: Vec<Vec<Panel>> = models::families(&models)
        .into_iter()
        .map(|family| {
            [Lens::Standard, Lens::Legacy]
                .map(|lens| panel(family, lens))
                .to_vec()
        })
        .collect();
    let mut legend = models::legend(&models);
    if rows.iter().flatten().any(|panel| panel.y2.is_some()) {
        let grey = Style {
            colour: Colour(0x55, 0x55, 0x55),
            dash: Dash::Solid,
            marker: Marker::Circle,
        };
        legend.extend(DENSITIES.map(|(name, dash, marker)| LegendEntry {
            label: format!("{name} neurons (right)"),
            group: "neurons".to_owned(),
            style: Style {
                dash,
                marker,
                ..grey
            },
        }));
    }
    Figure {
        title: title.to_owned(),
        description: format!(
            "Mean {quantity} of each residual stream in nats, left axis. Columns: the final norm recomputed on each stream, \
             and every stream divided by the scale of the last, without bias. Right axis, where neurons were counted: \
             prediction and suppression neurons in percent of their block, block ℓ at ℓ/(L−1). Horizontal axis: relative \
             depth, from the embedding, drawn as a separate point, to the output; an open marker is beyond its axis. Bands: one standard error to \
             either side. Models: {}.",
            models::names(&models)
        ),
        rows,
        legend,
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
                x: r.relative_depth,
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
                side: Side::Right,
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

    #[test]
    fn families_are_rows_and_lenses_columns() {
        let records = [records("phi-2", "phi"), records("gpt2", "gpt2")].concat();
        for (figure, values) in [
            (nips_fig8(&records, &[]), [3.0, 6.0]),
            (reverse(&records, &[]), [4.0, 8.0]),
        ] {
            let titles: Vec<&str> = figure
                .rows
                .iter()
                .flatten()
                .map(|p| p.title.as_str())
                .collect();
            let expected = [
                "GPT-2, standard lens",
                "GPT-2, legacy lens",
                "Phi, standard lens",
                "Phi, legacy lens",
            ];
            assert_eq!(titles, expected);
            for row in &figure.rows {
                for (panel, value) in row.iter().zip(values) {
                    let lines = lines_of(panel);
                    // The embedding, and the blocks' outputs.
                    let points: Vec<usize> = lines.iter().map(|line| line.points.len()).collect();
                    assert_eq!(points, [1, 2]);
                    let mut points = lines.iter().flat_map(|line| &line.points);
                    assert!(points.all(|point| point.y == value));
                    assert_eq!(panel.y2, None);
                }
            }
            assert_eq!(figure.legend.len(), 2);
        }
    }

    #[test]
    fn an_embedding_far_off_does_not_stretch_the_axis() {
        let mut records = records("gpt2", "gpt2");
        records[0].kl_nats = 5.9;
        assert_eq!(nips_fig8(&records, &[]).rows[0][0].y.max, None);
        records[0].kl_nats = 100.0;
        let figure = nips_fig8(&records, &[]);
        let ends = [0, 1].map(|lens: usize| figure.rows[0][lens].y.max);
        assert_eq!(ends, [Some(1.1 * 3.0), None]);
    }

    #[test]
    fn densities_stand_on_the_right_axis_of_their_family() {
        let records = [records("phi-2", "phi"), records("gpt2", "gpt2")].concat();
        let figure = nips_fig8(&records, &neurons_of("gpt2"));
        for panel in &figure.rows[0] {
            assert!(panel.y2.is_some());
            let right: Vec<(f64, &str)> = lines_of(panel)
                .into_iter()
                .filter(|line| line.side == Side::Right)
                .map(|line| (line.points[0].y, line.label.as_str()))
                .collect();
            assert_eq!(
                right,
                [(7.0, "gpt2, prediction"), (2.0, "gpt2, suppression")]
            );
        }
        assert!(figure.rows[1].iter().all(|panel| panel.y2.is_none()));
        assert_eq!(figure.legend.len(), 4);
    }
}
