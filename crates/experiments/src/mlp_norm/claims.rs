//! The claims that are judged from this experiment.

use super::measure::{MEAN, MEDIAN};
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::depth_of_peak;
use crate::core::finding::{Finding, Threshold};
use crate::core::sample::statistic;

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[Claim {
    id: "D22",
    versions: Version::ALL,
    statement: "the MLP's output norm peaks in the last layers",
    needs: &["mlp-norm"],
    models: "",
    judge: d22,
}];

/// The MLP's output norm is greatest at depth 0.85 or later, both for its mean over positions and for its median, which no
/// single token decides.
pub fn d22(evidence: &Evidence<'_>) -> Vec<Finding> {
    of_curves(evidence, MEAN, MEDIAN)
}

/// The same test for norms with other curve names.
pub fn of_curves(evidence: &Evidence<'_>, mean: &str, median: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for (curve, of) in [(mean, "mean"), (median, "median")] {
            let peaks = || {
                let norm = evidence.by_block(model, "mlp-norm", curve)?;
                statistic([&norm], |[curve]| depth_of_peak(curve, "mlp-norm"))
            };
            findings.push(Finding::of(
                &model.name,
                format!("depth of the block whose MLP writes most, {of} over positions"),
                Threshold::AtLeast(0.85),
                peaks(),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::Facts;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS, Simulated, change, small};
    use crate::mlp_norm::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    fn norms(value: impl Fn(usize) -> f64) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
        move |simulated, facts, tables| {
            let values: Vec<(usize, f64)> = (0..facts.layers).map(|at| (at, value(at))).collect();
            for curve in [MEAN, MEDIAN] {
                simulated.curve(tables, facts, curve, &values, [1.0, 1.0]);
            }
        }
    }

    #[test]
    fn d22_the_mlp_writes_most_at_the_end() {
        let early = |tables: &mut Tables| change(tables, |_, _, layer| Some(2.0 - layer as f64));
        judged("D22").check_all(2 * MODELS, early, [0, 2 * MODELS, 0, 0]);
        judged("D22").check_null(&[small()], norms(|_| 10.0));
        let late = |layer: usize| 10.0 + if layer == 7 { 2.0 } else { 0.0 };
        judged("D22").check_effect(&[small()], true, norms(late));
    }
}
