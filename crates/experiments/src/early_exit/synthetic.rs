//! Results as published, for tests of claims.

use super::table::{FeatureRecord, Law, LawRecord, LossRecord, Record, TimeRecord};
use crate::core::models::Facts;
use crate::core::tables::Tables;

/// Adds the records of one model.
pub(crate) fn add(facts: &Facts, tables: &mut Tables) {
    let layers = facts.layers as f64;
    let add = |tables: &mut Tables,
               task: &str,
               rule: &str,
               train_task: &str,
               threshold: f64,
               pruning: f64,
               agreement: f64| {
        let easier = if task == "sst2" { 0.01 } else { 0.0 };
        let pruning = match rule {
            "fixed" => pruning,
            _ => pruning + easier,
        };
        tables.push(Record {
            model: facts.name.clone(),
            task: task.to_owned(),
            rule: rule.to_owned(),
            vocab: "full".to_owned(),
            train_task: train_task.to_owned(),
            threshold,
            instances: 4000,
            acc_full: Some(0.4),
            acc_full_se: Some(0.01),
            acc_exit: Some(0.399),
            acc_exit_se: Some(0.01),
            options_acc_full: Some(0.5),
            options_acc_exit: Some(0.5),
            agreement,
            agreement_se: Some(0.01),
            exit_blocks_mean: layers * (1.0 - pruning),
            exit_blocks_se: Some(0.01),
            pruning_ratio: pruning,
            ops_ratio: 1.0 - pruning,
            ops_ratio_with_head: 1.1 - pruning,
            seconds_full: None,
            seconds_exit: None,
            time_ratio: None,
            time_ratio_se: None,
            head_share: 0.1,
        });
    };
    let tasks = ["mmlu", "sst2"];
    for task in tasks {
        for train_task in tasks {
            add(tables, task, "svm", train_task, -1.0, 0.5, 0.8);
            add(tables, task, "svm", train_task, 0.0, 0.2, 0.99);
        }
        add(tables, task, "gap", "", 0.3, 0.5, 0.8);
        add(tables, task, "gap", "", 0.5, 0.2, 0.99);
        for k in 1..=facts.layers {
            let pruning = 1.0 - k as f64 / layers;
            let agreement = if k == facts.layers { 1.0 } else { 0.5 };
            add(tables, task, "fixed", "", k as f64, pruning, agreement);
        }
        add(tables, task, "oracle-stable", "", 0.5, 0.3, 1.0);
        for k in 1..=facts.layers {
            let depth = k as f64 / layers;
            tables.push(FeatureRecord {
                model: facts.name.clone(),
                task: task.to_owned(),
                blocks_run: k,
                instances: 100,
                gap_mean: 0.5 * depth,
                gap_se: Some(0.01),
                top_mean: 0.6 * depth,
                top_se: Some(0.01),
                match_rate: depth,
                stable_match_rate: depth,
            });
        }
    }
    for law in [Law::Full, Law::Keep, Law::Threshold] {
        tables.push(LawRecord {
            model: facts.name.clone(),
            task: "mmlu".to_owned(),
            law,
            checked: 100,
            broken: 0,
        });
    }
    tables.push(LossRecord {
        model: facts.name.clone(),
        rule: "svm".to_owned(),
        threshold: 0.0,
        positions: 500,
        pruning_ratio: 0.25,
        loss_full_nats: 3.0,
        loss_increase_nats: 0.9,
        loss_increase_se: Some(0.05),
        sequences: 39,
    });
    for (setting, reads_head) in [("prompt", false), ("decode", false), ("decode", true)] {
        let predicted_ratio = if reads_head { 4.0 } else { 0.5 };
        tables.push(TimeRecord {
            model: facts.name.clone(),
            setting: setting.to_owned(),
            reads_head,
            tokens: 128,
            blocks_run: facts.layers / 2,
            predicted_ratio,
            time_ratio: Some(1.05 * predicted_ratio),
            time_ratio_se: Some(0.01),
            repetitions: Some(5),
            seconds: Some(0.1),
        });
    }
}
