//! The claim judged from this experiment, of "The Unreasonable Ineffectiveness of the Deeper Layers" (its Figure 4).

use super::measure::CURVE;
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{Point, mean};
use crate::core::finding::{Finding, Measured, NotTested, Threshold};
use crate::core::sample::statistic;

/// The claim judged from this experiment.
pub const CLAIMS: &[Claim] = &[Claim {
    id: "G1",
    versions: Version::DEEPER,
    statement: "deeper blocks turn the residual stream less than shallow ones, the last one excepted",
    needs: &["block-pruning"],
    models: "",
    judge: g1,
}];

/// The angular distance over the blocks of the second half without the last block is below that of the first half, and that of
/// the last block is above both.
pub fn g1(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let of = |number: fn(&[Point], usize) -> Option<f64>| {
            let distances = evidence.by_block(model, "block-pruning", CURVE)?;
            statistic([&distances], |[curve]| {
                let few = || NotTested::because("needs two blocks in the second half");
                let value = number(curve, model.layers).ok_or_else(few)?;
                Ok(Measured::of(value))
            })
        };
        for (part, threshold, outcome) in [
            (
                "angular distance over a block of the second half but the last less that of the first half",
                Threshold::Below(0.0),
                of(|curve, layers| Some(deep(curve, layers)? - shallow(curve, layers)?)),
            ),
            (
                "angular distance over the last block less that of the others of the second half",
                Threshold::Above(0.0),
                of(|curve, layers| Some(last(curve, layers)? - deep(curve, layers)?)),
            ),
        ] {
            findings.push(Finding::of(&model.name, part, threshold, outcome));
        }
    }
    findings
}

fn among(curve: &[Point], is_own: impl Fn(usize) -> bool) -> Option<f64> {
    let own = curve.iter().filter(|point| is_own(point.index));
    mean(&own.copied().collect::<Vec<_>>())
}

fn shallow(curve: &[Point], layers: usize) -> Option<f64> {
    among(curve, |block| 2 * block < layers)
}

fn deep(curve: &[Point], layers: usize) -> Option<f64> {
    among(curve, |block| 2 * block >= layers && block + 1 < layers)
}

fn last(curve: &[Point], layers: usize) -> Option<f64> {
    among(curve, |block| block + 1 == layers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::Facts;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS, Simulated, blocks, change, small, units};

    /// How far a block at this depth turns the stream.
    fn turned(depth: f64) -> f64 {
        match depth {
            depth if depth < 0.5 => 0.3,
            depth if depth < 1.0 => 0.1,
            _ => 0.4,
        }
    }

    fn add(facts: &Facts, tables: &mut Tables) {
        for (layer, depth) in blocks(facts) {
            units(tables, facts, CURVE, layer, turned(depth), 0.01);
        }
    }

    #[test]
    fn g1_deeper_blocks_turn_less() {
        let judged = Judged::of(CLAIMS, "G1", &[add]);
        let alike = |tables: &mut Tables| {
            change(tables, |model, _, layer| {
                (model == "gpt2").then_some(0.1 + 0.01 * layer as f64)
            });
        };
        judged.check_all(2 * MODELS, alike, [2 * MODELS - 1, 1, 0, 0]);
        let turning = |of: fn(f64) -> f64| {
            move |simulated: &mut Simulated, facts: &Facts, tables: &mut Tables| {
                simulated.units = 8;
                let values: Vec<(usize, f64)> = blocks(facts)
                    .map(|(layer, depth)| (layer, of(depth)))
                    .collect();
                simulated.curve(tables, facts, CURVE, &values, [0.02, 0.02]);
            }
        };
        judged.check_null(&[small()], turning(|_| 0.2));
        judged.check_effect(&[small()], true, turning(turned));
    }
}
