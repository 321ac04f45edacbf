//! The claims that are judged from this experiment.

use super::table::{Intervention, Record};
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{
    Point, curve, lies_between, median, middle, needs, peak, point, together, trough,
};
use crate::core::finding::{Finding, Measured, Outcome, Threshold, Unjudged};
use crate::core::models::{Facts, relative_depth};
use std::collections::BTreeSet;

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "D8",
        versions: Version::V3_ON,
        statement: "benchmarks mirror the divergence",
        needs: &["benchmarks"],
        models: "",
        judge: d8,
    },
    Claim {
        id: "D24",
        versions: Version::V3_ON,
        statement: "repeating late blocks improves benchmark accuracy",
        needs: &["benchmarks"],
        models: "Qwen2.5 models and HellaSwag",
        judge: d24,
    },
];

/// The tasks that the paper shows.
const TASKS: [&str; 3] = ["arc_easy", "lambada_openai", "hellaswag"];

/// The first or last block is the worst; the middle is nearer to the plain model than to the worst block.
pub fn d8(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let own = |r: &&Record| r.model == model.name;
        let recorded = evidence.tables.of::<Record>().iter().filter(own);
        let mut tasks: BTreeSet<&str> = recorded.map(|r| r.task.as_str()).collect();
        // Stand-ins are judged where they were run, the paper's tasks in any case.
        if tasks.is_empty() {
            tasks.extend(TASKS);
        }
        for task in tasks {
            for (intervention, name) in [(Intervention::Drop, "drop"), (Intervention::Swap, "swap")]
            {
                let accuracy = || {
                    let own = |r: &Record| {
                        r.model == model.name && r.task == task && r.intervention == intervention
                    };
                    curve(evidence.tables.of::<Record>(), "benchmarks", own, |r| {
                        let layer = r.layer.unwrap_or(0);
                        let depth = relative_depth(layer, r.layers);
                        point(layer, depth, r.accuracy, r.accuracy_se)
                    })
                };
                findings.push(Finding::of(
                    &model.name,
                    format!("the worse of the first and last block less the worst of those between in accuracy, {task}, {name}"),
                    Threshold::AtMost(0.0),
                    accuracy().and_then(|curve| ends_worst(&curve)),
                ));
                let plain = evidence.tables.of::<Record>().iter().find(|r| {
                    r.model == model.name && r.task == task && r.intervention == Intervention::None
                });
                findings.push(Finding::of(
                    &model.name,
                    format!("median accuracy at depths 0.2 to 0.9, from 0 for the worst block to 1 for the plain model, {task}, {name}"),
                    Threshold::Above(0.5),
                    accuracy().and_then(|curve| {
                        let plain = plain.ok_or_else(|| needs("benchmarks"))?;
                        middle_near(&curve, plain.accuracy)
                    }),
                ));
            }
        }
    }
    findings
}

fn ends_worst(curve: &[Point]) -> Outcome {
    let ([first, between @ .., last], false) = (curve, curve.len() < 3) else {
        return Err(Unjudged::NotTested("needs three blocks".to_owned()));
    };
    let end = trough(&[*first, *last]).ok_or_else(|| needs("benchmarks"))?;
    let worst = trough(between).ok_or_else(|| needs("benchmarks"))?;
    Ok(Measured::of(end.value - worst.value)
        .with_error(together(end.error, worst.error))
        .noting(format!("blocks {} and {}", end.index, worst.index)))
}

fn middle_near(curve: &[Point], plain: f64) -> Outcome {
    let usual = median(&middle(curve)?).ok_or_else(|| needs("benchmarks"))?;
    let worst = trough(curve).ok_or_else(|| needs("benchmarks"))?;
    let range = plain - worst.value;
    if range <= 0.0 {
        let reason = "no block lowers the accuracy, so that there is nothing to mirror";
        return Err(Unjudged::NotTested(reason.to_owned()));
    }
    Ok(Measured::of((usual.value - worst.value) / range)
        .with_error(usual.standard_error.map(|error| error / range))
        .noting("standard error of the median block, the others taken as given"))
}

/// On HellaSwag, the greatest gain of a repeat at depths 0.8 to 0.9 is above one standard error; Qwen models.
pub fn d24(evidence: &Evidence<'_>) -> Vec<Finding> {
    let qwen: Vec<&Facts> = evidence
        .models
        .iter()
        .filter(|m| m.family == "qwen2")
        .collect();
    if qwen.is_empty() {
        let missing =
            Unjudged::NotTested("needs Qwen2.5 models (family qwen2) and HellaSwag".to_owned());
        let part = "greatest gain of accuracy at depths 0.8 to 0.9, hellaswag";
        return vec![Finding::of("*", part, Threshold::Above(1.0), Err(missing))];
    }
    let each = qwen.into_iter().map(|model| {
        let gains = evidence.tables.of::<Record>().iter().filter(|r| {
            r.model == model.name
                && r.task == "hellaswag"
                && r.intervention == Intervention::RepeatFive
                && r.relative_depth.is_some_and(|depth| lies_between(depth, 0.8, 0.9))
        });
        let gains: Vec<Point> = gains
            .filter_map(|r| {
                // A gain is compared with its own standard error.
                let error = r.difference_se.filter(|error| *error > 0.0)?;
                Some(point(r.layer.unwrap_or(0), 0.0, r.difference / error, None))
            })
            .collect();
        let gain = peak(&gains)
            .map(|gain| Measured::of(gain.value).noting(format!("repeats from block {}", gain.index)))
            .ok_or_else(|| {
                Unjudged::NotTested("needs the results of benchmarks on HellaSwag with repeats at depths 0.8 to 0.9".to_owned())
            });
        Finding::of(
            &model.name,
            "greatest gain of accuracy at depths 0.8 to 0.9 in standard errors of the paired difference, hellaswag",
            Threshold::Above(1.0),
            gain,
        )
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmarks::synthetic;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS};

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    #[test]
    fn d8_benchmarks_mirror_the_divergence() {
        let bad_middle = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                let last = match r.intervention {
                    Intervention::Swap => r.layers - 2,
                    _ => r.layers - 1,
                };
                let between = r.layer.is_some_and(|layer| layer > 0 && layer < last);
                if between && r.model_type == "llama" {
                    r.accuracy = 0.2;
                }
            }
        };
        judged("D8").check_all(4 * MODELS, bad_middle, [4 * MODELS - 4, 4, 0]);
        let unharmed = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.accuracy = 0.5;
            }
        };
        judged("D8").check(unharmed, [2 * MODELS, 0, 2 * MODELS]);
    }

    #[test]
    fn d24_late_repeats_improve_accuracy() {
        let within_error = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.difference_se = Some(0.03);
            }
        };
        judged("D24").check_all(1, within_error, [0, 1, 0]);
        let otherwise = |tables: &mut Tables| {
            let repeats = Intervention::RepeatFive;
            tables
                .of_mut::<Record>()
                .retain(|r| r.intervention != repeats);
        };
        judged("D24").check(otherwise, [0, 0, 1]);
    }
}
