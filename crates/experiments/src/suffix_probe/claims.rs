//! The claims that are judged from this experiment.

use super::table::Record;
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{Point, needs, peak, point, together};
use crate::core::finding::{Finding, Measured, Outcome, Threshold, Unjudged};
use crate::neurons::Kind;

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

/// The probes of a model by rank.
fn probes<'a>(evidence: &Evidence<'a>, model: &str) -> Result<Vec<&'a Record>, Unjudged> {
    let own = |r: &&Record| r.model == model;
    let mut probes: Vec<_> = evidence.tables.of::<Record>().iter().filter(own).collect();
    probes.sort_by_key(|probe| probe.rank);
    if probes.is_empty() {
        return Err(needs("suffix-probe"));
    }
    Ok(probes)
}

/// The best of the probes on single neurons that `counts`.
fn best_single(probes: &[&Record], counts: impl Fn(Kind) -> bool) -> Option<Point> {
    let singles: Vec<Point> = probes
        .iter()
        .filter(|probe| counts(probe.kind))
        .map(|probe| {
            point(
                probe.rank,
                0.0,
                probe.single_accuracy,
                probe.single_accuracy_se,
            )
        })
        .collect();
    peak(&singles)
}

/// One accuracy less another.
fn less(one: Point, other: Point) -> Measured {
    Measured::of(one.value - other.value)
        .with_error(together(one.error, other.error))
        .noting(format!(
            "{:.4} against {:.4}; standard error as of independent accuracies",
            one.value, other.value
        ))
}

fn model_line(probes: &[&Record]) -> Point {
    point(
        0,
        0.0,
        probes[0].model_accuracy,
        probes[0].model_accuracy_se,
    )
}

/// The best single probe is of a suppression neuron, and within two standard errors of the model.
pub fn d19(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let kind = || -> Outcome {
            let probes = probes(evidence, &model.name)?;
            let suppressing = best_single(&probes, |kind| kind == Kind::Suppression)
                .ok_or_else(|| Unjudged::Absent("no suppression neuron is probed".to_owned()))?;
            let other =
                best_single(&probes, |kind| kind != Kind::Suppression).ok_or_else(|| {
                    Unjudged::NotTested("only suppression neurons are probed".to_owned())
                })?;
            Ok(less(suppressing, other))
        };
        let near = || -> Outcome {
            let probes = probes(evidence, &model.name)?;
            let best = best_single(&probes, |_| true).ok_or_else(|| needs("suffix-probe"))?;
            let difference = less(best, model_line(&probes));
            let error = difference.standard_error.filter(|error| *error > 0.0);
            let error = error.ok_or_else(|| {
                Unjudged::NotTested(
                    "needs standard errors: test examples of two documents".to_owned(),
                )
            })?;
            Ok(Measured::of(difference.value.abs() / error).noting(difference.note))
        };
        findings.push(Finding::of(
            &model.name,
            "best single probe on a suppression neuron less the best on another, accuracy",
            Threshold::Above(0.0),
            kind(),
        ));
        findings.push(Finding::of(
            &model.name,
            "distance of the best single probe from the model's accuracy, in standard errors",
            Threshold::AtMost(2.0),
            near(),
        ));
    }
    findings
}

/// The best ensemble beats the best single probe, and the model.
pub fn d20(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let beats = |other: fn(&[&Record]) -> Option<Point>| {
            let probes = probes(evidence, &model.name)?;
            let ensembles: Vec<Point> = probes
                .iter()
                .map(|r| point(r.rank, 0.0, r.ensemble_accuracy, r.ensemble_accuracy_se))
                .collect();
            let best = peak(&ensembles).zip(other(&probes));
            let (best, other) = best.ok_or_else(|| needs("suffix-probe"))?;
            let difference = less(best, other);
            let note = format!("{} neurons; {}", best.index, difference.note);
            Ok(difference.noting(note))
        };
        findings.push(Finding::of(
            &model.name,
            "best ensemble less best single probe, accuracy",
            Threshold::Above(0.0),
            beats(|probes| best_single(probes, |_| true)),
        ));
        findings.push(Finding::of(
            &model.name,
            "best ensemble less the model, accuracy",
            Threshold::Above(0.0),
            beats(|probes| Some(model_line(probes))),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS};
    use crate::suffix_probe::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    #[test]
    fn d19_the_best_probe_is_a_suppression_neurons() {
        let otherwise = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                if r.rank == 2 {
                    r.single_accuracy = 0.99;
                }
            }
        };
        judged("D19").check_all(2 * MODELS, otherwise, [0, 2 * MODELS, 0]);
        let none = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.kind = Kind::Prediction;
                r.model_accuracy_se = None;
            }
        };
        judged("D19").check(none, [0, MODELS, MODELS]);
    }

    #[test]
    fn d20_ensembles_beat_single_neurons() {
        let weak = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.ensemble_accuracy = 0.902;
            }
        };
        judged("D20").check_all(2 * MODELS, weak, [MODELS, MODELS, 0]);
    }
}
