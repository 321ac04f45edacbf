//! The claims that are judged from this experiment.

use super::measure::curve_name;
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{lies_between, mean};
use crate::core::finding::{Finding, Measured, NotTested, Outcome, Threshold};
use crate::core::models::{Facts, relative_depth};
use crate::core::sample::statistic;

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[Claim {
    id: "D23",
    versions: Version::V3_ON,
    statement: "repeating late blocks lowers the output's entropy, repeating early ones does not",
    needs: &["repeats"],
    models: "",
    judge: d23,
}];

/// The runs that a line is about, by the depth of their middle block: those for which the paper shows lower entropy, and those in
/// the first half.
const WINDOWS: [(&str, [f64; 2], Threshold); 2] = [
    ("at depths 0.6 to 0.9", [0.6, 0.9], Threshold::Below(0.0)),
    ("in the first half", [0.0, 0.5], Threshold::AtLeast(0.0)),
];

/// Mean change of entropy over the runs at depths 0.6 to 0.9 below 0, over those in the first half not below 0. A run that
/// contains the last block changes the output directly, and is reported separately.
pub fn d23(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for blocks in [3, 5] {
            for (name, [low, high], threshold) in WINDOWS {
                findings.push(Finding::of(
                    &model.name,
                    format!("mean change of entropy in bits, runs of {blocks} blocks {name}"),
                    threshold,
                    change(evidence, model, blocks, [low, high]),
                ));
            }
        }
    }
    findings
}

fn change(evidence: &Evidence<'_>, model: &Facts, blocks: usize, [low, high]: [f64; 2]) -> Outcome {
    let depth = |start| relative_depth(start + blocks / 2, model.layers);
    let all = evidence.sampled(&model.name, "repeats", &curve_name(blocks), depth)?;
    let last = all
        .curve()
        .into_iter()
        .find(|run| run.index + blocks == model.layers);
    let note = last.map_or_else(String::new, |run| {
        format!("with the last block {:+.4}", run.value)
    });
    let inside = all
        .retaining(|start, depth| lies_between(depth, low, high) && start + blocks < model.layers);
    statistic([&inside], |[runs]| {
        let change = mean(runs)
            .ok_or_else(|| NotTested(format!("no run of {blocks} blocks has its middle there")))?;
        Ok(Measured::of(change).noting(&note))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tables::Tables;
    use crate::core::testing::{self, Judged, MODELS, Simulated, small};
    use crate::repeats::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    fn runs(value: impl Fn(f64) -> f64) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
        move |simulated, facts, tables| {
            for blocks in [3, 5] {
                let starts = 0..=facts.layers - blocks;
                let values: Vec<(usize, f64)> = starts
                    .map(|start| {
                        (
                            start,
                            value(relative_depth(start + blocks / 2, facts.layers)),
                        )
                    })
                    .collect();
                let curve = curve_name(blocks);
                simulated.curve(tables, facts, &curve, &values, [0.3, 0.3]);
            }
        }
    }

    #[test]
    fn d23_late_repeats_lower_the_entropy() {
        let opposed = |tables: &mut Tables| {
            for units in tables.of_mut::<crate::core::sample::Units>() {
                units.sums.0.iter_mut().for_each(|sum| *sum *= -1.0);
            }
        };
        judged("D23").check_all(4 * MODELS, opposed, [0, 4 * MODELS, 0, 0]);
        judged("D23").check(
            |tables| testing::change(tables, |_, _, _| Some(0.02)),
            [2 * MODELS, 2 * MODELS, 0, 0],
        );
        let deeper = [Facts {
            layers: 12,
            ..small()
        }];
        judged("D23").check_null(&deeper, runs(|_| 0.0));
        let effect = runs(|depth| if depth > 0.5 { -0.3 } else { 0.3 });
        judged("D23").check_effect(&deeper, true, effect);
    }
}
