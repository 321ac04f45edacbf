//! The claims that are judged from this experiment.

use super::measure::curve_name;
use super::table::Estimator;
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{Point, is_middle};
use crate::core::finding::{Finding, Measured, NotTested, Outcome, Threshold};
use crate::core::models::{Facts, relative_depth};
use crate::core::sample::{Sampled, statistic};

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[Claim {
    id: "D9",
    versions: Version::V3_ON,
    statement: "representations are similar within the robust region, apart from the first layer",
    needs: &["cka"],
    models: "",
    judge: d9,
}];

/// At the same distance, CKA of pairs within the robust region is above that of pairs across its ends, and CKA of block 0 with
/// the region is below that within it. A similarity that merely falls with distance has neither property.
pub fn d9(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let sampled = [
            (Estimator::LastToken, "last tokens"),
            (Estimator::AllTokens, "all tokens"),
        ]
        .map(|(estimator, name)| {
            let place = |place| place as f64;
            let curve = curve_name(estimator);
            (name, evidence.sampled(&model.name, "cka", curve, place))
        });
        // One estimator is judged in any case.
        let is_measured = sampled.iter().any(|(_, sampled)| sampled.is_ok());
        let own = sampled.into_iter().enumerate();
        for (_, (name, sampled)) in
            own.filter(|(at, (_, sampled))| sampled.is_ok() || (*at == 0 && !is_measured))
        {
            for (part, threshold, pairs) in [
                (
                    "CKA within depths 0.2 to 0.9 less that across their ends at the same distance",
                    Threshold::Above(0.0),
                    across as Others,
                ),
                (
                    "CKA of block 0 with depths 0.2 to 0.9 less that within them at the same distance",
                    Threshold::Below(0.0),
                    first as Others,
                ),
            ] {
                let outcome = sampled
                    .as_ref()
                    .map_err(Clone::clone)
                    .and_then(|sampled| contrast(sampled, model, pairs));
                findings.push(Finding::of(
                    &model.name,
                    format!("{part}, {name}"),
                    threshold,
                    outcome,
                ));
            }
        }
    }
    findings
}

/// Whether a pair, by its two blocks and whether they lie in the middle, is compared with the pairs within the middle; and the
/// sign of the contrast.
type Others = fn([usize; 2], [bool; 2]) -> Option<f64>;

fn across(_: [usize; 2], middle: [bool; 2]) -> Option<f64> {
    (middle[0] != middle[1]).then_some(1.0)
}

fn first(blocks: [usize; 2], middle: [bool; 2]) -> Option<f64> {
    (blocks[0] == 0 && middle == [false, true]).then_some(-1.0)
}

/// The mean over distances of the mean CKA of pairs within the middle minus that of the others at that distance, weighted by
/// the smaller number of pairs; or its opposite.
fn contrast(sampled: &Sampled, model: &Facts, others: Others) -> Outcome {
    let layers = model.layers;
    let pairs = layers
        .checked_add(1)
        .and_then(|more| more.checked_mul(layers));
    if pairs != Some(2 * sampled.curve().len()) {
        return Err(NotTested::because("units.csv has not every pair of blocks"));
    }
    let middle: Vec<bool> = (0..layers)
        .map(|layer| is_middle(relative_depth(layer, layers)))
        .collect();
    statistic([sampled], |[terms]| {
        let cka = similarities(terms, layers);
        let (mut sum, mut weight, mut sign) = (0.0, 0.0, 1.0);
        for distance in 1..layers {
            let (mut within, mut without) = (Vec::new(), Vec::new());
            for layer in 0..layers - distance {
                let pair = [layer, layer + distance];
                let inside = pair.map(|layer| middle[layer]);
                let value = cka[pair[0] * layers + pair[1]];
                if inside == [true; 2] {
                    within.push(value);
                } else if let Some(own) = others(pair, inside) {
                    sign = own;
                    without.push(value);
                }
            }
            let pairs = within.len().min(without.len()) as f64;
            if pairs > 0.0 {
                let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
                sum += pairs * (mean(&within) - mean(&without));
                weight += pairs;
            }
        }
        if weight == 0.0 {
            let reason =
                "needs pairs of blocks within depths 0.2 to 0.9 and others at the same distance";
            return Err(NotTested::because(reason));
        }
        Ok(Measured::of(sign * sum / weight).noting(format!("{weight} pairs")))
    })
}

/// CKA of blocks ℓ ≤ m, by ℓ·L + m; NaN elsewhere.
fn similarities(terms: &[Point], layers: usize) -> Vec<f64> {
    let mut hsic = vec![f64::NAN; layers * layers];
    for term in terms {
        if let Some(own) = hsic.get_mut(term.index) {
            *own = term.value;
        }
    }
    let own = |layer: usize| hsic[layer * layers + layer];
    (0..layers * layers)
        .map(|place| hsic[place] / (own(place / layers) * own(place % layers)).sqrt())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cka::synthetic;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS, Simulated, change, models, small};

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    fn matrix(cka: impl Fn(usize, usize) -> f64) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
        move |simulated, facts, tables| {
            let layers = facts.layers;
            let mut values = Vec::new();
            for layer in 0..layers {
                values.extend((layer..layers).map(|m| (layer * layers + m, cka(layer, m))));
            }
            simulated.units = 32;
            let curve = curve_name(Estimator::AllTokens);
            simulated.curve(tables, facts, curve, &values, [0.1, 0.02]);
        }
    }

    #[test]
    fn d9_representations_form_blocks() {
        let layers: std::collections::BTreeMap<String, usize> =
            models().into_iter().map(|m| (m.name, m.layers)).collect();
        let reversed = |tables: &mut Tables| {
            change(tables, |model, _, place| {
                let layers = layers[model];
                let (layer, other) = (place / layers, place % layers);
                let is_inside = [layer, other].map(|at| is_middle(relative_depth(at, layers)));
                let off = layer != other && model == "Qwen2.5-0.5B";
                off.then_some(if is_inside == [true; 2] { 0.3 } else { 0.6 })
            });
        };
        judged("D9").check_all(2 * MODELS, reversed, [2 * MODELS - 2, 2, 0, 0]);
        // Similarity that falls with distance, without any other structure.
        for width in [1.0, 4.0, 16.0] {
            let band = move |a: usize, b: usize| (-(b as f64 - a as f64) / width).exp();
            judged("D9").check_null(&[small()], matrix(band));
        }
        let inside = |at: usize| is_middle(relative_depth(at, 8));
        let block = move |a: usize, b: usize| match (a == b, inside(a) == inside(b)) {
            (true, _) => 1.0,
            (_, true) => 0.9 - 0.02 * (b - a) as f64,
            _ => 0.7 - 0.02 * (b - a) as f64,
        };
        judged("D9").check_effect(&[small()], true, matrix(block));
    }
}
