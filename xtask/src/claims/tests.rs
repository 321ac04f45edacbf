//! Every claim on results that make it hold, fail, and be not tested.

use super::synthetic;
use super::*;
use crate::figures::lens_entropy::Lens;
use crate::figures::models::Facts;
use crate::figures::suffix_neurons::Kind;
use crate::figures::{benchmarks, robustness, subword_heads};
use std::path::Path;

fn rows(claim: &str, results: &Results, models: &[Facts]) -> Vec<Row> {
    let claim = CLAIMS.iter().find(|known| known.id == claim).unwrap();
    claim.rows(&Evidence { results, models })
}

/// Checks how many lines about a claim hold, fail and are not tested, once the synthetic results are changed.
#[track_caller]
fn check(claim: &str, change: impl Fn(&mut Results), expected: [usize; 3]) {
    let models = synthetic::models();
    let mut results = synthetic::results(&models);
    change(&mut results);
    let rows = rows(claim, &results, &models);
    let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    let found = [Verdict::Holds, Verdict::Fails, Verdict::NotTested].map(count);
    let told: Vec<String> = rows
        .iter()
        .map(|r| {
            format!(
                "{} {:?} {:?} {}: {}",
                r.model, r.verdict, r.measured, r.statement, r.reason
            )
        })
        .collect();
    assert_eq!(found, expected, "{claim}\n{}", told.join("\n"));
    for row in &rows {
        assert_eq!(row.claim, claim);
        assert!(row.verdict != Verdict::NotTested || row.measured.is_none());
        if row.measured.is_none() {
            assert!(!row.reason.is_empty(), "{row:?}");
        }
    }
}

/// Checks a claim on the synthetic results, on results that contradict it, and on none.
#[track_caller]
fn check_all(
    claim: &str,
    holding: usize,
    contradict: impl Fn(&mut Results),
    contradicted: [usize; 3],
) {
    check(claim, |_| {}, [holding, 0, 0]);
    check(claim, contradict, contradicted);
    let models = synthetic::models();
    let rows = rows(claim, &Results::default(), &models);
    assert!(!rows.is_empty(), "{claim} has no line without results");
    for row in rows {
        assert_eq!(row.verdict, Verdict::NotTested, "{row:?}");
        assert!(row.reason.contains("needs"), "{row:?}");
        assert_eq!(row.measured, None, "{row:?}");
    }
}

const MODELS: usize = 9;

#[test]
fn d1_middle_layers_are_robust() {
    let fragile = |results: &mut Results| {
        for r in &mut results.robustness {
            if r.intervention == robustness::Intervention::Drop && r.family == "phi" {
                r.top1_agreement = 0.71;
            }
        }
    };
    check_all("D1", 2 * MODELS, fragile, [2 * MODELS - 3, 3, 0]);
}

#[test]
fn d2_the_first_layer_is_catastrophic() {
    let mild = |results: &mut Results| {
        for r in &mut results.robustness {
            if r.layer == 0 && r.model == "gpt2" {
                // Five times the median is 1, and the last block's swap is no worse.
                r.kl_nats = 0.99
                    * if r.intervention == robustness::Intervention::Drop {
                        1.0
                    } else {
                        0.5
                    };
                r.top1_agreement = 0.9;
            }
        }
    };
    check_all("D2", 4 * MODELS, mild, [4 * MODELS - 4, 4, 0]);
}

#[test]
fn d3_failure_is_no_collapse() {
    let collapse = |results: &mut Results| {
        for r in &mut results.robustness_collapse {
            r.modal_share = if r.model == "gpt2" { 0.51 } else { 0.5 };
        }
        for r in &mut results.robustness {
            r.entropy_difference_bits = if r.model == "gpt2" { -1.0 } else { 1.0 };
        }
    };
    check_all("D3", 4 * MODELS, collapse, [4 * MODELS - 4, 4, 0]);
}

#[test]
fn d4_the_last_swap_separates_the_families() {
    let equal = |results: &mut Results| {
        for r in &mut results.robustness {
            r.top1_agreement = 0.8;
        }
    };
    check_all("D4", 1, equal, [0, 1, 0]);
    check(
        "D4",
        |r| r.robustness.retain(|r| r.family != "gpt2"),
        [0, 0, 1],
    );
}

