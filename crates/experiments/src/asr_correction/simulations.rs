//! The claims on simulated runs: some have nothing to find, some have the effect.

use super::claims::CLAIMS;
use super::errors::{KEPT, ORACLE, SENT, WRITTEN, curve_name};
use super::synthetic;
use super::table::{ConfidenceRecord, GateRecord, Record};
use crate::core::models::Facts;
use crate::core::sample::Units;
use crate::core::tables::Tables;
use crate::core::testing::{Judged, Simulated, small};
use layerwise_metrics::threshold::auc;

fn judged(claim: &str) -> Judged {
    Judged::of(CLAIMS, claim, &[synthetic::add])
}

/// Runs in which systems have these rates plus noise; records are the synthetic results, as changed by `change`.
fn simulated(
    rate: impl Fn(&str, &str, bool) -> f64,
    change: impl Fn(&mut Simulated, &mut Tables),
) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
    move |simulated, facts, tables| {
        synthetic::add(facts, tables);
        tables.of_mut::<Units>().clear();
        change(simulated, tables);
        let curves = tables.of::<Record>().iter();
        let curves = curves.map(|r| (r.mode.clone(), r.count_rule.clone(), !r.tau.is_empty()));
        let others = [
            (SENT, "free"),
            (KEPT, "free"),
            (ORACLE, "free"),
            (ORACLE, "keep"),
            (WRITTEN, "free"),
        ];
        let others = others.map(|(mode, count)| (mode.to_owned(), count.to_owned(), false));
        let curves: Vec<_> = curves.chain(others).collect();
        let set = tables.of::<Record>()[0].set.clone();
        for (mode, count, is_gated) in curves {
            let curve = curve_name(&set, &mode, &count, is_gated);
            let value = rate(&mode, &count, is_gated);
            simulated.curve(tables, facts, &curve, &[(0, value)], [0.0, 1.0]);
        }
    }
}

/// Gates for which the posterior is `apart` lower in lists with errors, which are one in so many.
fn judging(apart: f64, every: usize) -> impl Fn(&mut Simulated, &mut Tables) {
    move |simulated, tables| {
        let mut cases: Vec<(f64, bool)> = Vec::new();
        for at in 0..simulated.units {
            let is_wrong = at % every == 0;
            let shift = if is_wrong { apart } else { 0.0 };
            cases.push((simulated.gaussian() + shift, is_wrong));
        }
        let wrong = cases.iter().filter(|(_, is_wrong)| *is_wrong).count();
        for bin in tables.of_mut::<ConfidenceRecord>() {
            (bin.right, bin.wrong) = (cases.len() - wrong, wrong);
        }
        for r in tables.of_mut::<GateRecord>() {
            r.auc = auc(&cases).unwrap();
        }
    }
}

#[test]
fn m1_a_gate_finds_errors_where_they_are() {
    // A gate that sends arbitrary lists finds the same number of errors in both halves.
    judged("M1").check_null(&[small()], simulated(|_, _, _| 5.0, judging(0.0, 2)));
    // An area of 0.7 is as large as claimed, but among 78 lists two wrong ones may give an area of 1.
    judged("M1").check_null(&[small()], simulated(|_, _, _| 5.0, judging(0.7416, 39)));
    let found = |mode: &str, _: &str, _| if mode == SENT { 9.0 } else { 2.0 };
    judged("M1").check_effect(&[small()], true, simulated(found, judging(2.0, 2)));
    // An area of 0.72 is larger than claimed by less than can be seen.
    judged("M1").check_effect(&[small()], false, simulated(found, judging(0.8243, 2)));
}

#[test]
fn m2_correction_helps_where_it_lowers_rates() {
    let improving = |of: fn(f64) -> f64| {
        simulated(
            |_, _, _| 5.0,
            move |simulated, tables| {
                for r in tables.of_mut::<Record>() {
                    let better = of(simulated.uniform());
                    (r.p_improvement, r.p_worsening) = (Some(better), Some(1.0 - better));
                }
            },
        )
    };
    judged("M2").check_null(&[small()], improving(|uniform| uniform));
    judged("M2").check_effect(&[small()], true, improving(|uniform| 1.0 - uniform / 50.0));
}

#[test]
fn m3_a_gate_that_loses_too_much_is_seen() {
    // A gate that loses more than it may while sending more than it may; and a gate that loses nothing.
    let losing = |lost: f64, sent: f64| {
        let rate = move |_: &str, _: &str, is_gated| if is_gated { 5.0 + lost } else { 5.0 };
        simulated(rate, move |_, tables| {
            let records = tables.of_mut::<Record>().iter_mut();
            records.for_each(|r| r.sent_share = sent);
        })
    };
    judged("M3").check_null(&[small()], losing(0.1, 70.0));
    judged("M3").check_effect(&[small()], true, losing(-0.5, 45.0));
}

#[test]
fn m4_writing_that_hurts_is_seen() {
    let writing = |rate: f64| {
        let rate = move |mode: &str, _: &str, _| if mode == "generate" { rate } else { 5.0 };
        simulated(rate, |_, tables| {
            for r in tables.of_mut::<Record>() {
                r.set = "test_ls_clean".to_owned();
                if r.mode == "vote" {
                    r.mode = "generate".to_owned();
                    r.count_rule = "keep".to_owned();
                }
            }
        })
    };
    judged("M4").check_null(&[small()], writing(5.0));
    judged("M4").check_effect(&[small()], true, writing(6.0));
}

#[test]
fn m6_votes_that_do_not_help_are_seen() {
    let voting = |rate: f64| {
        let rate = move |mode: &str, _: &str, _| if mode == "vote" { rate } else { 5.0 };
        simulated(rate, |_, _| {})
    };
    judged("M6").check_null(&[small()], voting(4.9));
    judged("M6").check_effect(&[small()], true, voting(5.5));
}

#[test]
fn m7_lattices_that_help_are_seen() {
    let searching = |rate: f64| {
        let rate = move |mode: &str, _: &str, _| if mode == "lattice" { rate } else { 5.0 };
        simulated(rate, |_, _| {})
    };
    judged("M7").check_null(&[small()], searching(5.05));
    judged("M7").check_effect(&[small()], true, searching(4.5));
}

#[test]
fn m8_a_rule_that_costs_is_seen() {
    let keeping = |rate: f64| {
        let rate = move |_: &str, count: &str, _| if count == "keep" { rate } else { 5.0 };
        simulated(rate, |_, _| {})
    };
    judged("M8").check_null(&[small()], keeping(5.0));
    judged("M8").check_effect(&[small()], true, keeping(5.6));
}
