//! The claims that are judged from this experiment.

use super::measure::curve_name;
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{Point, slope};
use crate::core::finding::{Finding, Measured, NotTested, Outcome, Threshold};
use crate::core::lens::Lens;
use crate::core::sample::statistic;

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[Claim {
    id: "D21",
    versions: Version::V1_AND_NIPS,
    statement: "in the final layers of some models the entropy of the lens rises",
    needs: &["lens-entropy"],
    models: "",
    judge: d21,
}];

/// The slope of the lens's entropy over the outputs of the last three blocks is positive in some models.
pub fn d21(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for lens in Lens::BOTH {
            let last = || {
                let entropy = evidence.by_state(model, "lens-entropy", &curve_name(lens))?;
                statistic([&entropy], |[curve]| slope_at_end(curve))
            };
            let finding = Finding::of(
                &model.name,
                "slope of the lens's entropy over the outputs of the last three blocks, bits over the whole depth",
                Threshold::Above(0.0),
                last(),
            );
            findings.push(finding.through(lens).of_some());
        }
    }
    findings
}

/// The slope over the last three states.
pub fn slope_at_end(curve: &[Point]) -> Outcome {
    let from = curve.len().checked_sub(3);
    let slope = from.and_then(|from| slope(&curve[from..]));
    let slope = slope.ok_or_else(|| NotTested::because("needs three residual streams"))?;
    Ok(Measured::of(slope))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::finding::Verdict;
    use crate::core::models::Facts;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS, Simulated, change, models, small};
    use crate::lens_entropy::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    fn entropy(value: impl Fn(usize) -> f64) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
        move |simulated, facts, tables| {
            let values: Vec<(usize, f64)> = (0..=facts.layers).map(|at| (at, value(at))).collect();
            for lens in Lens::BOTH {
                simulated.curve(tables, facts, &curve_name(lens), &values, [0.5, 0.1]);
            }
        }
    }

    #[test]
    fn d21_entropy_rises_at_the_end_of_some_models() {
        let only_one_rises = |tables: &mut Tables| {
            change(tables, |model, _, state| {
                (model != "gpt2").then_some(100.0 - 0.2 * state as f64)
            });
        };
        let others = 2 * (MODELS - 1);
        judged("D21").check_all(2 * MODELS, only_one_rises, [2, others, 0, 0]);
        let models = models();
        let mut tables = judged("D21").tables(&models);
        only_one_rises(&mut tables);
        let evidence = Evidence {
            tables: &tables,
            models: &models,
        };
        let claims = CLAIMS[0].judged(&evidence).claims;
        let told: Vec<_> = claims
            .iter()
            .map(|c| (c.version.as_str(), c.verdict))
            .collect();
        assert_eq!(told, [("nips", Verdict::Holds), ("v1", Verdict::Holds)]);
        judged("D21").check_null(&[small()], entropy(|_| 5.0));
        judged("D21").check_effect(&[small()], true, entropy(|state| 0.1 * state as f64));
    }
}
