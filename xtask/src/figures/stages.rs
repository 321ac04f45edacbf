//! The four stages in one picture.
//!
//! - **Stands for** Figure 1 and table 1 of every version.
//! - **Needs** the results of `robustness`, `attention-locality` and `neurons`.
//! - **Computes** each curve at 101 depths, by linear interpolation between blocks; with several models also the mean of
//!   each curve, over the models of a family and then over families. Every curve is then rescaled from its minimum to
//!   its maximum, because the four have different units. A curve that is flat has no such scale and is not drawn.

use super::attention_locality::Measure;
use super::models;
use super::robustness::Intervention;
use super::table::record;
use crate::plot::{
    Axis, Colour, Dash, Figure, LegendEntry, Line, Mark, Marker, Panel, Point, Scale, Side, Style,
};
use crate::results::Results;
use layerwise::metrics::rescale;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Stands for the mean over families, where a model's name would be.
pub const EVERY_MODEL: &str = "*";

/// Panels of one row.
const PANELS: usize = 3;

/// A curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Curve {
    /// KL(plain ‖ block left out).
    Ablation,
    /// Total attention to the five previous tokens.
    LocalAttention,
    /// Prediction neurons, percent.
    Prediction,
    /// Suppression neurons, percent.
    Suppression,
}

record! {
    /// One line of `stages.csv`: one point of one curve.
    pub struct Record {
        /// Name of the model, or `*` for the mean over families.
        pub model: String,
        /// Its family.
        pub family: String,
        /// Which curve.
        pub curve: Curve,
        /// Depth on the common grid of 101 points, 0 to 1.
        pub relative_depth: f64,
        /// The curve's own unit, interpolated; for `*` the mean over models within families, then over families.
        pub value: f64,
        /// The curve from its minimum, 0, to its maximum, 1.
        pub rescaled: f64,
    }
    key(model, curve, relative_depth) fault(|_| None)
}

impl Curve {
    /// The curves in the order of a legend.
    pub const ALL: [Self; 4] = [
        Self::Ablation,
        Self::LocalAttention,
        Self::Prediction,
        Self::Suppression,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Ablation => "KL without block ℓ",
            Self::LocalAttention => "Attention to previous five",
            Self::Prediction => "Prediction neurons",
            Self::Suppression => "Suppression neurons",
        }
    }

    /// The paper's colours: blue, purple, green and red.
    fn style(self) -> Style {
        let (colour, dash, marker) = match self {
            Self::Ablation => (Colour(0x23, 0x7f, 0xc8), Dash::Solid, Marker::Circle),
            Self::LocalAttention => (Colour(0x8c, 0x4f, 0xb5), Dash::Dashed, Marker::Square),
            Self::Prediction => (Colour(0x19, 0x96, 0x6e), Dash::DashDotted, Marker::Diamond),
            Self::Suppression => (Colour(0xd0, 0x3a, 0x2b), Dash::Dotted, Marker::Triangle),
        };
        Style {
            colour,
            dash,
            marker,
        }
    }

    /// The points (relative depth, value) of a model, in the order of its blocks.
    fn points(self, results: &Results, model: &str) -> Vec<(f64, f64)> {
        let mut points: Vec<(f64, f64)> = match self {
            Self::Ablation => {
                let own = results.robustness.iter();
                own.filter(|r| r.model == model && r.intervention == Intervention::Drop)
                    .map(|r| (r.relative_depth, r.kl_nats))
                    .collect()
            }
            Self::LocalAttention => {
                let own = results.attention_locality.iter();
                // Means over pairs are a fifth of the total over five offsets.
                own.filter(|r| r.model == model && r.measure == Measure::PreviousFive)
                    .map(|r| (r.relative_depth, 5.0 * r.attention))
                    .collect()
            }
            Self::Prediction | Self::Suppression => {
                let own = results.neurons.iter().filter(|r| r.model == model);
                own.map(|r| match self {
                    Self::Prediction => (r.relative_depth, r.prediction_percent),
                    _ => (r.relative_depth, r.suppression_percent),
                })
                .collect()
            }
        };
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    }
}

/// The models of the results that the curves are made from, by family and name.
fn measured(results: &Results) -> BTreeSet<(String, String)> {
    let blocks = results.robustness.iter().map(|r| (&r.family, &r.model));
    let attention = results
        .attention_locality
        .iter()
        .map(|r| (&r.family, &r.model));
    let neurons = results.neurons.iter().map(|r| (&r.family, &r.model));
    blocks
        .chain(attention)
        .chain(neurons)
        .map(|(family, model)| (family.clone(), model.clone()))
        .collect()
}