#[test]
fn d5_swaps_are_milder() {
    let harsher = |results: &mut Results| {
        for r in &mut results.robustness {
            if r.model == "phi-2" && r.intervention == robustness::Intervention::Swap {
                r.kl_nats *= 3.0;
            }
        }
    };
    check_all("D5", MODELS, harsher, [MODELS - 1, 1, 0]);
}

#[test]
fn d6_gpt2_is_more_robust() {
    let worse = |results: &mut Results| {
        for r in &mut results.robustness {
            if r.family == "gpt2" {
                r.kl_nats *= 10.0;
            }
        }
    };
    check_all("D6", 2, worse, [0, 2, 0]);
}

#[test]
fn d7_deeper_models_are_more_robust() {
    let reversed = |results: &mut Results| {
        for r in &mut results.robustness {
            r.top1_agreement = 1.0 / r.layers as f64;
        }
    };
    check_all("D7", 2, reversed, [0, 2, 0]);
    let models = &synthetic::models()[..2];
    let rows = rows("D7", &synthetic::results(models), models);
    assert!(rows.iter().all(|row| row.verdict == Verdict::NotTested));
}

#[test]
fn d8_benchmarks_mirror_the_divergence() {
    let bad_middle = |results: &mut Results| {
        for r in &mut results.benchmarks {
            let last = match r.intervention {
                benchmarks::Intervention::Swap => r.layers - 2,
                _ => r.layers - 1,
            };
            let between = r.layer.is_some_and(|layer| layer > 0 && layer < last);
            if between && r.family == "llama" {
                r.accuracy = 0.2;
            }
        }
    };
    check_all("D8", 4 * MODELS, bad_middle, [4 * MODELS - 4, 4, 0]);
    let unharmed = |results: &mut Results| {
        for r in &mut results.benchmarks {
            r.accuracy = 0.5;
        }
    };
    check("D8", unharmed, [2 * MODELS, 0, 2 * MODELS]);
}

#[test]
fn d9_representations_form_blocks() {
    let flat = |results: &mut Results| {
        for r in &mut results.cka {
            if r.family == "qwen2" {
                r.cka = 0.5;
            }
        }
    };
    check_all("D9", 2 * MODELS, flat, [2 * MODELS - 2, 2, 0]);
}

#[test]
fn d10_early_attention_is_local() {
    let growing = |results: &mut Results| {
        for r in &mut results.attention_locality {
            r.attention = 0.01 + 0.01 * r.relative_depth;
        }
    };
    // The line on all models holds still: all of them rise at the end.
    check_all("D10", 2 * MODELS + 1, growing, [1, 2 * MODELS, 0]);
    let without_rise = |results: &mut Results| {
        for r in &mut results.attention_locality {
            r.attention = 0.1 - 0.05 * r.relative_depth;
        }
    };
    check("D10", without_rise, [2 * MODELS, 1, 0]);
}

#[test]
fn d11_heads_merge_pieces() {
    let even = |results: &mut Results| {
        for r in &mut results.subword_heads {
            r.attention = 0.1;
        }
    };
    // Without merging heads, the windows without pieces are as claimed still.
    check_all("D11", 4 * MODELS, even, [MODELS, 3 * MODELS, 0]);
    let unfiltered = |results: &mut Results| {
        for r in &mut results.subword_heads {
            if r.selection == subword_heads::Selection::MultiFiltered {
                r.attention = f64::NAN;
            }
        }
    };
    check("D11", unfiltered, [3 * MODELS, 0, MODELS]);
}

#[test]
fn d12_senses_are_read_in_the_middle() {
    let late = |results: &mut Results| {
        for r in &mut results.wic {
            r.accuracy = 0.5 + 0.1 * r.relative_depth;
        }
    };
    check_all("D12", 2 * MODELS, late, [0, 2 * MODELS, 0]);
}

