//! Results as found on ATIS without a neural model, for tests of claims.

use super::errors::{KEPT, ORACLE, SENT, curve_name};
use super::table::{ConfidenceRecord, GateRecord, Record};
use crate::core::models::Facts;
use crate::core::tables::Tables;
use crate::core::testing::units;

/// Adds the records of one model.
pub(crate) fn add(facts: &Facts, tables: &mut Tables) {
    for (mode, count, tau, wer, lattice_oracle) in [
        ("best", "free", "", 5.8, 2.82),
        ("vote", "free", "", 5.9, 2.82),
        ("select", "free", "", 3.88, 2.82),
        ("lattice", "free", "", 3.84, 2.82),
        ("lattice", "free", "0.9", 3.86, 2.82),
        ("lattice", "keep", "", 4.48, 4.07),
    ] {
        let compared = mode != "best";
        let curve = curve_name("test_atis", mode, count, !tau.is_empty());
        units(tables, facts, &curve, 0, wer, 0.01);
        tables.push(Record {
            model: facts.name.clone(),
            set: "test_atis".to_owned(),
            normaliser: "norm".to_owned(),
            mode: mode.to_owned(),
            count_rule: count.to_owned(),
            alpha: String::new(),
            beta: String::new(),
            theta: None,
            tau: tau.to_owned(),
            utterances: 809,
            reference_words: 8921,
            sent: 364,
            sent_share: 45.0,
            substitutions: 300,
            deletions: 20,
            insertions: 20,
            wer,
            wer_low: wer - 0.5,
            wer_high: wer + 0.5,
            wer_change: compared.then_some(wer - 5.8),
            relative_change: None,
            p_improvement: compared.then_some(0.999),
            p_worsening: compared.then_some(0.0),
            mapsswe_z: None,
            list_oracle: 2.99,
            lattice_oracle,
            violations_words: 0,
            violations_count: 0,
            violations_form: 0,
            lm_tokens: 0,
            seconds: None,
        });
    }
    for (mode, count, rate) in [
        (SENT, "free", 9.1),
        (KEPT, "free", 1.9),
        (ORACLE, "free", 2.82),
        (ORACLE, "keep", 4.07),
    ] {
        let curve = curve_name("test_atis", mode, count, false);
        units(tables, facts, &curve, 0, rate, 0.01);
    }
    tables.push(ConfidenceRecord {
        model: facts.name.clone(),
        set: "test_atis".to_owned(),
        low: 0.0,
        high: 0.05,
        right: 500,
        wrong: 309,
    });
    tables.push(GateRecord {
        model: facts.name.clone(),
        set: "test_atis".to_owned(),
        score: "posterior".to_owned(),
        auc: Some(0.8),
        tau: None,
        sent_share: 50.0,
        wer_sent: Some(9.1),
        wer_kept: Some(1.9),
        errors_caught: 82.0,
        recogniser_scores: true,
    });
}
