//! Table 1: the stages with a measured number for each signature.

use super::numbers::{self, Number};
use crate::core::claim::Evidence;
use crate::core::published::{TextTable, strings};

/// Table 1: stages, functions and signatures, with one measured number for each signature and model.
pub(super) fn stages(evidence: &Evidence<'_>) -> TextTable {
    let mut columns = strings(["stage", "function", "signature", "number"]);
    columns.extend(evidence.models.iter().map(|model| model.name.clone()));
    let row = |[stage, function, signature]: [&str; 3], number: &Number| {
        let mut row = strings([stage, function, signature, number.about]);
        row.extend(evidence.models.iter().map(|model| {
            let value = (number.of)(evidence, &model.name);
            value.map_or_else(String::new, |value| format!("{value:.4}"))
        }));
        row
    };
    let detokenization = [
        "detokenization",
        "integrate local context: from raw tokens to coherent entities",
    ];
    let features = [
        "feature engineering",
        "build features that depend on the context",
    ];
    let ensembling = [
        "prediction ensembling",
        "turn features into plausible next tokens through an ensemble of components",
    ];
    let calibration = [
        "residual calibration (v1, v3: sharpening)",
        "drop obsolete features, form the distribution of the next token",
    ];
    let signatures = [
        (
            detokenization,
            "catastrophic sensitivity to drops and swaps",
            &numbers::SENSITIVITY,
        ),
        (
            detokenization,
            "attention-heavy computation",
            &numbers::ATTENTION_HEAVY,
        ),
        (
            features,
            "little progress to the next token",
            &numbers::PROGRESS,
        ),
        (features, "rising accuracy of probes", &numbers::PROBE),
        (
            ensembling,
            "prediction neurons appear",
            &numbers::PREDICTION,
        ),
        (
            ensembling,
            "the output distribution narrows",
            &numbers::NARROWING,
        ),
        (
            calibration,
            "suppression neurons appear",
            &numbers::SUPPRESSION,
        ),
        (
            calibration,
            "the most probable token is shaped",
            &numbers::TOP1,
        ),
        (
            calibration,
            "the MLP's output norm grows",
            &numbers::MLP_NORM,
        ),
    ];
    TextTable {
        name: "table-1",
        title: "Stages of inference and their signatures".to_owned(),
        columns,
        rows: signatures
            .into_iter()
            .map(|([stage, function], signature, number)| row([stage, function, signature], number))
            .collect(),
    }
}