#[test]
fn d13_the_lens_is_uncertain_where_the_probe_is_best() {
    let early = |results: &mut Results| {
        for r in &mut results.lens_entropy {
            if r.lens == Lens::Standard && r.state > 0 {
                r.entropy_bits = 6.9;
            }
        }
    };
    check_all("D13", 2 * MODELS, early, [MODELS, MODELS, 0]);
    let versions: Vec<String> = rows("D13", &Results::default(), &synthetic::models())
        .into_iter()
        .take(2)
        .map(|row| row.version)
        .collect();
    assert_eq!(versions, ["nips", "v3"]);
}

#[test]
fn d14_lenses_fall_from_the_middle() {
    let steady = |results: &mut Results| {
        for r in &mut results.lens_kl {
            // A straight fall is below 0 and not below itself.
            r.kl_nats = 8.0 - 8.0 * r.relative_depth * r.relative_depth.signum();
            if r.relative_depth < 0.5 {
                r.kl_nats = 20.0 - 32.0 * r.relative_depth;
            }
        }
    };
    check_all("D14", 8 * MODELS, steady, [6 * MODELS, 2 * MODELS, 0]);
}

#[test]
fn d15_prediction_neurons_peak_late() {
    let last = |results: &mut Results| {
        for r in &mut results.neurons {
            r.prediction_percent = r.relative_depth;
        }
    };
    check_all("D15", 2 * MODELS, last, [0, 2 * MODELS, 0]);
    let none = |results: &mut Results| {
        for r in &mut results.neurons {
            r.prediction_percent = 0.0;
        }
    };
    check("D15", none, [0, 2 * MODELS, 0]);
}

#[test]
fn d16_suppression_neurons_overtake() {
    let early = |results: &mut Results| {
        for r in &mut results.neurons {
            r.suppression_percent = 1.0 - r.relative_depth;
        }
    };
    check_all("D16", 2 * MODELS, early, [0, 2 * MODELS, 0]);
}

#[test]
fn d17_divergence_falls_with_prediction_neurons() {
    let opposed = |results: &mut Results| {
        for r in &mut results.neurons {
            r.prediction_percent = 3.0 - 3.0 * r.relative_depth;
        }
    };
    check_all("D17", 2 * MODELS, opposed, [0, 2 * MODELS, 0]);
}

#[test]
fn d18_phi_has_more_neurons() {
    let alike = |results: &mut Results| {
        for r in &mut results.neurons {
            (r.prediction_percent, r.suppression_percent) = (2.0, 2.0);
        }
        for r in &mut results.lens_kl {
            r.kl_nats = 1.0 - r.relative_depth;
        }
    };
    check_all("D18", 10, alike, [0, 10, 0]);
    let models: Vec<Facts> = synthetic::models()
        .into_iter()
        .filter(|model| model.name != "phi-1")
        .collect();
    let rows = rows("D18", &synthetic::results(&models), &models);
    let held = rows
        .iter()
        .filter(|row| row.verdict == Verdict::Holds)
        .count();
    assert_eq!((rows.len(), held), (10, 4), "phi-1 is missing");
}

#[test]
fn d19_the_best_probe_is_a_suppression_neurons() {
    let otherwise = |results: &mut Results| {
        for r in &mut results.suffix_probe {
            if r.rank == 2 {
                r.single_accuracy = 0.99;
            }
        }
    };
    check_all("D19", 2 * MODELS, otherwise, [0, 2 * MODELS, 0]);
    let none = |results: &mut Results| {
        for r in &mut results.suffix_probe {
            r.kind = Kind::Prediction;
            r.model_accuracy_se = None;
        }
    };
    check("D19", none, [0, MODELS, MODELS]);
}

#[test]
fn d20_ensembles_beat_single_neurons() {
    let weak = |results: &mut Results| {
        for r in &mut results.suffix_probe {
            r.ensemble_accuracy = 0.902;
        }
    };
    check_all("D20", 2 * MODELS, weak, [MODELS, MODELS, 0]);
}

#[test]
fn d21_entropy_rises_at_the_end_of_some_models() {
    let only_one_rises = |results: &mut Results| {
        for r in &mut results.lens_entropy {
            if r.model != "gpt2" {
                r.entropy_bits = 10.0 - 5.0 * r.relative_depth;
            }
        }
    };
    let others = 2 * (MODELS - 1);
    check_all("D21", 2 * MODELS + 2, only_one_rises, [2 + 2, others, 0]);
}

