//! The claim that is judged from this experiment.

use super::table::{AgreementRecord, Sublayer};
use crate::core::ablation::Kind;
use crate::core::claim::{Claim, Evidence, each_model};
use crate::core::curve::needs;
use crate::core::finding::{Finding, Measured, NotTested, Threshold};
use crate::core::sample::interval_of_ranks;

/// The claim that is judged from this experiment.
pub const CLAIMS: &[Claim] = &[Claim {
    id: "D30",
    versions: &[],
    statement: "zero ablation is no proxy for resampling: the two rank the blocks' MLPs with a correlation below 0.8",
    needs: &["ablation-kinds"],
    models: "",
    judge: d30,
}];

/// The fewest blocks that are ranked.
const FEWEST: usize = 3;

/// A proxy would rank the blocks' MLPs as resampling does, with a rank correlation of at least 0.8. The claim holds below 0.8
/// and fails otherwise.
pub fn d30(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_model(evidence, |model| {
        let mut records = evidence.tables.of::<AgreementRecord>().iter();
        let found = records.find(|r| {
            r.model == model
                && r.sublayer == Sublayer::Mlp
                && (r.kind, r.other_kind) == (Kind::Zero, Kind::Resample)
        });
        let outcome = found.ok_or_else(|| needs("ablation-kinds")).and_then(|r| {
            if r.blocks < FEWEST {
                let reason = format!(
                    "a rank correlation says something of {FEWEST} blocks or more, found {}",
                    r.blocks
                );
                return Err(NotTested(reason));
            }
            let range = interval_of_ranks(r.rank_correlation, r.blocks);
            Ok(Measured::of(r.rank_correlation).within(range).noting(format!(
                "{} blocks; the median divergence under zero is {:.2} times that under resampling",
                r.blocks, r.ratio_of_medians
            )))
        });
        vec![Finding::of(
            model,
            "rank correlation of the MLPs' divergences under both, where a proxy has 0.8 or more",
            Threshold::Below(0.8),
            outcome,
        )]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ablation_kinds::synthetic;
    use crate::core::ablation::Agreement;
    use crate::core::models::Facts;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS, Simulated, small};

    /// Divergences of a model's blocks under both kinds, with normal scores of this correlation.
    fn ranked(correlation: f64) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
        move |simulated, facts, tables| {
            synthetic::add(facts, tables);
            let rest = (1.0 - correlation * correlation).sqrt();
            let each = (0..facts.layers).map(|_| {
                let (one, other) = (simulated.gaussian(), simulated.gaussian());
                (one, correlation * one + rest * other)
            });
            let agreement = Agreement::of(&each.collect::<Vec<_>>());
            for r in tables.of_mut::<AgreementRecord>() {
                r.rank_correlation = agreement.rank_correlation;
            }
        }
    }

    #[test]
    fn a_proxy_is_not_taken_for_none() {
        let judged = Judged::of(CLAIMS, "D30", &[synthetic::add]);
        let deep = Facts {
            layers: 24,
            ..small()
        };
        // The normal correlation that corresponds to a rank correlation of 0.8.
        let proxy = 2.0 * (std::f64::consts::PI * 0.8 / 6.0).sin();
        for facts in [small(), deep.clone()] {
            judged.check_null(&[facts], ranked(proxy));
        }
        judged.check_effect(&[deep], true, ranked(0.2));
        judged.check_effect(&[small()], false, ranked(0.2));
    }

    #[test]
    fn d30_zero_is_no_proxy() {
        let alike = |tables: &mut Tables| {
            for r in tables.of_mut::<AgreementRecord>() {
                r.rank_correlation = 0.995;
            }
        };
        let judged = Judged::of(CLAIMS, "D30", &[synthetic::add]);
        // Twelve and sixteen blocks are few for a rank correlation.
        judged.check(|_| {}, [MODELS - 2, 0, 2, 0]);
        judged.check(alike, [0, MODELS, 0, 0]);
        let undefined = |tables: &mut Tables| {
            for r in tables.of_mut::<AgreementRecord>() {
                r.rank_correlation = f64::NAN;
            }
        };
        judged.check(undefined, [0, 0, 0, MODELS]);
        let short = |blocks: usize| {
            move |tables: &mut Tables| {
                for r in tables.of_mut::<AgreementRecord>() {
                    r.blocks = blocks;
                }
            }
        };
        judged.check(short(2), [0, 0, 0, MODELS]);
        judged.check(short(3), [0, 0, MODELS, 0]);
    }
}
