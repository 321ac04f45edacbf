//! The drawings.

use super::table::{Reading, Record};
use crate::core::models::{self, Model};
use crate::core::styles;
use layerwise_plot::{Axis, Figure, Line, Mark, Panel, Point, Scale};

/// A column of the figure: its vertical axis, and its value with its standard error.
type Quantity = (fn() -> Axis, fn(&Record) -> (f64, Option<f64>));

const QUANTITIES: [Quantity; 3] = [
    (
        || Axis::new("KL(output ‖ lens) (nats)", Scale::Log10),
        |r| (r.kl_nats, r.kl_nats_se),
    ),
    (
        || Axis::new("Entropy (bits)", Scale::Linear),
        |r| (r.entropy_bits, r.entropy_bits_se),
    ),
    (
        || Axis::new("Top-1 agreement", Scale::Linear).between(0.0, 1.0),
        |r| (r.top1_agreement, r.top1_agreement_se),
    ),
];

/// The drawing with its file name: a row for each model, a line for each lens.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    let named = records.iter();
    let models = models::of(named.map(|r| (r.model.as_str(), r.model_type.as_str())));
    if models.is_empty() {
        return Vec::new();
    }
    let row = |model: &Model<'_>| {
        let panels = QUANTITIES.map(|quantity| panel(records, model, quantity));
        panels.to_vec()
    };
    let figure = Figure {
        title: "Residual streams, read directly and translated to the last one".to_owned(),
        description: format!(
            "KL from the output in nats, entropy in bits and top-1 agreement of the standard lens, and of the lens on streams that a \
             linear map, fitted on other sequences, has translated to the last. Horizontal axis: relative depth of the stream; 0 is \
             the embedding, of the standard lens a separate point. Bands: one standard error to either side, clustered by sequence. Models: {}.",
            models::names(&models)
        ),
        rows: models.iter().map(row).collect(),
        legend: styles::legend_of(Reading::BOTH.iter().map(|own| own.name())),
    };
    vec![("translated-lens".to_owned(), figure)]
}

fn panel(records: &[Record], model: &Model<'_>, (axis, of): Quantity) -> Panel {
    let own = || records.iter().filter(|r| r.model == model.name);
    let marks = Reading::BOTH
        .iter()
        .enumerate()
        .flat_map(|(place, reading)| {
            let own = own().filter(|r| r.lens == *reading);
            let lines = models::lines(std::slice::from_ref(model), own, |r| {
                let (y, error) = of(r);
                Point {
                    x: r.relative_depth,
                    y,
                    error,
                }
            });
            let lines = match reading {
                Reading::Standard => models::embedding_apart(lines),
                Reading::Translated => lines,
            };
            lines.into_iter().map(move |line| {
                Mark::Line(Line {
                    style: styles::nth(place),
                    label: reading.name().to_owned(),
                    ..line
                })
            })
        });
    Panel {
        title: models::title(model, own().map(|r| r.sequences)),
        x: models::state_axis(),
        y: axis(),
        y2: None,
        marks: marks.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::lines_of;

    #[test]
    fn a_model_has_three_panels_of_two_lenses() {
        let record = |lens, state: usize, kl_nats| Record {
            model: "gpt2".to_owned(),
            model_type: "gpt2".to_owned(),
            lens,
            state,
            layers: 2,
            relative_depth: state as f64 / 2.0,
            kl_nats,
            kl_nats_se: None,
            reverse_kl_nats: 1.0,
            reverse_kl_nats_se: None,
            entropy_bits: 3.0,
            entropy_bits_se: None,
            top1_agreement: 0.5,
            top1_agreement_se: None,
            fitted_tokens: 100,
            sequences: 2,
            positions: 10,
        };
        let records = [
            record(Reading::Standard, 0, 9.0),
            record(Reading::Standard, 1, 4.0),
            record(Reading::Translated, 0, 2.0),
            record(Reading::Translated, 1, 1.0),
        ];
        let figure = &drawings(&records)[0].1;
        assert_eq!((figure.rows.len(), figure.rows[0].len()), (1, 3));
        let lines = lines_of(&figure.rows[0][0]);
        let values = |line: &&Line| line.points.iter().map(|point| point.y).collect();
        let values: Vec<Vec<f64>> = lines.iter().map(values).collect();
        // The standard lens reads the embedding apart from the blocks.
        assert_eq!(values, [vec![9.0], vec![4.0], vec![2.0, 1.0]]);
        assert!(drawings(&[]).is_empty());
    }
}