#[test]
fn d22_the_mlp_writes_most_at_the_end() {
    let early = |results: &mut Results| {
        for r in &mut results.mlp_norm {
            r.mlp_out_norm = 2.0 - r.relative_depth;
        }
    };
    check_all("D22", MODELS, early, [0, MODELS, 0]);
}

#[test]
fn d23_late_repeats_lower_the_entropy() {
    let opposed = |results: &mut Results| {
        for r in &mut results.repeats {
            r.entropy_difference_bits *= -1.0;
        }
    };
    check_all("D23", 4 * MODELS, opposed, [0, 4 * MODELS, 0]);
}

#[test]
fn d24_late_repeats_improve_accuracy() {
    let within_error = |results: &mut Results| {
        for r in &mut results.benchmarks {
            r.difference_se = Some(0.03);
        }
    };
    check_all("D24", 1, within_error, [0, 1, 0]);
    let otherwise = |results: &mut Results| {
        let repeats = benchmarks::Intervention::RepeatFive;
        results.benchmarks.retain(|r| r.intervention != repeats);
    };
    check("D24", otherwise, [0, 0, 1]);
}

#[test]
fn d25_the_pattern_is_the_same_elsewhere() {
    let otherwise = |results: &mut Results| {
        for r in &mut results.mlp_norm {
            r.mlp_out_norm = 2.0 - r.relative_depth;
        }
        for r in &mut results.shift {
            if r.model == "gpt2" {
                r.value = 1.0 + r.relative_depth;
            }
        }
    };
    check_all("D25", 1 + MODELS, otherwise, [MODELS - 1, 2, 0]);
    let only_the_plain_text = |results: &mut Results| {
        for r in &mut results.shift {
            r.shifted = false;
        }
    };
    check("D25", only_the_plain_text, [1, 0, MODELS]);
}

#[test]
fn d26_attention_writes_less_with_depth() {
    let growing = |results: &mut Results| {
        for r in &mut results.sublayer_ratio {
            r.ratio = r.relative_depth;
        }
    };
    check_all("D26", MODELS, growing, [0, MODELS, 0]);
}

#[test]
fn d27_lenses_stand_side_by_side() {
    check("D27", |_| {}, [0, 3 * MODELS, 0]);
    let flat = |results: &mut Results| {
        for r in &mut results.lens_entropy {
            if r.lens == Lens::Legacy {
                r.entropy_bits = if r.state == 0 { 15.0 } else { 5.0 };
            }
        }
    };
    check("D27", flat, [3 * MODELS, 0, 0]);
    check(
        "D27",
        |results| results.lens_entropy.clear(),
        [0, 0, 3 * MODELS],
    );
}

#[test]
fn every_claim_has_its_place_and_its_lines() {
    let ids: Vec<&str> = CLAIMS.iter().map(|claim| claim.id).collect();
    let expected: Vec<String> = (1..=27).map(|number| format!("D{number}")).collect();
    assert_eq!(ids, expected);
    let models = synthetic::models();
    let rows = judge(&synthetic::results(&models), &models);
    let mut order: Vec<&str> = rows.iter().map(|row| row.claim.as_str()).collect();
    order.dedup();
    assert_eq!(order, expected);
    // Without a single model, each has a line still.
    let none = judge(&Results::default(), &[]);
    assert!(none.iter().all(|row| row.verdict == Verdict::NotTested));
    for claim in CLAIMS {
        assert!(none.iter().any(|row| row.claim == claim.id), "{}", claim.id);
    }
}

#[test]
fn claims_survive_a_file() {
    let models = synthetic::models();
    let rows = judge(&synthetic::results(&models), &models);
    let mut text = Vec::new();
    crate::figures::table::write(&rows, &mut text).unwrap();
    let header = "claim,version,model,statement,measured,standard_error,threshold,verdict,reason\n";
    assert!(text.starts_with(header.as_bytes()));
    let read: Vec<Row> =
        crate::figures::table::parse(text.as_slice(), Path::new("claims.csv")).unwrap();
    assert_eq!(read, rows);
}
