//! The claims that are judged from this experiment.

use super::table::{Estimator, Record};
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{Point, is_middle, mean, needs, point};
use crate::core::finding::{Finding, Measured, Outcome, Threshold, Unjudged};
use crate::core::models::relative_depth;

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[Claim {
    id: "D9",
    versions: Version::V3_ON,
    statement: "representations are similar within the robust region, apart from the first layer",
    needs: &["cka"],
    models: "",
    judge: d9,
}];

/// Mean CKA of pairs within the robust region above that of pairs with one block outside; block 0 apart from it.
pub fn d9(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let own: Vec<&Record> = evidence
            .tables
            .of::<Record>()
            .iter()
            .filter(|r| r.model == model.name && r.layer != r.other_layer && r.cka.is_finite())
            .collect();
        let mut estimators: Vec<Estimator> = own.iter().map(|r| r.estimator).collect();
        estimators.sort();
        estimators.dedup();
        if estimators.is_empty() {
            estimators.push(Estimator::LastToken);
        }
        for estimator in estimators {
            let name = match estimator {
                Estimator::LastToken => "last tokens",
                Estimator::AllTokens => "all tokens",
            };
            // The mean over pairs of which so many blocks are in the middle, and, where it is asked for, one is block 0.
            let mean = |in_middle: usize, with_first: bool| {
                let pairs = own.iter().filter(|r| {
                    let inside = [r.layer, r.other_layer]
                        .iter()
                        .filter(|layer| is_middle(relative_depth(**layer, r.layers)))
                        .count();
                    r.estimator == estimator
                        && inside == in_middle
                        && (!with_first || r.layer == 0 || r.other_layer == 0)
                });
                let pairs: Vec<Point> = pairs.map(|r| point(0, 0.0, r.cka, None)).collect();
                mean(&pairs).ok_or_else(|| {
                    if own.is_empty() {
                        return needs("cka");
                    }
                    let reason = "needs two blocks at depths 0.2 to 0.9 and others around them";
                    Unjudged::NotTested(reason.to_owned())
                })
            };
            let less = |a: Outcome, b: Outcome| {
                let (a, b) = (a?, b?);
                Ok(Measured::of(a.value - b.value)
                    .noting(format!("{:.4} against {:.4}", a.value, b.value)))
            };
            findings.push(Finding::of(
                &model.name,
                format!("mean CKA within depths 0.2 to 0.9 less that across their ends, {name}"),
                Threshold::Above(0.0),
                less(mean(2, false), mean(1, false)),
            ));
            findings.push(Finding::of(
                &model.name,
                format!("mean CKA of block 0 with depths 0.2 to 0.9 less that within them, {name}"),
                Threshold::Below(0.0),
                less(mean(1, true), mean(2, false)),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cka::synthetic;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS};

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    #[test]
    fn d9_representations_form_blocks() {
        let flat = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                if r.model_type == "qwen2" {
                    r.cka = 0.5;
                }
            }
        };
        judged("D9").check_all(2 * MODELS, flat, [2 * MODELS - 2, 2, 0]);
    }
}
