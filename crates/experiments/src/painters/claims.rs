//! The claims judged from this experiment: which variants "Transformer Layers as Painters" finds most and least harmful
//! (section "Which variants are least harmful?"), on the loss instead of benchmarks.

use super::measure::{DRAWS, curve_name};
use super::table::Variant;
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{Point, mean, needs};
use crate::core::finding::{Finding, Measured, NotTested, Outcome, Threshold};
use crate::core::models::Facts;
use crate::core::sample::{Sampled, statistic_of_all};

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "P1",
        versions: Version::PAINTERS,
        statement: "one middle block in the place of all is the worst variant",
        needs: &["painters"],
        models: "",
        judge: p1,
    },
    Claim {
        id: "P2",
        versions: Version::PAINTERS,
        statement: "looped parallel and random order do the least damage",
        needs: &["painters"],
        models: "",
        judge: p2,
    },
];

/// The worst variant has a greater loss than each of the others.
pub fn p1(evidence: &Evidence<'_>) -> Vec<Finding> {
    let others = Variant::ALL.into_iter();
    let others = others.filter(|other| *other != Variant::MiddleRepeat);
    let pairs = others.map(|other| [Variant::MiddleRepeat, other]);
    of_pairs(evidence, &pairs.collect::<Vec<_>>())
}

/// Each other variant has a greater loss than the two that are claimed to be best.
pub fn p2(evidence: &Evidence<'_>) -> Vec<Finding> {
    use Variant::{LoopedParallel, MiddleRepeat, Parallel, RandomOrder, Reverse, Skip};
    let others = [Skip, MiddleRepeat, Reverse, Parallel].into_iter();
    let pairs = others.flat_map(|other| [[other, LoopedParallel], [other, RandomOrder]]);
    of_pairs(evidence, &pairs.collect::<Vec<_>>())
}

/// The first variant's loss is above the second's.
fn of_pairs(evidence: &Evidence<'_>, pairs: &[[Variant; 2]]) -> Vec<Finding> {
    let models = evidence.models.iter();
    let each = models.flat_map(|model| pairs.iter().map(move |pair| (model, pair)));
    each.map(|(model, [worse, better])| {
        let part = format!(
            "loss of {} less that of {} in nats, mean over numbers of blocks",
            worse.name(),
            better.name()
        );
        let outcome = less(evidence, model, *worse, *better);
        Finding::of(&model.name, part, Threshold::Above(0.0), outcome)
    })
    .collect()
}

/// The changes of the loss under a variant by the number of blocks, one curve for each of its draws.
fn draws(
    evidence: &Evidence<'_>,
    model: &Facts,
    variant: Variant,
) -> Result<Vec<Sampled>, NotTested> {
    let draws = match variant {
        Variant::RandomOrder => DRAWS,
        _ => 1,
    };
    let curve = |draw| {
        let name = curve_name(variant, draw);
        evidence.sampled(&model.name, "painters", &name, |_| 0.0)
    };
    (0..draws).map(curve).collect()
}

fn less(evidence: &Evidence<'_>, model: &Facts, worse: Variant, better: Variant) -> Outcome {
    let (first, second) = (
        draws(evidence, model, worse)?,
        draws(evidence, model, better)?,
    );
    let all: Vec<&Sampled> = first.iter().chain(&second).collect();
    statistic_of_all(&all, |curves| {
        let (one, other) = curves.split_at(first.len());
        let mean_of = |curves: &[Vec<Point>]| mean(&curves.concat());
        let both = mean_of(one).zip(mean_of(other));
        let (one, other) = both.ok_or_else(|| needs("painters"))?;
        Ok(Measured::of(one - other).noting(format!("{one:.4} against {other:.4} nats")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::sample::Units;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS, Simulated, change, small, units};

    /// The cost of each variant with n blocks, in nats.
    fn cost(variant: Variant) -> f64 {
        match variant {
            Variant::MiddleRepeat => 2.0,
            Variant::Skip | Variant::Reverse | Variant::Parallel => 1.0,
            Variant::RandomOrder | Variant::LoopedParallel => 0.5,
        }
    }

    fn all() -> Vec<(Variant, u64)> {
        let draws = |variant| {
            if variant == Variant::RandomOrder {
                DRAWS
            } else {
                1
            }
        };
        let variants = Variant::ALL.into_iter();
        let each =
            variants.flat_map(|variant| (0..draws(variant)).map(move |draw| (variant, draw)));
        each.collect()
    }

    fn add(facts: &Facts, tables: &mut Tables) {
        for (variant, draw) in all() {
            for blocks in [2, 4, 6] {
                let curve = curve_name(variant, draw);
                units(tables, facts, &curve, blocks, cost(variant), 0.1);
            }
        }
    }

    /// Runs on the most sequences that a run has; losses vary partly together and partly independently.
    fn simulated(cost: fn(Variant) -> f64) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
        move |simulated, facts, tables| {
            simulated.units = 16;
            for (variant, draw) in all() {
                let values = [2, 4, 6].map(|blocks| (blocks, cost(variant)));
                let curve = curve_name(variant, draw);
                simulated.curve(tables, facts, &curve, &values, [0.2, 0.2]);
            }
        }
    }

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[add])
    }

    #[test]
    fn p1_one_block_for_all_is_worst() {
        let mild = |tables: &mut Tables| {
            change(tables, |model, curve, _| {
                let is_own = model == "gpt2" && curve == curve_name(Variant::MiddleRepeat, 0);
                is_own.then_some(0.7)
            });
        };
        judged("P1").check_all(5 * MODELS, mild, [5 * MODELS - 3, 3, 0, 0]);
        judged("P1").check_null(&[small()], simulated(|_| 1.0));
        judged("P1").check_effect(&[small()], true, simulated(cost));
    }

    #[test]
    fn p2_two_variants_do_the_least_damage() {
        let harsh = |tables: &mut Tables| {
            change(tables, |model, curve, _| {
                let is_own = model == "gpt2" && curve == curve_name(Variant::LoopedParallel, 0);
                is_own.then_some(1.5)
            });
        };
        judged("P2").check_all(8 * MODELS, harsh, [8 * MODELS - 3, 3, 0, 0]);
        judged("P2").check_null(&[small()], simulated(|_| 1.0));
        judged("P2").check_effect(&[small()], true, simulated(cost));
        // The mean over random orders counts.
        let one = |tables: &mut Tables| {
            for units in tables.of_mut::<Units>() {
                if units.curve == curve_name(Variant::RandomOrder, 3) {
                    units.sums.0.iter_mut().for_each(|sum| *sum += 5.0);
                }
            }
        };
        judged("P2").check(one, [5 * MODELS, 3 * MODELS, 0, 0]);
    }
}
