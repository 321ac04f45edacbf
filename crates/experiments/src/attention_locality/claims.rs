//! The claims that are judged from this experiment.

use super::measure::CURVE;
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{Point, against_depth, depth_of_peak, needs, trough};
use crate::core::finding::{Finding, Measured, Outcome, Threshold};
use crate::core::models::Facts;
use crate::core::sample::{chosen_by_halves, over_places, statistic};

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[Claim {
    id: "D10",
    versions: Version::ALL,
    statement: "early attention is local and becomes less so",
    needs: &["attention-locality"],
    models: "",
    judge: d10,
}];

/// Attention to the previous five falls with depth and peaks before depth 0.25; in some models it rises at the end.
pub fn d10(evidence: &Evidence<'_>) -> Vec<Finding> {
    of_curve(evidence, CURVE)
}

/// The same test for attention measured under another name.
pub fn of_curve(evidence: &Evidence<'_>, curve: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let attention = || evidence.by_block(model, "attention-locality", curve);
        let falls = || {
            let attention = attention()?;
            let rank = statistic([&attention], |[curve]| against_depth(curve));
            over_places(rank, model.layers)
        };
        let peaks = || {
            statistic([&attention()?], |[curve]| {
                depth_of_peak(curve, "attention-locality")
            })
        };
        for (part, threshold, outcome) in [
            (
                "rank correlation of depth and attention to the previous five",
                Threshold::Below(0.0),
                falls(),
            ),
            (
                "depth of the most attention to the previous five",
                Threshold::Below(0.25),
                peaks(),
            ),
        ] {
            findings.push(Finding::of(&model.name, part, threshold, outcome));
        }
        let rise = Finding::of(
            &model.name,
            "attention to the previous five in the last block less that where it is least, each half of the sequences at the place that the other chooses",
            Threshold::Above(0.0),
            rise(evidence, model, curve),
        );
        findings.push(rise.of_some());
    }
    findings
}

/// A block that is chosen as the least lies below the last one by chance alone. So one half of the sequences chooses the block,
/// and the other half judges it.
fn rise(evidence: &Evidence<'_>, model: &Facts, curve: &str) -> Outcome {
    let attention = evidence.by_block(model, "attention-locality", curve)?;
    chosen_by_halves(&[attention], |chosen, judged| {
        let above = |chosen: &[Point], judged: &[Point]| {
            let (least, last) = (trough(chosen)?, judged.last()?);
            let there = judged.iter().find(|point| point.index == least.index)?;
            Some(last.value - there.value)
        };
        let above = above(&chosen[0], &judged[0]);
        Ok(Measured::of(
            above.ok_or_else(|| needs("attention-locality"))?,
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention_locality::synthetic;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS, Simulated, change, models, small};

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    fn curve(value: impl Fn(usize) -> f64) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
        move |simulated, facts, tables| {
            let values: Vec<(usize, f64)> = (0..facts.layers).map(|at| (at, value(at))).collect();
            simulated.curve(tables, facts, CURVE, &values, [0.01, 0.01]);
        }
    }

    #[test]
    fn d10_early_attention_is_local() {
        let layers = |name: &str| {
            let models = models();
            let own = models.iter().find(|model| model.name == name);
            own.map_or(1, |model| model.layers)
        };
        let growing = |tables: &mut Tables| {
            change(tables, |_, curve, layer| {
                (curve == CURVE).then_some(0.01 + 0.01 * layer as f64)
            });
        };
        // They still rise at the end.
        judged("D10").check_all(3 * MODELS, growing, [MODELS, 2 * MODELS, 0, 0]);
        let without_rise = |tables: &mut Tables| {
            change(tables, |model, curve, layer| {
                let depth = layer as f64 / layers(model) as f64;
                (curve == CURVE).then_some(0.1 - 0.05 * depth)
            });
        };
        judged("D10").check(without_rise, [2 * MODELS, MODELS, 0, 0]);
        judged("D10").check_null(&[small()], curve(|_| 0.1));
        let falling = |layer: usize| [0.2, 0.17, 0.14, 0.11, 0.08, 0.06, 0.04, 0.07][layer];
        judged("D10").check_effect(&[small()], true, curve(falling));
    }
}
