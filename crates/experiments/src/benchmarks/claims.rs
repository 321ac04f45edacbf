//! The claims that are judged from this experiment.

use super::measure::curve_name;
use super::table::{Intervention, Record};
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{lies_between, peak};
use crate::core::finding::{Finding, Measured, NotTested, Outcome, Threshold};
use crate::core::models::{Facts, relative_depth};
use crate::core::sample::{over_places, statistic};
use crate::robustness;
use layerwise_metrics::correlation;
use std::collections::BTreeSet;

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "D8",
        versions: Version::V3_ON,
        statement: "benchmarks mirror the divergence",
        needs: &["benchmarks", "robustness"],
        models: "",
        judge: d8,
    },
    Claim {
        id: "D24",
        versions: Version::V3_ON,
        statement: "repeating late blocks improves benchmark accuracy",
        needs: &["benchmarks"],
        models: "",
        judge: d24,
    },
];

/// The tasks that the paper shows.
const TASKS: [&str; 3] = ["arc_easy", "lambada_openai", "hellaswag"];

/// The tasks that a model ran on; the paper's tasks if there are none.
fn tasks<'e>(evidence: &Evidence<'e>, model: &str) -> BTreeSet<&'e str> {
    let own = evidence
        .tables
        .of::<Record>()
        .iter()
        .filter(|r| r.model == model);
    let tasks: BTreeSet<&str> = own.map(|r| r.task.as_str()).collect();
    match tasks.is_empty() {
        true => TASKS.into(),
        false => tasks,
    }
}

/// Over blocks, the loss of accuracy follows the divergence.
pub fn d8(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for task in tasks(evidence, &model.name) {
            for (intervention, altered, name) in [
                (Intervention::Drop, robustness::Intervention::Drop, "drop"),
                (Intervention::Swap, robustness::Intervention::Swap, "swap"),
            ] {
                findings.push(Finding::of(
                    &model.name,
                    format!("rank correlation over blocks of KL and the loss of accuracy, {task}, {name}"),
                    Threshold::Above(0.0),
                    mirrored(evidence, model, (intervention, task), altered),
                ));
            }
        }
    }
    findings
}

fn mirrored(
    evidence: &Evidence<'_>,
    model: &Facts,
    (intervention, task): (Intervention, &str),
    altered: robustness::Intervention,
) -> Outcome {
    let accuracy = evidence.by_block(model, "benchmarks", &curve_name(intervention, task))?;
    let divergence = format!("{} kl_nats", altered.family());
    let divergence = evidence.by_block(model, "robustness", &divergence)?;
    let places = accuracy.curve().len();
    let rank = statistic([&divergence, &accuracy], |[divergence, accuracy]| {
        let both = divergence.iter().zip(accuracy);
        let pairs: Vec<(f64, f64)> = both.map(|(kl, change)| (kl.value, -change.value)).collect();
        let correlation = correlation::spearman(&pairs).ok_or_else(|| {
            NotTested::because(
                "all blocks change the accuracy alike, so that there is nothing to mirror",
            )
        })?;
        Ok(Measured::of(correlation).noting(format!("{} blocks", pairs.len())))
    });
    over_places(rank, places)
}

/// For some model and task, repeating a run of five blocks at depths 0.8 to 0.9 gains accuracy. The greatest gain is corrected
/// for having been selected: its interval is that of the deviation, of any of the gains, that is greatest in size.
pub fn d24(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for task in tasks(evidence, &model.name) {
            let finding = Finding::of(
                &model.name,
                format!("greatest gain of accuracy by repeats at depths 0.8 to 0.9, {task}"),
                Threshold::Above(0.0),
                greatest_gain(evidence, model, task),
            );
            findings.push(finding.of_some());
        }
    }
    findings
}

