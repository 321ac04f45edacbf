//! The claims that are judged from this experiment.

use super::table::{self};
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::depth_of_peak;
use crate::core::finding::{Finding, Threshold};

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[Claim {
    id: "D22",
    versions: Version::ALL,
    statement: "the MLP's output norm peaks in the last layers",
    needs: &["mlp-norm"],
    models: "",
    judge: d22,
}];

/// The MLP's output norm is greatest at a depth of 0.85 or more.
pub fn d22(evidence: &Evidence<'_>) -> Vec<Finding> {
    let each = evidence.models.iter().map(|model| {
        let norm = table::curve(evidence.tables, &model.name);
        Finding::of(
            &model.name,
            "depth of the block whose MLP writes most",
            Threshold::AtLeast(0.85),
            norm.and_then(|norm| depth_of_peak(&norm, "mlp-norm")),
        )
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS};
    use crate::mlp_norm::Record;
    use crate::mlp_norm::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    #[test]
    fn d22_the_mlp_writes_most_at_the_end() {
        let early = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.mlp_out_norm = 2.0 - r.relative_depth;
            }
        };
        judged("D22").check_all(MODELS, early, [0, MODELS, 0]);
    }
}