/// The curves from the other figures' results: of each model, and with several models their mean.
///
/// A curve without results, or with a value that is not finite, is left out.
pub fn derive(results: &Results) -> Vec<Record> {
    let models = measured(results);
    let mut records = Vec::new();
    for curve in Curve::ALL {
        let mut families: BTreeMap<&str, Vec<Vec<f64>>> = BTreeMap::new();
        for (family, model) in &models {
            let Ok(values) = rescale::interpolate(&curve.points(results, model)) else {
                continue;
            };
            add(&mut records, model, family, curve, &values);
            families.entry(family).or_default().push(values.to_vec());
        }
        let means: Vec<Vec<f64>> = families
            .values()
            .filter_map(|curves| mean(curves))
            .collect();
        if let (Some(values), true) = (mean(&means), models.len() > 1) {
            add(&mut records, EVERY_MODEL, EVERY_MODEL, curve, &values);
        }
    }
    records
}

/// The mean of curves, depth by depth; none of no curve.
fn mean(curves: &[Vec<f64>]) -> Option<Vec<f64>> {
    let count = curves.len() as f64;
    let depths = 0..curves.first()?.len();
    let values = depths.map(|at| curves.iter().map(|curve| curve[at]).sum::<f64>() / count);
    Some(values.collect())
}

fn add(records: &mut Vec<Record>, model: &str, family: &str, curve: Curve, values: &[f64]) {
    let rescaled = rescale::min_max(values);
    for (at, (depth, &value)) in rescale::depths().into_iter().zip(values).enumerate() {
        records.push(Record {
            model: model.to_owned(),
            family: family.to_owned(),
            curve,
            relative_depth: depth,
            value,
            rescaled: rescaled.as_ref().map_or(f64::NAN, |rescaled| rescaled[at]),
        });
    }
}

/// Where the curves peak, of the mean over families where there is one, in a sentence; empty without curves.
pub fn peaks(records: &[Record]) -> String {
    let model = match records.iter().any(|r| r.model == EVERY_MODEL) {
        true => EVERY_MODEL,
        false => records.first().map_or("", |r| r.model.as_str()),
    };
    let peak = |curve: Curve| {
        let own = records
            .iter()
            .filter(|r| r.model == model && r.curve == curve && r.rescaled.is_finite());
        let peak = own.reduce(|best, next| match next.rescaled > best.rescaled {
            true => next,
            false => best,
        })?;
        Some(format!("{} {:.2}", curve.label(), peak.relative_depth))
    };
    let peaks: Vec<String> = Curve::ALL.into_iter().filter_map(peak).collect();
    match peaks.is_empty() {
        true => String::new(),
        false => format!("Depths of the peaks: {}.", peaks.join(", ")),
    }
}

/// The drawings with the names of their files: the mean over families, where there is one, and each model.
pub fn drawings(records: &[Record]) -> Vec<(String, Figure)> {
    let own = |model: &str| records.iter().any(|r| r.model == model);
    let named = records.iter().filter(|r| r.model != EVERY_MODEL);
    let each: Vec<&str> = models::of(named.map(|r| (r.model.as_str(), r.family.as_str())))
        .iter()
        .map(|model| model.name)
        .collect();
    if own(EVERY_MODEL) {
        let joint = figure(records, &[EVERY_MODEL], "mean over families");
        let apart = figure(records, &each, "each model");
        return vec![
            ("stages".to_owned(), joint),
            ("stages-models".to_owned(), apart),
        ];
    }
    if each.is_empty() {
        return Vec::new();
    }
    vec![("stages".to_owned(), figure(records, &each, "each model"))]
}

/// One panel for each of `models`.
fn figure(records: &[Record], models: &[&str], of: &str) -> Figure {
    let panels: Vec<Panel> = models.iter().map(|model| panel(records, model)).collect();
    Figure {
        title: format!("Four stages of inference, {of}"),
        description: "Horizontal axis: relative depth. Vertical axis: each curve from its minimum to its maximum. \
                      Curves: KL(plain ‖ block left out), total attention to the five previous tokens, densities of \
                      prediction and of suppression neurons; those that are the same at every depth are left out."
            .to_owned(),
        rows: panels.chunks(PANELS).map(<[Panel]>::to_vec).collect(),
        legend: Curve::ALL
            .into_iter()
            .filter(|curve| {
                let mut own = records.iter().filter(|r| r.curve == *curve);
                own.any(|r| r.rescaled.is_finite() && models.contains(&r.model.as_str()))
            })
            .map(|curve| LegendEntry {
                label: curve.label().to_owned(),
                group: "stages".to_owned(),
                style: curve.style(),
            })
            .collect(),
    }
}