fn greatest_gain(evidence: &Evidence<'_>, model: &Facts, task: &str) -> Outcome {
    let depth = |start| relative_depth(start + 2, model.layers);
    let curve = curve_name(Intervention::RepeatFive, task);
    let gains = evidence.sampled(&model.name, "benchmarks", &curve, depth)?;
    let gains = gains.retaining(|_, depth| lies_between(depth, 0.8, 0.9));
    let plain = gains.curve();
    let greatest = peak(&plain).ok_or_else(|| {
        NotTested::because("no run of five blocks has its middle at depths 0.8 to 0.9")
    })?;
    let shown = match (task, model.family.as_str()) {
        ("hellaswag", "qwen2") => "; the paper shows this family and task",
        _ => "",
    };
    let note = format!("repeats from block {}{shown}", greatest.index);
    let gain = statistic([&gains], |[gains]| {
        let deviations = gains
            .iter()
            .zip(&plain)
            .map(|(drawn, own)| drawn.value - own.value);
        // With its sign: the greatest deviation alone is rarely negative, which leaves no room above the gain.
        let largest = deviations.fold(0.0, |largest: f64, own| {
            if own.abs() > largest.abs() {
                own
            } else {
                largest
            }
        });
        Ok(Measured::of(greatest.value - largest).noting(&note))
    })?;
    match gain.interval() {
        Some([low, high]) if low == high => Err(NotTested::because(
            "each repeat changes all answers alike, or none: the gains have no spread",
        )),
        _ => Ok(gain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmarks::synthetic;
    use crate::core::sample::Units;
    use crate::core::tables::Tables;
    use crate::core::testing::{self, Judged, MODELS, Simulated, change, small};

    fn judged(claim: &str) -> Judged {
        Judged::of(
            CLAIMS,
            claim,
            &[synthetic::add, robustness::synthetic::add, mirrored_kl],
        )
    }

    /// Divergences in the order of the losses; otherwise the paper's middle blocks are all alike.
    fn mirrored_kl(facts: &Facts, tables: &mut Tables) {
        let layers = facts.layers;
        change(tables, |model, curve, layer| {
            let value = match curve {
                "drop(l) kl_nats" | "swap(l,l+1) kl_nats" => 8.0 - 0.2 * layer as f64,
                _ if curve.starts_with("accuracy difference Repeat") => return None,
                _ if curve.starts_with("accuracy") => 0.01 * layer as f64 - 0.5,
                _ => return None,
            };
            let _ = layers;
            (model == facts.name).then_some(value)
        });
    }

    fn answers(
        gain: impl Fn(&mut Simulated, usize) -> f64,
    ) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
        move |simulated, facts, tables| {
            robustness::synthetic::add(facts, tables);
            let of = |intervention| curve_name(intervention, "hellaswag");
            for (intervention, last) in [
                (Intervention::Drop, 1),
                (Intervention::Swap, 2),
                (Intervention::RepeatFive, 5),
            ] {
                let places = 0..=facts.layers - last;
                let values: Vec<(usize, f64)> = places
                    .map(|layer| (layer, gain(simulated, layer)))
                    .collect();
                let before = tables.of::<Units>().len();
                simulated.units = 100;
                simulated.curve(tables, facts, &of(intervention), &values, [0.1, 0.3]);
                for units in &mut tables.of_mut::<Units>()[before..] {
                    units.sample = "task hellaswag".to_owned();
                }
            }
            tables.push(Record {
                model: facts.name.clone(),
                model_type: facts.family.clone(),
                task: "hellaswag".to_owned(),
                intervention: Intervention::None,
                layer: None,
                layers: facts.layers,
                relative_depth: None,
                accuracy: 0.5,
                accuracy_se: None,
                difference: 0.0,
                difference_se: None,
                items: 100,
            });
        }
    }

    #[test]
    fn d8_benchmarks_mirror_the_divergence() {
        let opposed = |tables: &mut Tables| {
            change(tables, |model, curve, layer| {
                let is_own = model == "phi-2" && curve.starts_with("accuracy");
                is_own.then_some(-0.01 * layer as f64)
            });
        };
        judged("D8").check_all(2 * MODELS, opposed, [2 * MODELS - 2, 2, 0, 0]);
        let unharmed = |tables: &mut Tables| {
            change(tables, |_, curve, _| {
                curve.starts_with("accuracy").then_some(0.0)
            });
            for units in tables.of_mut::<Units>() {
                if units.curve.starts_with("accuracy") {
                    units.sums.0.iter_mut().for_each(|sum| *sum = 0.0);
                }
            }
        };
        judged("D8").check(unharmed, [0, 0, 0, 2 * MODELS]);
        // Losses do not depend on the divergence.
        judged("D8").check_null(&[small()], |simulated, facts, tables| {
            answers(|simulated, _| 0.1 * simulated.gaussian())(simulated, facts, tables);
            change(tables, |_, curve, layer| {
                curve.ends_with("kl_nats").then_some(layer as f64)
            });
        });
        let deep = Facts {
            layers: 24,
            ..small()
        };
        judged("D8").check_effect(&[deep], true, |simulated, facts, tables| {
            answers(|_, layer| -0.05 * layer as f64)(simulated, facts, tables);
            change(tables, |_, curve, layer| {
                curve.ends_with("kl_nats").then_some(layer as f64)
            });
        });
    }

    #[test]
    fn d24_late_repeats_improve_accuracy() {
        let worse = |tables: &mut Tables| {
            change(tables, |_, curve, _| {
                curve
                    .starts_with("accuracy difference Repeat")
                    .then_some(-0.1)
            });
        };
        let shallow = testing::models().iter().filter(|m| m.layers == 12).count();
        assert_eq!(shallow, 1);
        judged("D24").check(|_| {}, [MODELS, 0, 0, 0]);
        judged("D24").check(worse, [0, MODELS, 0, 0]);
        let deep = Facts {
            layers: 40,
            ..small()
        };
        let deep = [deep];
        judged("D24").check_null(&deep, answers(|_, _| 0.0));
        let late = |_: &mut Simulated, layer: usize| if layer >= 28 { 0.2 } else { -0.1 };
        judged("D24").check_effect(&deep, true, answers(late));
        // One of four repeats gains too little to be seen, the others lose: the claim is true, and must not fail.
        let barely = |_: &mut Simulated, layer: usize| if layer == 30 { 0.005 } else { -0.05 };
        judged("D24").check_effect(&deep, false, answers(barely));
        let unchanged = |tables: &mut Tables| {
            for units in tables.of_mut::<Units>() {
                if units.curve.starts_with("accuracy difference Repeat") {
                    units.sums.0.iter_mut().for_each(|sum| *sum = 0.0);
                }
            }
        };
        judged("D24").check(unchanged, [0, 0, 0, MODELS]);
    }
}
