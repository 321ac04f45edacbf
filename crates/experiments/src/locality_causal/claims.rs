//! The claim that is judged from this experiment.

use super::table::DifferenceRecord;
use crate::core::claim::{Claim, Evidence};
use crate::core::curve::needs;
use crate::core::finding::{Finding, Measured, Threshold, Unjudged};

/// The claim that is judged from this experiment.
pub const CLAIMS: &[Claim] = &[Claim {
    id: "D28",
    versions: &[],
    statement: "early blocks need only local attention",
    needs: &["locality-causal"],
    models: "",
    judge: d28,
}];

/// The window that is judged, in tokens.
const WINDOW: usize = 8;

/// A window of 8 costs the blocks of the first quarter of depth less than those up to 0.6, by more than two standard errors.
pub fn d28(evidence: &Evidence<'_>) -> Vec<Finding> {
    let finding = |model: &str| {
        let records = evidence.tables.of::<DifferenceRecord>().iter();
        let mut own = records.filter(|r| r.model == model && r.window == WINDOW);
        let outcome = own.next().ok_or_else(|| needs("locality-causal"));
        let outcome = outcome.and_then(|r| {
            let error = r.difference_nats_se.filter(|error| *error > 0.0);
            let error = error.ok_or_else(|| {
                let reason = "the difference has no standard error: it takes several sequences";
                Unjudged::NotTested(reason.to_owned())
            })?;
            Ok(Measured::of(r.difference_nats / error).noting(format!(
                "{:.4} nats over {} early blocks, {:.4} over {} later ones; the paired difference is {:.4} ± {error:.4}",
                r.early_kl_nats, r.early_blocks, r.later_kl_nats, r.later_blocks, r.difference_nats
            )))
        });
        Finding::of(
            model,
            "divergence under a window of 8 at depths 0.25 to 0.6 less that below 0.25, in standard errors",
            Threshold::Above(2.0),
            outcome,
        )
    };
    let models = evidence.models.iter();
    models.map(|model| finding(&model.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS};
    use crate::locality_causal::synthetic;

    #[test]
    fn d28_early_blocks_need_only_local_attention() {
        let judged = Judged::of(CLAIMS, "D28", &[synthetic::add]);
        let close = |tables: &mut Tables| {
            for r in tables.of_mut::<DifferenceRecord>() {
                r.difference_nats = 0.015;
            }
        };
        judged.check_all(MODELS, close, [0, MODELS, 0]);
        let alone = |tables: &mut Tables| {
            for r in tables.of_mut::<DifferenceRecord>() {
                r.difference_nats_se = None;
            }
        };
        judged.check(alone, [0, 0, MODELS]);
    }
}
