//! The claim that is judged from this experiment.

use super::measure::{EARLY, LATER};
use super::table::{DifferenceRecord, Record};
use crate::core::claim::{Claim, Evidence, each_model};
use crate::core::curve::needs;
use crate::core::finding::{Finding, NotTested, Outcome, Threshold, difference};
use crate::core::tables::Tables;

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

/// A window of 8 costs the blocks of the first quarter of depth less than the blocks from there to depth 0.6.
pub fn d28(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_model(evidence, |model| {
        vec![Finding::of(
            model,
            "divergence under a window of 8 at depths 0.25 to 0.6 less that below 0.25, nats",
            Threshold::Above(0.0),
            later_less_early(evidence.tables, model),
        )]
    })
}

fn later_less_early(tables: &Tables, model: &str) -> Outcome {
    let mut records = tables.of::<DifferenceRecord>().iter();
    let found = records.find(|r| r.model == model && r.window == WINDOW);
    let r = found.ok_or_else(|| {
        // The first block is always an early one.
        match tables.of::<Record>().iter().any(|r| r.model == model) {
            true => NotTested(format!("no block lies at depths {EARLY} to {LATER}")),
            false => needs("locality-causal"),
        }
    })?;
    let units = Some(r.sequences);
    let difference = difference(r.difference_nats, r.difference_nats_se, units)?;
    Ok(difference.noting(format!(
        "{:.4} nats over {} early blocks, {:.4} over {} later ones",
        r.early_kl_nats, r.early_blocks, r.later_kl_nats, r.later_blocks
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::{Facts, relative_depth};
    use crate::core::testing::{Judged, MODELS, Simulated, small};
    use crate::locality_causal::synthetic;

    #[test]
    fn d28_early_blocks_need_only_local_attention() {
        let judged = Judged::of(CLAIMS, "D28", &[synthetic::add]);
        let close = |tables: &mut Tables| {
            for r in tables.of_mut::<DifferenceRecord>() {
                r.difference_nats = -0.5;
            }
        };
        judged.check_all(MODELS, close, [0, MODELS, 0, 0]);
        let alone = |tables: &mut Tables| {
            for r in tables.of_mut::<DifferenceRecord>() {
                r.difference_nats_se = None;
            }
        };
        judged.check(alone, [0, 0, MODELS, 0]);
        // By this many standard deviations of a sequence, on the most sequences a run has.
        let later = |difference: f64| {
            move |simulated: &mut Simulated, facts: &Facts, tables: &mut Tables| {
                synthetic::add(facts, tables);
                for r in tables.of_mut::<DifferenceRecord>() {
                    r.sequences = 16;
                    (r.difference_nats, r.difference_nats_se) = simulated.mean(difference, 1.0, 16);
                }
            }
        };
        judged.check_null(&[small()], later(0.0));
        judged.check_effect(&[small()], true, later(1.0));
    }

    #[test]
    fn a_model_without_later_blocks_is_told_so() {
        let mut tables = Tables::default();
        for layer in 0..2 {
            tables.push(Record {
                model: "gpt2".to_owned(),
                model_type: "gpt2".to_owned(),
                layer,
                layers: 2,
                relative_depth: relative_depth(layer, 2),
                window: WINDOW,
                kl_nats: 0.1,
                kl_nats_se: None,
                sequences: 2,
                positions: 10,
            });
        }
        let reason = |model: &str| match later_less_early(&tables, model) {
            Err(NotTested(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason("gpt2"), "no block lies at depths 0.25 to 0.6");
        assert_eq!(reason("other"), "needs the results of locality-causal");
    }
}
