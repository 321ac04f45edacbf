//! The claims that are judged from this experiment.

use super::chosen::Chosen;
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::needs;
use crate::core::finding::{Finding, Measured, NotTested, Outcome, Threshold};
use crate::core::sample::statistic;

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "D19",
        versions: Version::V1_AND_NIPS,
        statement: "the best single probes are suppression neurons, about as good as the model",
        needs: &["suffix-probe"],
        models: "",
        judge: d19,
    },
    Claim {
        id: "D20",
        versions: Version::V1_AND_NIPS,
        statement: "ensembles of neurons beat single ones and sometimes the model",
        needs: &["suffix-probe"],
        models: "",
        judge: d20,
    },
];

/// The largest difference between accuracies that count as about equal.
const MARGIN: f64 = 0.03;

/// One accuracy minus another, on the same examples. The best probe was chosen on other examples.
fn less(evidence: &Evidence<'_>, model: &str, one: Chosen, other: Chosen) -> Outcome {
    let accuracy = |chosen: Chosen| {
        evidence
            .sampled(model, "suffix-probe", chosen.curve(), |_| 0.0)
            .map_err(|missing| match (chosen, is_measured(evidence, model)) {
                (Chosen::Suppression | Chosen::Other, true) => NotTested::because(
                    "not tested on models of this kind: neurons of one kind alone are probed",
                ),
                _ => missing,
            })
    };
    let (one, other) = (accuracy(one)?, accuracy(other)?);
    statistic([&one, &other], |[one, other]| match (one, other) {
        ([one], [other]) => Ok(Measured::of(one.value - other.value)
            .noting(format!("{:.4} against {:.4}", one.value, other.value))),
        _ => Err(needs("suffix-probe")),
    })
}

fn is_measured(evidence: &Evidence<'_>, model: &str) -> bool {
    let curve = Chosen::Model.curve();
    evidence
        .sampled(model, "suffix-probe", curve, |_| 0.0)
        .is_ok()
}

/// The best suppression neuron beats the best other one, and the best neuron is within 3 points of the model.
pub fn d19(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        findings.push(Finding::of(
            &model.name,
            "best single probe on a suppression neuron less the best on another, accuracy",
            Threshold::Above(0.0),
            less(evidence, &model.name, Chosen::Suppression, Chosen::Other),
        ));
        findings.push(Finding::of(
            &model.name,
            "best single probe less the model, accuracy",
            Threshold::Between(-MARGIN, MARGIN),
            less(evidence, &model.name, Chosen::Single, Chosen::Model),
        ));
    }
    findings
}

/// The best ensemble beats the best single probe, and in some model the model.
pub fn d20(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        findings.push(Finding::of(
            &model.name,
            "best ensemble less best single probe, accuracy",
            Threshold::Above(0.0),
            less(evidence, &model.name, Chosen::Ensemble, Chosen::Single),
        ));
        let finding = Finding::of(
            &model.name,
            "best ensemble less the model, accuracy",
            Threshold::Above(0.0),
            less(evidence, &model.name, Chosen::Ensemble, Chosen::Model),
        );
        findings.push(finding.of_some());
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::Facts;
    use crate::core::sample::Units;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS, Simulated, change, small};
    use crate::suffix_probe::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    /// Accuracies of the best neuron, the best suppression neuron, the best other one, the best ensemble and the model.
    fn accuracies(values: [f64; 5]) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
        use Chosen::{Ensemble, Model, Other, Single, Suppression};
        move |simulated, facts, tables| {
            let all = [Single, Suppression, Other, Ensemble, Model];
            for (chosen, value) in all.into_iter().zip(values) {
                simulated.curve(tables, facts, chosen.curve(), &[(0, value)], [0.0, 0.08]);
            }
        }
    }

    #[test]
    fn d19_the_best_probe_is_a_suppression_neurons() {
        let otherwise = |tables: &mut Tables| {
            change(tables, |_, curve, _| {
                (curve == Chosen::Other.curve() || curve == Chosen::Single.curve()).then_some(0.99)
            });
        };
        judged("D19").check_all(2 * MODELS, otherwise, [0, 2 * MODELS, 0, 0]);
        let none = |tables: &mut Tables| {
            let suppression = Chosen::Suppression.curve();
            tables
                .of_mut::<Units>()
                .retain(|units| units.curve != suppression);
        };
        judged("D19").check(none, [MODELS, 0, 0, MODELS]);
        // 5 points below the model is not about equal, however few the examples.
        judged("D19").check_null(&[small()], accuracies([0.75, 0.75, 0.75, 0.75, 0.8]));
        // It takes more examples than the default run has to show that two accuracies are alike.
        judged("D19").check_effect(&[small()], false, accuracies([0.8, 0.8, 0.7, 0.9, 0.8]));
    }

    #[test]
    fn d20_ensembles_beat_single_neurons() {
        let weak = |tables: &mut Tables| {
            change(tables, |_, curve, _| {
                (curve == Chosen::Ensemble.curve()).then_some(0.85)
            });
        };
        judged("D20").check_all(2 * MODELS, weak, [0, 2 * MODELS, 0, 0]);
        judged("D20").check_null(&[small()], accuracies([0.8; 5]));
        judged("D20").check_effect(&[small()], true, accuracies([0.8, 0.8, 0.7, 0.9, 0.8]));
    }
}
