//! The curves from the tables of other experiments.

use super::table::{Curve, EVERY_MODEL, Record};
use crate::core::tables::Tables;
use crate::{attention_locality, neurons, robustness};
use layerwise_metrics::rescale;
use std::collections::{BTreeMap, BTreeSet};

impl Curve {
    /// The points (relative depth, value) of a model, in the order of its blocks.
    fn points(self, tables: &Tables, model: &str) -> Vec<(f64, f64)> {
        let mut points: Vec<(f64, f64)> = match self {
            Self::Ablation => {
                let own = tables.of::<robustness::Record>().iter();
                own.filter(|r| r.model == model && r.intervention == robustness::Intervention::Drop)
                    .map(|r| (r.relative_depth, r.kl_nats))
                    .collect()
            }
            Self::LocalAttention => {
                let own = tables.of::<attention_locality::Record>().iter();
                // Means over pairs are a fifth of the total over five offsets.
                own.filter(|r| {
                    r.model == model && r.measure == attention_locality::Measure::PreviousFive
                })
                .map(|r| (r.relative_depth, 5.0 * r.attention))
                .collect()
            }
            Self::Prediction | Self::Suppression => {
                let own = tables
                    .of::<neurons::Record>()
                    .iter()
                    .filter(|r| r.model == model);
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

/// The models with results for the curves, by family and name.
fn measured(tables: &Tables) -> BTreeSet<(String, String)> {
    let blocks = tables
        .of::<robustness::Record>()
        .iter()
        .map(|r| (&r.model_type, &r.model));
    let attention = tables
        .of::<attention_locality::Record>()
        .iter()
        .map(|r| (&r.model_type, &r.model));
    let neurons = tables
        .of::<neurons::Record>()
        .iter()
        .map(|r| (&r.model_type, &r.model));
    blocks
        .chain(attention)
        .chain(neurons)
        .map(|(family, model)| (family.clone(), model.clone()))
        .collect()
}

/// The curves from other experiments' tables: for each model and, with several models, their mean.
///
/// A curve without results, or with a value that is not finite, is left out.
pub fn derive(tables: &Tables) -> Vec<Record> {
    let models = measured(tables);
    let mut records = Vec::new();
    for curve in Curve::ALL {
        let mut families: BTreeMap<&str, Vec<Vec<f64>>> = BTreeMap::new();
        for (family, model) in &models {
            let Ok(values) = rescale::interpolate(&curve.points(tables, model)) else {
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

/// The mean of curves, depth by depth; `None` without curves.
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
            model_type: family.to_owned(),
            curve,
            relative_depth: depth,
            value,
            rescaled: rescaled.as_ref().map_or(f64::NAN, |rescaled| rescaled[at]),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::lines_of;
    use crate::core::testing::{self, Synthetic};
    use crate::stages::figure::{drawings, peaks};

    fn synthetic() -> Tables {
        let parts: &[Synthetic] = &[
            robustness::synthetic::add,
            attention_locality::synthetic::add,
            neurons::synthetic::add,
        ];
        testing::tables(&testing::models(), parts)
    }

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
        let tables = synthetic();
        let records = derive(&tables);
        for model in ["gpt2", "pythia-410m", EVERY_MODEL] {
            let [ablation, attention, prediction, suppression] =
                Curve::ALL.map(|curve| peak(&records, model, curve));
            assert_eq!(ablation, 0.0, "{model}");
            assert!(attention < 0.25, "{model}: {attention}");
            assert!((0.75..0.95).contains(&prediction), "{model}: {prediction}");
            assert_eq!(suppression, 1.0, "{model}");
        }
        let of_one = derive(&tables.of_model("gpt2"));
        assert!(of_one.iter().all(|r| r.model == "gpt2"));
        assert_eq!(of_one.len(), 4 * rescale::DEPTHS);
    }

    #[test]
    fn families_weigh_alike() {
        let mut tables = synthetic();
        tables.of_mut::<attention_locality::Record>().clear();
        tables.of_mut::<neurons::Record>().clear();
        tables
            .of_mut::<robustness::Record>()
            .retain(|r| ["gpt2", "gpt2-medium", "phi-1"].contains(&r.model.as_str()));
        for r in tables.of_mut::<robustness::Record>() {
            let level = if r.model_type == "phi" { 6.0 } else { 2.0 };
            r.kl_nats = level + r.relative_depth;
        }
        let records = derive(&tables);
        let joint: Vec<&Record> = records.iter().filter(|r| r.model == EVERY_MODEL).collect();
        assert_eq!(joint.len(), rescale::DEPTHS);
        for r in joint {
            assert!((r.value - (4.0 + r.relative_depth)).abs() < 1e-9, "{r:?}");
            assert!((r.rescaled - r.relative_depth).abs() < 1e-9, "{r:?}");
        }
    }

    #[test]
    fn what_cannot_be_scaled_or_was_not_measured_is_left_out() {
        let mut tables = synthetic().of_model("gpt2");
        tables.of_mut::<attention_locality::Record>().clear();
        for r in tables.of_mut::<neurons::Record>() {
            r.prediction_percent = 0.0;
        }
        tables.of_mut::<neurons::Record>()[0].suppression_percent = f64::NAN;
        let records = derive(&tables);
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
        let labels: Vec<&str> = legend.iter().map(|entry| entry.label.as_str()).collect();
        let expected = [
            "KL without block ℓ",
            "log KL without block ℓ",
            "Attention to previous five: not measured",
            "Prediction neurons: none found",
            "Suppression neurons: not measured",
        ];
        assert_eq!(labels, expected);
        let mut records = records;
        for r in &mut records {
            (r.value, r.rescaled) = (0.5, f64::NAN);
        }
        let legend = &drawings(&records)[0].1.legend;
        let flat = "KL without block ℓ: the same at every depth";
        assert_eq!(legend[0].label, flat);
        assert_eq!(legend.len(), 4);
        assert_eq!(derive(&Tables::default()), []);
    }

    #[test]
    fn several_models_have_a_panel_each_and_one_together() {
        let tables = synthetic();
        let drawn = drawings(&derive(&tables));
        let panels: Vec<(&str, usize)> = drawn
            .iter()
            .map(|(name, figure)| (name.as_str(), figure.rows.iter().map(Vec::len).sum()))
            .collect();
        let models = testing::MODELS;
        assert_eq!(panels, [("stages", 1), ("stages-models", models)]);
        let one = drawings(&derive(&tables.of_model("phi-2")));
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].1.rows[0][0].title, "phi-2");
        assert_eq!(one[0].1.rows[0][0].marks.len(), 5);
        assert!(drawings(&[]).is_empty());
    }

    #[test]
    fn the_logarithm_of_the_divergence_has_a_curve_of_its_own() {
        let mut tables = synthetic().of_model("gpt2");
        let middle = 5.0 / 11.0;
        for r in tables.of_mut::<robustness::Record>() {
            // A hundredth of a nat in the middle, a tenth and ten at the ends.
            r.kl_nats = match r.relative_depth {
                depth if depth < middle - 1e-9 => 10.0,
                depth if depth > middle + 1e-9 => 0.1,
                _ => 0.01,
            };
        }
        let figure = &drawings(&derive(&tables))[0].1;
        let lines = lines_of(&figure.rows[0][0]);
        let ends = |label: &str| {
            let line = lines.iter().find(|line| line.label == label).unwrap();
            [0, 100].map(|at: usize| line.points[at].y)
        };
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 0.05, "{found}");
        let [first, last] = ends("log KL without block ℓ");
        close(first, 1.0);
        close(last, 0.29);
        close(ends("KL without block ℓ")[1], 0.009);
        for r in tables.of_mut::<robustness::Record>() {
            r.kl_nats = if r.relative_depth == 0.0 { 0.0 } else { 1.0 };
        }
        let figure = &drawings(&derive(&tables))[0].1;
        assert_eq!(lines_of(&figure.rows[0][0]).len(), 4);
    }
}
