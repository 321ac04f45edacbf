//! The claim that is judged from this experiment.

use super::measure::curve_name;
use super::table::SetRecord;
use crate::core::claim::{Claim, Evidence};
use crate::core::curve::{Point, needs};
use crate::core::finding::{Finding, Measured, NotTested, Outcome, Threshold};
use crate::core::models::Facts;
use crate::core::sample::statistic;

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

/// The information at the subject's position leaves it in the stage of feature engineering.
pub fn d29(evidence: &Evidence<'_>) -> Vec<Finding> {
    let each = evidence.models.iter().map(|model| {
        Finding::of(
            &model.name,
            "depth of the largest drop of what the stream at the subject's position recovers, indirect objects",
            Threshold::Between(0.2, 0.6),
            depth_of_drop(evidence, model),
        )
    });
    each.collect()
}

fn depth_of_drop(evidence: &Evidence<'_>, model: &Facts) -> Outcome {
    let not_tested = |reason: &str| NotTested(reason.to_owned());
    let sets = evidence.tables.of::<SetRecord>().iter();
    let sets: Vec<&SetRecord> = sets.filter(|r| r.model == model.name).collect();
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
        return Err(NotTested(format!(
            "the model does not tell the prompts of a pair apart: their logit differences differ by {:.3} nats, less than two standard errors",
            set.effect_nats
        )));
    }
    let recovered = evidence.by_block(model, "patching", &curve_name(SET))?;
    statistic([&recovered], |[curve]| largest_drop(curve))
}

/// The depth of the block at which most of the difference leaves. Before the first block all of it is there.
fn largest_drop(curve: &[Point]) -> Outcome {
    let before = std::iter::once(1.0).chain(curve.iter().map(|point| point.value));
    let drops = curve
        .iter()
        .zip(before)
        .map(|(point, before)| (point, before - point.value));
    let largest = drops
        .filter(|(_, drop)| drop.is_finite())
        .reduce(|best, next| if next.1 > best.1 { next } else { best });
    let (point, drop) = largest.ok_or_else(|| {
        NotTested::because("what comes back at the subject's position is not defined in any block")
    })?;
    Ok(Measured::of(point.depth).noting(format!(
        "block {}, where {drop:.2} of the difference leaves the position",
        point.index
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::finding::Verdict;
    use crate::core::sample::Units;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS, Simulated, change, models, small};
    use crate::patching::synthetic;
    use std::collections::BTreeMap;

    #[test]
    fn d29_the_subject_is_read_in_feature_engineering() {
        let judged = Judged::of(CLAIMS, "D29", &[synthetic::add]);
        let layers: BTreeMap<String, usize> =
            models().into_iter().map(|m| (m.name, m.layers)).collect();
        let late = |tables: &mut Tables| {
            change(tables, |model, _, layer| {
                Some(if layer + 1 < layers[model] { 1.0 } else { 0.0 })
            });
        };
        judged.check_all(MODELS, late, [0, MODELS, 0, 0]);
        // At the first block already.
        judged.check(
            |tables| change(tables, |_, _, _| Some(0.1)),
            [0, MODELS, 0, 0],
        );
        let unable = |tables: &mut Tables| {
            for r in tables.of_mut::<SetRecord>() {
                r.effect_nats = 0.1;
            }
        };
        judged.check(unable, [0, 0, 0, MODELS]);
        let pairs = |recovered: fn(usize) -> f64| {
            move |simulated: &mut Simulated, facts: &Facts, tables: &mut Tables| {
                synthetic::add(facts, tables);
                tables.of_mut::<Units>().clear();
                simulated.units = 32;
                let values: Vec<(usize, f64)> = (0..facts.layers)
                    .map(|layer| (layer, recovered(layer)))
                    .collect();
                simulated.curve(tables, facts, &curve_name(SET), &values, [0.1, 0.3]);
            }
        };
        // The difference leaves evenly over the blocks.
        judged.check_null(&[small()], pairs(|layer| 1.0 - (layer as f64 + 1.0) / 8.0));
        judged.check_effect(
            &[small()],
            true,
            pairs(|layer| if layer < 3 { 0.9 } else { 0.1 }),
        );
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
                change(tables, |_, _, _| Some(f64::NAN));
            },
            "not defined in any block",
        );
    }
}
