//! The claims that are judged from this experiment.

use super::table::Record;
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{against_depth, curve, point};
use crate::core::finding::{Finding, Threshold};

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
        let own = |r: &Record| r.model == model.name;
        let ratio = curve(evidence.tables.of::<Record>(), "sublayer-ratio", own, |r| {
            point(r.layer, r.relative_depth, r.ratio, r.ratio_se)
        });
        Finding::of(
            &model.name,
            "rank correlation of depth and ‖attn.out‖/‖mlp.out‖",
            Threshold::Below(0.0),
            ratio.and_then(|ratio| against_depth(&ratio)),
        )
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS};
    use crate::sublayer_ratio::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    #[test]
    fn d26_attention_writes_less_with_depth() {
        let growing = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.ratio = r.relative_depth;
            }
        };
        judged("D26").check_all(MODELS, growing, [0, MODELS, 0]);
    }
}
