//! The claims on simulated runs: some have nothing to find, some have the effect.

use super::claims::CLAIMS;
use super::synthetic;
use super::table::{FeatureRecord, LossRecord, Record, TimeRecord};
use crate::core::models::Facts;
use crate::core::tables::Tables;
use crate::core::testing::{Judged, Simulated, small};
use std::collections::BTreeMap;

fn judged(claim: &str) -> Judged {
    Judged::of(CLAIMS, claim, &[synthetic::add])
}

fn simulated(
    change: impl Fn(&mut Simulated, &Facts, &mut Tables),
) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
    move |simulated, facts, tables| {
        synthetic::add(facts, tables);
        change(simulated, facts, tables);
    }
}

fn deep() -> Facts {
    Facts {
        layers: 24,
        ..small()
    }
}

#[test]
fn a1_confidence_without_depth() {
    let growing = |growth: f64| {
        simulated(move |simulated, facts, tables| {
            for r in tables.of_mut::<FeatureRecord>() {
                let depth = r.blocks_run as f64 / facts.layers as f64;
                let mut feature = || 0.3 + growth * depth + 0.02 * simulated.gaussian();
                (r.gap_mean, r.top_mean) = (feature(), feature());
            }
        })
    };
    for facts in [small(), deep()] {
        judged("A1").check_null(&[facts], growing(0.0));
    }
    judged("A1").check_effect(&[deep()], true, growing(1.0));
    judged("A1").check_effect(&[small()], false, growing(1.0));
    // Rank correlations between 0.8 and 0.9, where noise may put the least below.
    judged("A1").check_effect(&[deep()], false, growing(0.25));
}

/// Instances that stop, with some scatter, after a fraction of the blocks given by the task.
fn stopping(
    share: impl Fn(&str) -> f64,
    instances: usize,
) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
    simulated(move |simulated, facts, tables| {
        let layers = facts.layers as f64;
        for r in tables.of_mut::<Record>() {
            let (mean, error) = simulated.mean(share(&r.task) * layers, 0.1 * layers, instances);
            (r.exit_blocks_mean, r.exit_blocks_se) = (mean, error);
            r.instances = instances as u64;
            r.pruning_ratio = 1.0 - mean / layers;
        }
    })
}

#[test]
fn a2_and_a3_depths_that_tell_nothing() {
    // The largest allowed depth, on every task.
    judged("A2").check_null(&[small()], stopping(|_| 0.9, 24));
    judged("A2").check_effect(&[small()], true, stopping(|_| 0.7, 24));
    judged("A3").check_null(&[small()], stopping(|_| 0.7, 24));
    let easier = |task: &str| if task == "sst2" { 0.6 } else { 0.8 };
    judged("A3").check_effect(&[small()], true, stopping(easier, 24));
}

/// Answers with these shares right in both, only before, and only after; about this fraction of the blocks is left out.
fn answering(
    [before, lost, won]: [f64; 3],
    left_out: f64,
    instances: usize,
) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
    simulated(move |simulated, facts, tables| {
        let layers = facts.layers as f64;
        for r in tables.of_mut::<Record>() {
            let mut counts = [0.0; 3];
            for _ in 0..instances {
                let drawn = simulated.uniform();
                counts[0] += f64::from(u8::from(drawn < before));
                counts[1] += f64::from(u8::from(drawn < lost));
                counts[2] += f64::from(u8::from(drawn >= 1.0 - won));
            }
            let [right, lost, won] = counts.map(|count| count / instances as f64);
            r.instances = instances as u64;
            r.acc_full = Some(right);
            r.acc_exit = Some(right - lost + won);
            r.agreement = 1.0 - lost - won;
            let blocks = (1.0 - left_out) * layers;
            let (mean, error) = simulated.mean(blocks, 0.1 * layers, instances);
            (r.exit_blocks_mean, r.exit_blocks_se) = (mean, error);
            r.pruning_ratio = 1.0 - mean / layers;
        }
    })
}

