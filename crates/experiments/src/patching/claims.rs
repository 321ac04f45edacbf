//! The claim that is judged from this experiment.

use super::table::{Record, SetRecord};
use crate::core::claim::{Claim, Evidence, each_model};
use crate::core::curve::needs;
use crate::core::finding::{Finding, Measured, Outcome, Threshold, Unjudged};
use crate::core::tables::Tables;

/// The claim that is judged from this experiment.
pub const CLAIMS: &[Claim] = &[Claim {
    id: "D29",
    versions: &[],
    statement: "patching importance rises in the feature-engineering stage",
    needs: &["patching"],
    models: "",
    judge: d29,
}];

/// The set that is judged.
const SET: &str = "indirect-objects";

/// What is at the subject's position leaves it in the stage of feature engineering.
pub fn d29(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_model(evidence, |model| {
        vec![Finding::of(
            model,
            "depth of the largest drop of what the stream at the subject's position recovers, indirect objects",
            Threshold::Between(0.2, 0.6),
            depth_of_drop(evidence.tables, model),
        )]
    })
}

fn depth_of_drop(tables: &Tables, model: &str) -> Outcome {
    let not_tested = |reason: &str| Unjudged::NotTested(reason.to_owned());
    let sets = tables.of::<SetRecord>().iter();
    let sets: Vec<&SetRecord> = sets.filter(|r| r.model == model).collect();
    let set = sets.iter().find(|r| r.set == SET);
    let set = set.ok_or_else(|| match sets.is_empty() {
        true => needs("patching"),
        false => not_tested(
            "no pairs of one length about indirect objects can be made of the model's vocabulary that fit the model",
        ),
    })?;
    if set.first_position != set.subject_position {
        return Err(not_tested(
            "the subject has several tokens, and one alone is patched",
        ));
    }
    let error = set.effect_nats_se.unwrap_or(f64::INFINITY);
    let tells_apart = set.effect_nats > 2.0 * error;
    if !tells_apart {
        return Err(Unjudged::NotTested(format!(
            "the model does not tell the prompts of a pair apart: their logit differences differ by {:.3} nats, less than two standard errors",
            set.effect_nats
        )));
    }
    let records = tables.of::<Record>().iter();
    let mut own: Vec<&Record> = records
        .filter(|r| {
            (r.model.as_str(), r.set.as_str(), r.site.as_str()) == (model, SET, "resid.post")
                && r.position == set.subject_position
        })
        .collect();
    own.sort_by_key(|r| r.layer);
    // Before the first block the whole difference is there.
    let before = std::iter::once(1.0).chain(own.iter().map(|r| r.recovered));
    let drops = own
        .iter()
        .zip(before)
        .map(|(r, before)| (r, before - r.recovered));
    let largest = drops
        .filter(|(_, drop)| drop.is_finite())
        .reduce(|best, next| if next.1 > best.1 { next } else { best });
    let (record, drop) = largest.ok_or_else(|| {
        not_tested("what comes back at the subject's position is not defined in any block")
    })?;
    Ok(Measured::of(record.relative_depth).noting(format!(
        "block {}, where {drop:.2} of the difference leaves the position",
        record.layer
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::finding::Verdict;
    use crate::core::testing::{Judged, MODELS, models};
    use crate::patching::synthetic;

    #[test]
    fn d29_the_subject_is_read_in_feature_engineering() {
        let judged = Judged::of(CLAIMS, "D29", &[synthetic::add]);
        let late = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.recovered = if r.relative_depth < 0.9 { 1.0 } else { 0.0 };
            }
        };
        judged.check_all(MODELS, late, [0, MODELS, 0]);
        // At the first block already.
        let early = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.recovered = 0.1;
            }
        };
        judged.check(early, [0, MODELS, 0]);
        let unable = |tables: &mut Tables| {
            for r in tables.of_mut::<SetRecord>() {
                r.effect_nats = 0.1;
            }
        };
        judged.check(unable, [0, 0, MODELS]);
    }

    #[test]
    fn d29_says_why_it_is_not_tested() {
        let judged = Judged::of(CLAIMS, "D29", &[synthetic::add]);
        let check = |change: fn(&mut Tables), reason: &str| {
            let mut tables = judged.tables(&models());
            change(&mut tables);
            for row in judged.rows(&tables, &models()) {
                assert_eq!(row.verdict, Verdict::NotTested);
                assert!(row.reason.contains(reason), "{}", row.reason);
            }
        };
        check(|tables| *tables = Tables::default(), "needs the results");
        check(
            |tables| {
                for r in tables.of_mut::<SetRecord>() {
                    r.set = "induction".to_owned();
                }
            },
            "vocabulary",
        );
        check(
            |tables| {
                for r in tables.of_mut::<SetRecord>() {
                    r.first_position -= 1;
                }
            },
            "several tokens",
        );
        check(
            |tables| {
                for r in tables.of_mut::<Record>() {
                    r.recovered = f64::NAN;
                }
            },
            "not defined in any block",
        );
    }
}
