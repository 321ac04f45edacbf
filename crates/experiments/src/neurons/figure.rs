//! The drawings.

use super::table::Record;
use crate::core::models;
use crate::core::models::Model;
use layerwise_plot::{Axis, Dash, Figure, Line, Mark, Panel, Point, Rule, Scale, Side, Style};

/// The drawings with their file names.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    if records.is_empty() {
        return Vec::new();
    }
    let models = models::of(
        records
            .iter()
            .map(|r| (r.model.as_str(), r.model_type.as_str())),
    );
    // A density is never negative, and is often zero in every block of a small model.
    let linear = |label: &str, value: fn(&Record) -> f64| {
        let most = records.iter().map(value).fold(1.0, f64::max);
        Axis::new(label, Scale::Linear).between(0.0, most)
    };
    let share = |title: &str, y: Axis, value: fn(&Record) -> f64| Panel {
        y,
        ..panel(
            records,
            &models,
            title,
            &[(Dash::Solid, &|r| Some(value(r)))],
        )
    };
    let kurtosis: [Curve<'_>; 5] = [
        (Dash::Solid, &|r| Some(r.kurtosis_p50)),
        (Dash::Dashed, &|r| Some(r.kurtosis_p25)),
        (Dash::Dashed, &|r| Some(r.kurtosis_p75)),
        (Dash::Dotted, &|r| Some(r.kurtosis_p05)),
        (Dash::Dotted, &|r| Some(r.kurtosis_p95)),
    ];
    let skewness: [Curve<'_>; 5] = [
        (Dash::Solid, &|r| Some(r.skewness_p50)),
        (Dash::Dashed, &|r| Some(r.skewness_p25)),
        (Dash::Dashed, &|r| Some(r.skewness_p75)),
        (Dash::Dotted, &|r| Some(r.skewness_p05)),
        (Dash::Dotted, &|r| Some(r.skewness_p95)),
    ];
    // Percentiles of several models would overlap.
    let curves = if models.len() == 1 { 5 } else { 1 };
    let moment = |title: &str, axis: Axis, rule: f64, curves: &[Curve<'_>]| {
        let mut panel = panel(records, &models, title, curves);
        panel.marks.insert(
            0,
            Mark::Rule(Rule {
                y: rule,
                style: None,
            }),
        );
        panel.y = axis;
        panel
    };
    let figure = Figure {
        title: "Prediction, suppression and partition neurons".to_owned(),
        description: format!(
            "Above: percent of each block's neurons with kurtosis above 10 and positive skewness (prediction), negative \
             skewness (suppression), and with variance above 0.005 and kurtosis below 3 (partition), of the cosines of \
             output weights with the columns of W_U, in a gated MLP along the sign of the \
             neuron's mean activation on the first {} sequences of the text{}. Below: their kurtosis and skewness over the neurons of a block \
             (median; for a single model quartiles dashed, 5th and 95th percentile dotted), and the median skewness of \
             neurons with kurtosis above 10. Horizontal axis: relative depth of block ℓ. Models: {}.",
            super::activations::SEQUENCES,
            match are_found(records) {
                true => "; on the logarithmic axis a block without any is at the lower end",
                false => "",
            },
            models::names(&models),
        ),
        rows: vec![
            vec![
                share("Prediction", density_axis(records), |r| {
                    r.prediction_percent
                }),
                share("Suppression", density_axis(records), |r| {
                    r.suppression_percent
                }),
                share(
                    "Partition",
                    linear("Neurons (%)", |r| r.partition_percent),
                    |r| r.partition_percent,
                ),
            ],
            vec![
                moment(
                    "Kurtosis",
                    Axis::new("Kurtosis", Scale::Log10),
                    3.0,
                    &kurtosis[..curves],
                ),
                moment(
                    "Skewness",
                    Axis::new("Skewness", Scale::Linear),
                    0.0,
                    &skewness[..curves],
                ),
                moment(
                    "Kurtosis above 10",
                    Axis::new("Median skewness", Scale::Linear),
                    0.0,
                    &[(Dash::Solid, &|r| r.heavy_skewness_p50)],
                ),
            ],
        ],
        legend: models::legend(&models),
    };
    vec![("neurons".to_owned(), figure)]
}

/// Whether there is a prediction or a suppression neuron.
pub fn are_found(records: &[Record]) -> bool {
    densities(records).any(|percent| percent > 0.0)
}

fn densities(records: &[Record]) -> impl Iterator<Item = f64> + '_ {
    let both = |r: &Record| [r.prediction_percent, r.suppression_percent];
    records.iter().flat_map(both)
}

/// The axis of the densities of prediction and of suppression neurons, the same for both. It is logarithmic, since what grows a
/// hundredfold towards the end would hide where it begins, and a block without any lies at its lower end.
pub fn density_axis(records: &[Record]) -> Axis {
    let axis = |scale| Axis::new("Neurons (%)", scale);
    let found = || densities(records).filter(|percent| *percent > 0.0);
    match found().reduce(f64::min).zip(found().reduce(f64::max)) {
        Some((least, most)) => axis(Scale::Log10).between(least / 2.0, 1.2 * most),
        None => axis(Scale::Linear).between(0.0, 1.0),
    }
}

/// A line pattern, and the value of a block that it shows.
type Curve<'a> = (Dash, &'a dyn Fn(&Record) -> Option<f64>);

fn panel(records: &[Record], models: &[Model<'_>], title: &str, curves: &[Curve<'_>]) -> Panel {
    let mut marks = Vec::new();
    for model in models {
        let mut own: Vec<&Record> = records
            .iter()
            .filter(|record| record.model == model.name && record.model_type == model.family)
            .collect();
        own.sort_by_key(|record| record.layer);
        for (dash, value) in curves {
            let points = own.iter().map(|record| Point {
                x: record.relative_depth,
                y: value(record).unwrap_or(f64::NAN),
                error: None,
            });
            let style = match dash {
                Dash::Solid => model.style,
                &dash => Style {
                    dash,
                    ..model.style
                },
            };
            marks.push(Mark::Line(Line {
                style,
                label: model.name.to_owned(),
                points: points.collect(),
                side: Side::Left,
            }));
        }
    }
    Panel {
        title: title.to_owned(),
        x: Axis::new("Relative depth ℓ/(L−1)", Scale::Linear).between(0.0, 1.0),
        y: Axis::new("", Scale::Linear),
        y2: None,
        marks,
    }
}
