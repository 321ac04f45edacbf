//! Results as the paper has them, for tests of claims.

use super::table::Record;
use crate::core::models::Facts;
use crate::core::tables::Tables;
use crate::core::testing::blocks;

/// Adds the records of one model.
pub(crate) fn add(facts: &Facts, tables: &mut Tables) {
    let (prediction, suppression) = match (facts.family.as_str(), facts.name.as_str()) {
        ("gpt2", _) => (2.3, 3.85),
        ("phi", "phi-1") => (5.0, 10.0),
        ("phi", _) => (15.0, 25.0),
        _ => (3.0, 5.0),
    };
    let count = |percent: f64| (percent / 100.0 * 4096.0).round() as usize;
    for (layer, depth) in blocks(facts) {
        let prediction = prediction * (1.0 - (depth - 0.85).abs() / 0.35).max(0.0);
        let suppression = suppression * ((depth - 0.7) / 0.3).max(0.0);
        tables.push(Record {
            model: facts.name.clone(),
            model_type: facts.family.clone(),
            layer,
            layers: facts.layers,
            relative_depth: depth,
            neurons: 4096,
            prediction: count(prediction),
            suppression: count(suppression),
            partition: 0,
            prediction_percent: prediction,
            suppression_percent: suppression,
            partition_percent: 0.0,
            prediction_above_8_percent: prediction,
            suppression_above_8_percent: suppression,
            prediction_above_12_percent: prediction,
            suppression_above_12_percent: suppression,
            prediction_by_third_moment_percent: prediction,
            suppression_by_third_moment_percent: suppression,
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
        });
    }
}