#[test]
fn a4_few_answers_do_not_show_that_little_is_lost() {
    for instances in [24, 200] {
        judged("A4").check_null(&[small()], answering([0.5, 0.02, 0.01], 0.1, instances));
    }
    // Two tasks decide nothing.
    judged("A4").check_effect(&[small()], false, answering([0.5, 0.005, 0.005], 0.3, 1000));
}

/// Agreements that fall with what is left out, depend on the rule and whether it was trained on the task, and vary among tasks.
fn agreeing(fall: impl Fn(&str, bool) -> f64) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
    simulated(move |simulated, _, tables| {
        let mut falls: BTreeMap<[String; 3], f64> = BTreeMap::new();
        for r in tables.of_mut::<Record>() {
            let is_own = r.train_task.is_empty() || r.train_task == r.task;
            let key = [&r.task, &r.rule, &r.train_task].map(String::clone);
            let own = falls.entry(key);
            let fall = own.or_insert_with(|| fall(&r.rule, is_own) + 0.02 * simulated.gaussian());
            r.agreement = (1.0 - *fall * r.pruning_ratio).clamp(0.0, 1.0);
        }
    })
}

#[test]
fn a5_and_a6_rules_that_are_alike() {
    // The machine is worse than the gap by more than allowed, and no better than a fixed depth.
    let worse = |rule: &str, _| if rule == "svm" { 0.5 } else { 0.44 };
    judged("A5").check_null(&[small()], agreeing(worse));
    let better = |rule: &str, _| if rule == "fixed" { 1.0 } else { 0.4 };
    // Two tasks decide little.
    judged("A5").check_effect(&[small()], false, agreeing(better));
    // The mean over 0 to half of the blocks is a quarter of the fall.
    let elsewhere = |_: &str, is_own| if is_own { 0.4 } else { 0.52 };
    judged("A6").check_null(&[small()], agreeing(elsewhere));
    judged("A6").check_effect(&[small()], false, agreeing(|_, _| 0.4));
}

/// Times relative to the predicted ones, with the noise of five repetitions.
fn timed(of: fn(&TimeRecord) -> f64) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
    simulated(move |simulated, _, tables| {
        for r in tables.of_mut::<TimeRecord>() {
            let ratio = of(r);
            let (mean, error) = simulated.mean(ratio, 0.03 * ratio, 5);
            (r.time_ratio, r.time_ratio_se) = (Some(mean), error);
        }
    })
}

#[test]
fn a7_times_that_do_not_follow_the_cost() {
    judged("A7").check_null(&[small()], timed(|_| 1.0));
    let slower = |r: &TimeRecord| {
        if r.reads_head {
            1.0
        } else {
            1.15 * r.predicted_ratio
        }
    };
    judged("A7").check_null(&[small()], timed(slower));
    judged("A7").check_effect(&[small()], true, timed(|r| r.predicted_ratio));
    // Sixteen times as many points, all as far off as is allowed: the greatest of them is further off by chance.
    let at_bound = |simulated: &mut Simulated, facts: &Facts, tables: &mut Tables| {
        synthetic::add(facts, tables);
        let few: Vec<TimeRecord> = tables.of::<TimeRecord>().to_vec();
        for at in 1..16 {
            tables
                .of_mut()
                .extend(few.iter().cloned().map(|r| TimeRecord {
                    blocks_run: r.blocks_run + facts.layers * at,
                    ..r
                }));
        }
        for r in tables.of_mut::<TimeRecord>() {
            let ratio = 1.15 * r.predicted_ratio;
            let (mean, error) = simulated.mean(ratio, 0.03 * ratio, 5);
            (r.time_ratio, r.time_ratio_se) = (Some(mean), error);
        }
    };
    judged("A7").check_effect(&[small()], false, at_bound);
}

#[test]
fn a8_losses_that_do_not_rise_enough() {
    let rising = |nats: f64| {
        simulated(move |simulated, _, tables| {
            for r in tables.of_mut::<LossRecord>() {
                r.sequences = 39;
                (r.loss_increase_nats, r.loss_increase_se) = simulated.mean(nats, 0.5, 39);
            }
        })
    };
    judged("A8").check_null(&[small()], rising(0.5));
    judged("A8").check_effect(&[small()], true, rising(0.9));
}