fn panel(records: &[Record], model: &str) -> Panel {
    let line = |curve: Curve| {
        let own = records
            .iter()
            .filter(|r| r.model == model && r.curve == curve);
        Mark::Line(Line {
            label: curve.label().to_owned(),
            side: Side::Left,
            style: curve.style(),
            points: own
                .map(|r| Point {
                    x: r.relative_depth,
                    y: r.rescaled,
                    error: None,
                })
                .collect(),
        })
    };
    Panel {
        title: if model == EVERY_MODEL {
            "Mean over families".to_owned()
        } else {
            model.to_owned()
        },
        x: Axis::new("Relative depth", Scale::Linear).between(0.0, 1.0),
        y: Axis::new("From minimum to maximum", Scale::Linear).between(0.0, 1.0),
        y2: None,
        marks: Curve::ALL.map(line).to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::synthetic;

    /// The depth at which a curve is 1.
    fn peak(records: &[Record], model: &str, curve: Curve) -> f64 {
        let own = records
            .iter()
            .filter(|r| r.model == model && r.curve == curve);
        let mut peaks = own.filter(|r| r.rescaled == 1.0).map(|r| r.relative_depth);
        peaks.next().unwrap_or(f64::NAN)
    }

    #[test]
    fn the_order_of_peaks_is_that_of_the_stages() {
        let results = synthetic::results(&synthetic::models());
        let records = derive(&results);
        for model in ["gpt2", "pythia-410m", EVERY_MODEL] {
            let [ablation, attention, prediction, suppression] =
                Curve::ALL.map(|curve| peak(&records, model, curve));
            assert_eq!(ablation, 0.0, "{model}");
            assert!(attention < 0.25, "{model}: {attention}");
            assert!((0.75..0.95).contains(&prediction), "{model}: {prediction}");
            assert_eq!(suppression, 1.0, "{model}");
        }
        let of_one = derive(&results.of_model("gpt2"));
        assert!(of_one.iter().all(|r| r.model == "gpt2"));
        assert_eq!(of_one.len(), 4 * rescale::DEPTHS);
    }

    #[test]
    fn families_weigh_alike() {
        let mut results = synthetic::results(&synthetic::models());
        results.attention_locality.clear();
        results.neurons.clear();
        results
            .robustness
            .retain(|r| ["gpt2", "gpt2-medium", "phi-1"].contains(&r.model.as_str()));
        for r in &mut results.robustness {
            let level = if r.family == "phi" { 6.0 } else { 2.0 };
            r.kl_nats = level + r.relative_depth;
        }
        let records = derive(&results);
        let joint: Vec<&Record> = records.iter().filter(|r| r.model == EVERY_MODEL).collect();
        assert_eq!(joint.len(), rescale::DEPTHS);
        for r in joint {
            assert!((r.value - (4.0 + r.relative_depth)).abs() < 1e-9, "{r:?}");
            assert!((r.rescaled - r.relative_depth).abs() < 1e-9, "{r:?}");
        }
    }

    #[test]
    fn what_cannot_be_scaled_or_was_not_measured_is_left_out() {
        let mut results = synthetic::results(&synthetic::models()).of_model("gpt2");
        results.attention_locality.clear();
        for r in &mut results.neurons {
            r.prediction_percent = 0.0;
        }
        results.neurons[0].suppression_percent = f64::NAN;
        let records = derive(&results);
        let has = |curve| records.iter().filter(|r| r.curve == curve).count();
        assert_eq!(Curve::ALL.map(has), [101, 0, 101, 0]);
        let flat = records.iter().filter(|r| r.curve == Curve::Prediction);
        assert!(
            flat.into_iter()
                .all(|r| r.value == 0.0 && r.rescaled.is_nan())
        );
        assert_eq!(
            peaks(&records),
            "Depths of the peaks: KL without block ℓ 0.00."
        );
        assert_eq!(peaks(&[]), "");
        let legend = &drawings(&records)[0].1.legend;
        assert_eq!(legend.len(), 1);
        assert_eq!(legend[0].label, Curve::Ablation.label());
        assert_eq!(derive(&Results::default()), []);
    }

    #[test]
    fn several_models_have_a_panel_each_and_one_together() {
        let results = synthetic::results(&synthetic::models());
        let drawn = drawings(&derive(&results));
        let panels: Vec<(&str, usize)> = drawn
            .iter()
            .map(|(name, figure)| (name.as_str(), figure.rows.iter().map(Vec::len).sum()))
            .collect();
        let models = synthetic::models().len();
        assert_eq!(panels, [("stages", 1), ("stages-models", models)]);
        let one = drawings(&derive(&results.of_model("phi-2")));
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].1.rows[0][0].title, "phi-2");
        assert_eq!(one[0].1.rows[0][0].marks.len(), 4);
        assert!(drawings(&[]).is_empty());
    }
}
