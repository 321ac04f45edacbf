//! The claims that are judged from this experiment.

use super::table::{self};
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{against_depth, depth_of_peak, trough};
use crate::core::finding::{Finding, Measured, Threshold, Unjudged};

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[Claim {
    id: "D10",
    versions: Version::ALL,
    statement: "early attention is local and becomes less so",
    needs: &["attention-locality"],
    models: "",
    judge: d10,
}];

/// Attention to the previous five falls with depth and peaks before a quarter of it; it rises at the end in several models.
pub fn d10(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut rising = Vec::new();
    let mut read = 0;
    for model in evidence.models {
        let curve = table::curve(evidence.tables, &model.name);
        if let Ok(curve) = &curve {
            read += 1;
            if let (Some(trough), Some(last)) = (trough(curve), curve.last())
                && last.value > trough.value
            {
                rising.push(model.name.as_str());
            }
        }
        findings.push(Finding::of(
            &model.name,
            "rank correlation of depth and attention to the previous five",
            Threshold::Below(0.0),
            curve.clone().and_then(|curve| against_depth(&curve)),
        ));
        findings.push(Finding::of(
            &model.name,
            "depth of the most attention to the previous five",
            Threshold::Below(0.25),
            curve.and_then(|curve| depth_of_peak(&curve, "attention-locality")),
        ));
    }
    let several = if read < 2 {
        Err(Unjudged::NotTested(
            "needs the results of attention-locality of two models".to_owned(),
        ))
    } else {
        Ok(Measured::of(rising.len() as f64)
            .noting(format!("of {read} models: {}", rising.join(" "))))
    };
    findings.push(Finding::of(
        "*",
        "models in which attention to the previous five is above its minimum in the last block",
        Threshold::AtLeast(2.0),
        several,
    ));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention_locality::Record;
    use crate::attention_locality::synthetic;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS};

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    #[test]
    fn d10_early_attention_is_local() {
        let growing = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.attention = 0.01 + 0.01 * r.relative_depth;
            }
        };
        // The line on all models holds still: all of them rise at the end.
        judged("D10").check_all(2 * MODELS + 1, growing, [1, 2 * MODELS, 0]);
        let without_rise = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.attention = 0.1 - 0.05 * r.relative_depth;
            }
        };
        judged("D10").check(without_rise, [2 * MODELS, 1, 0]);
    }
}
