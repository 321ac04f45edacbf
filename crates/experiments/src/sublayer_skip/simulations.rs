//! The claims on simulated runs: some have nothing to find, some have the effect.

use super::claims::{CLAIMS, MISSED};
use super::synthetic;
use super::table::{PairRecord, Record, SimilarityRecord, SpeedRecord, TaskRecord};
use super::variants::Kind;
use crate::core::models::Facts;
use crate::core::tables::Tables;
use crate::core::testing::{Judged, MODELS, Simulated, mean_of, small};

fn simulated(
    change: impl Fn(&mut Simulated, &mut Tables),
) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
    move |simulated, facts, tables| {
        synthetic::add(facts, tables);
        change(simulated, tables);
    }
}

/// Losses of pairs that differ by this many of a sequence's standard deviations.
fn apart(difference: f64) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
    simulated(move |simulated, tables| {
        for r in tables.of_mut::<PairRecord>() {
            (r.nll_difference, r.nll_difference_se) = simulated.mean(difference, 1.0, 39);
        }
    })
}

#[test]
fn losses_that_do_not_differ_show_nothing() {
    for (claim, sign) in [("T1", 1.0), ("T2", 1.0), ("T6", 1.0), ("T10", 1.0)] {
        let judged = Judged::of(CLAIMS, claim, &[synthetic::add]);
        judged.check_null(&[small()], apart(0.0));
        judged.check_effect(&[small()], true, apart(sign));
    }
}

/// Items with these shares answered right in both, only before, and only after, in `tasks` tasks of this many items. Of 64
/// continuations about the share `same` equals the plain model's.
fn answered(
    [before, lost, won]: [f64; 3],
    tasks: usize,
    items: u64,
    same: f64,
) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
    simulated(move |simulated, tables| {
        let schedules: Vec<TaskRecord> = tables.of::<TaskRecord>().to_vec();
        tables.of_mut::<TaskRecord>().clear();
        for own in schedules {
            let (mut plain, mut altered, mut agreed) = (0.0, 0.0, 0.0);
            for task in 0..tasks {
                let mut changes = Vec::new();
                let (mut right, mut agree) = (0.0, 0.0);
                for _ in 0..items {
                    let drawn = simulated.uniform();
                    let is_right = f64::from(u8::from(drawn < before));
                    let change = match drawn {
                        drawn if drawn < lost => -1.0,
                        drawn if drawn < 1.0 - won => 0.0,
                        _ => 1.0,
                    };
                    right += is_right;
                    agree += f64::from(u8::from(change == 0.0));
                    changes.push(change);
                }
                let (change, change_se) = mean_of(&changes);
                let (right, agree) = (right / items as f64, agree / items as f64);
                (plain, altered) = (plain + right, altered + right + change);
                agreed += agree / tasks as f64;
                tables.push(TaskRecord {
                    task: format!("task {task}"),
                    items,
                    accuracy: right + change,
                    change,
                    change_se,
                    agreement: Some(agree),
                    ..own.clone()
                });
            }
            let records = tables.of_mut::<Record>().iter_mut();
            for r in records.filter(|r| r.schedule == own.schedule) {
                r.relative_drop = Some((plain - altered) / plain);
                r.agreement = Some(agreed);
                let identical = (0..64).filter(|_| simulated.uniform() < same).count();
                r.identical_share = Some(identical as f64 / 64.0);
                r.continuations = 64;
            }
        }
    })
}

#[test]
fn few_items_do_not_show_that_little_is_lost() {
    let judged = |claim| Judged::of(CLAIMS, claim, &[synthetic::add]);
    // The loss is exactly the allowed one: with few items, and with many.
    for items in [24, 100] {
        judged("T3").check_null(&[small()], answered([0.6, 0.04, 0.01], 3, items, 0.5));
    }
    judged("T3").check_effect(&[small()], true, answered([0.6, 0.005, 0.005], 3, 400, 0.5));
    judged("T3").check_effect(&[small()], false, answered([0.6, 0.01, 0.01], 2, 24, 0.5));
    // Choices change, and half of the continuations are the same.
    for items in [12, 100] {
        judged("T7").check_null(&[small()], answered([0.6, 0.1, 0.1], 2, items, 0.5));
    }
    judged("T7").check_effect(&[small()], true, answered([0.6, 0.06, 0.06], 3, 200, 0.2));
    // Accuracies that do not change, on several tasks; and accuracies that rise.
    judged("T9").check_null(&[small()], answered([0.5, 0.1, 0.1], 3, 24, 0.5));
    judged("T9").check_effect(&[small()], true, answered([0.5, 0.02, 0.15], 3, 100, 0.5));
}

/// Decode ratios that are `of` times the predicted ones, with the noise of five repetitions.
fn timed(of: fn(&SpeedRecord) -> f64) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
    simulated(move |simulated, tables| {
        for r in tables.of_mut::<SpeedRecord>() {
            let (ratio, error) = simulated.mean(of(r), 0.02, 5);
            (r.decode_ratio, r.decode_ratio_se) = (Some(ratio), error);
        }
    })
}

#[test]
fn speeds_that_do_not_follow_the_bytes_show_nothing() {
    let judged = |claim| Judged::of(CLAIMS, claim, &[synthetic::add]);
    judged("T4").check_null(&[small()], timed(|_| 1.0));
    judged("T4").check_null(&[small()], timed(|r| r.predicted_ratio - MISSED));
    judged("T4").check_effect(&[small()], true, timed(|r| r.predicted_ratio));
    judged("T5").check_null(&[small()], timed(|_| 1.1));
    judged("T5").check_effect(
        &[small()],
        true,
        timed(|r| {
            let rise = r.cached_tokens as f64 / 1e4;
            if r.kind == Kind::DropMlp {
                1.3 - rise
            } else {
                1.1 + rise
            }
        }),
    );
    // Bytes that predict hardly any gain.
    let hardly = |tables: &mut Tables| {
        for r in tables.of_mut::<SpeedRecord>() {
            r.predicted_ratio = 1.04;
            r.decode_ratio = Some(1.0);
        }
    };
    judged("T4").check(hardly, [0, 0, 0, 3 * MODELS]);
}

#[test]
fn ranks_by_chance_are_not_late() {
    let of = |late: fn(usize, usize) -> f64| {
        move |simulated: &mut Simulated, facts: &Facts, tables: &mut Tables| {
            synthetic::add(facts, tables);
            for r in tables.of_mut::<SimilarityRecord>() {
                let noise = 0.01 * simulated.gaussian();
                r.similarity_mean = 0.9 + late(r.source, facts.layers) + noise;
            }
        }
    };
    let judged = Judged::of(CLAIMS, "T8", &[synthetic::add]);
    let with = |layers| Facts { layers, ..small() };
    let rising = |source: usize, layers: usize| 0.5 * source as f64 / layers as f64;
    for layers in [8, 24, 48] {
        judged.check_null(&[with(layers)], of(|_, _| 0.0));
        judged.check_effect(&[with(layers)], layers > 8, of(rising));
    }
}
