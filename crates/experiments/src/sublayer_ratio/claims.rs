//! The claims that are judged from this experiment.

use super::measure::CURVE;
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::against_depth;
use crate::core::finding::{Finding, Threshold};
use crate::core::sample::{over_places, statistic};

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[Claim {
    id: "D26",
    versions: &[Version::V1],
    statement: "attention writes less in comparison with the MLP with depth",
    needs: &["sublayer-ratio"],
    models: "",
    judge: d26,
}];

/// The ratio of attention's output to the MLP's falls with depth.
pub fn d26(evidence: &Evidence<'_>) -> Vec<Finding> {
    let each = evidence.models.iter().map(|model| {
        let falls = || {
            let ratio = evidence.by_block(model, "sublayer-ratio", CURVE)?;
            let rank = statistic([&ratio], |[curve]| against_depth(curve));
            over_places(rank, model.layers)
        };
        Finding::of(
            &model.name,
            "rank correlation of depth and ‖attn.out‖/‖mlp.out‖",
            Threshold::Below(0.0),
            falls(),
        )
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS, change, small};
    use crate::sublayer_ratio::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    #[test]
    fn d26_attention_writes_less_with_depth() {
        let growing = |tables: &mut Tables| change(tables, |_, _, layer| Some(0.01 * layer as f64));
        judged("D26").check_all(MODELS, growing, [0, MODELS, 0, 0]);
        // Blocks differ arbitrarily, and the text distinguishes them well.
        judged("D26").check_null(&[small()], |simulated, facts, tables| {
            let values: Vec<(usize, f64)> = (0..facts.layers)
                .map(|at| (at, simulated.gaussian()))
                .collect();
            simulated.curve(tables, facts, CURVE, &values, [0.1, 0.1]);
        });
        judged("D26").check_effect(&[small()], true, |simulated, facts, tables| {
            let values: Vec<(usize, f64)> = (0..facts.layers)
                .map(|at| (at, 2.0 - 0.2 * at as f64))
                .collect();
            simulated.curve(tables, facts, CURVE, &values, [0.1, 0.1]);
        });
    }
}
