//! Results as published, for tests of claims.

use super::table::{PairRecord, Record, SimilarityRecord, SpeedRecord, TaskRecord};
use super::variants::{FRACTIONS, Family, Kind, Variant, count, plain_variants};
use crate::core::models::Facts;
use crate::core::tables::Tables;

/// Adds the records of one model.
pub(crate) fn add(facts: &Facts, tables: &mut Tables) {
    let layers = facts.layers;
    let model = || facts.name.clone();
    let mut variants = plain_variants(layers);
    for fraction in FRACTIONS {
        // Late ones, but not the last.
        let k = count(fraction, layers);
        let late: Vec<usize> = (layers - k - 1..layers - 1).collect();
        variants.push(Variant::new(
            Kind::DropAttn,
            Family::Similarity,
            fraction,
            &late,
        ));
    }
    for variant in &variants {
        tables.push(Record {
            model: model(),
            kind: variant.kind,
            family: variant.family,
            fraction: variant.fraction,
            k: variant.k,
            schedule: variant.edit.clone(),
            nll_increase: 0.1 + variant.fraction,
            nll_increase_se: Some(0.01),
            kl_nats: 0.1,
            kl_nats_se: Some(0.01),
            kl_second_order_nats: 0.12,
            corpus: "text".to_owned(),
            benchmark_mean: Some(0.49),
            benchmark_mean_se: Some(0.005),
            relative_drop: Some(0.02),
            agreement: Some(0.9),
            agreement_se: Some(0.01),
            first_difference_mean: Some(9.0),
            identical_share: Some(0.3),
            continuations: 64,
            decode_ratio: Some(1.2),
            decode_ratio_se: Some(0.01),
            predicted_ratio: 1.2,
            first_token_ratio: Some(1.2),
            cache_ratio: 0.7,
        });
        if variant.family == Family::Latter && variant.kind == Kind::DropAttn {
            tables.push(TaskRecord {
                model: model(),
                schedule: variant.edit.clone(),
                task: "boolq".to_owned(),
                items: 500,
                accuracy: 0.52,
                accuracy_se: Some(0.01),
                accuracy_by_length: Some(0.5),
                accuracy_by_length_se: Some(0.01),
                change: 0.02,
                change_se: Some(0.005),
                agreement: Some(0.9),
            });
        }
        if variant.family == Family::Latter {
            for cached_tokens in [32, 512, 2048] {
                let with_context = cached_tokens as f64 / 1e5;
                let predicted_ratio = match variant.kind {
                    Kind::DropAttn => 1.1 + with_context,
                    _ => 1.3 - with_context,
                };
                tables.push(SpeedRecord {
                    model: model(),
                    kind: variant.kind,
                    fraction: variant.fraction,
                    schedule: variant.edit.clone(),
                    cached_tokens,
                    predicted_ratio,
                    decode_ratio: Some(predicted_ratio),
                    decode_ratio_se: Some(0.005),
                    repetitions: Some(5),
                });
            }
        }
    }
    use Family::{FirstBlockZeroKept, Latter, LatterLastKept, Similarity};
    use Kind::{Drop, DropAttn, DropMlp};
    for fraction in FRACTIONS {
        for ((kind, family), (other_kind, other_family)) in [
            ((DropAttn, LatterLastKept), (DropMlp, LatterLastKept)),
            ((DropAttn, LatterLastKept), (Drop, LatterLastKept)),
            ((DropAttn, Latter), (DropAttn, FirstBlockZeroKept)),
            ((DropMlp, LatterLastKept), (DropMlp, Latter)),
            ((Drop, LatterLastKept), (Drop, Latter)),
            ((DropAttn, Similarity), (DropAttn, Latter)),
        ] {
            tables.push(PairRecord {
                model: model(),
                fraction,
                kind,
                family,
                other_kind,
                other_family,
                nll_difference: 0.5,
                nll_difference_se: Some(0.1),
                sequences: 39,
            });
        }
    }
    for kind in Kind::OF_ONE_SORT {
        for source in 0..layers {
            tables.push(SimilarityRecord {
                model: model(),
                kind,
                source,
                similarity_mean: 0.5 + 0.01 * source as f64,
                similarity_se: Some(0.001),
                rank: layers - source,
            });
        }
    }
}
