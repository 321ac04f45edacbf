//! Contrasts two distributions over the vocabulary, position by position, after passes that computed both summaries.
//!
//! The divergence of the second from the first, the divergence between both, and the rank of a token need the log-sum-exps, or
//! the token's logit, before the first tile of logits. So [`contrast`] is a separate pass, after those that computed the
//! summaries.

use crate::online_softmax::Summary;
use crate::vocabulary::{Unembedding, each_pair_of_rows};
use ndarray::ArrayView2;
use std::f64::consts::LN_2;

/// One position's distribution q = softmax(z), contrasted with the plain one's p = softmax(y).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Contrast {
    /// KL(q ‖ p) = Σ_v q_v·ln(q_v/p_v), nats.
    pub reverse_kl_nats: f64,
    /// The Jensen–Shannon divergence ½·KL(p ‖ m) + ½·KL(q ‖ m) with m = (p + q)/2, nats: from 0 to ln 2.
    pub js_nats: f64,
    /// The rank of the target under q, from 1: one more than the number of tokens with a larger logit, or an equal logit and a
    /// lower id. `None` if there is no target.
    pub target_rank: Option<u32>,
}

/// Contrasts each row of `states` \[seq, model\] with the same row of `plain_states`. All rows are final-norm outputs, and the
/// summaries are those of a pass over the vocabulary.
///
/// Row `i` has the target `targets[i]` if its summary has a target's logit. The pass takes two products with the unembedding.
/// NaN log-sum-exps give NaN divergences.
///
/// # Panics
/// If the shapes do not fit.
pub fn contrast(
    states: ArrayView2<'_, f32>,
    summaries: &[Summary],
    plain_states: ArrayView2<'_, f32>,
    plain: &[Summary],
    unembedding: Unembedding<'_>,
    targets: &[u32],
) -> Vec<Contrast> {
    assert_eq!(summaries.len(), states.nrows(), "a summary for each state");
    assert_eq!(
        plain.len(),
        states.nrows(),
        "a plain summary for each state"
    );
    let mut contrasts: Vec<Contrast> = summaries
        .iter()
        .map(|summary| Contrast {
            target_rank: summary.target_logit.map(|_| 1),
            ..Contrast::default()
        })
        .collect();
    each_pair_of_rows(
        states,
        plain_states,
        unembedding,
        |row, first_column, logits, plain_logits| {
            let own = &mut contrasts[row];
            let change = summaries[row].log_sum_exp - plain[row].log_sum_exp;
            let (reverse, js) =
                divergences(logits, plain_logits, summaries[row].log_sum_exp, change);
            own.reverse_kl_nats += reverse;
            own.js_nats += js;
            if let (Some(rank), Some(target)) = (&mut own.target_rank, summaries[row].target_logit)
            {
                let before = (targets[row] as usize).saturating_sub(first_column);
                *rank += ranked_before(logits, target, before);
            }
        },
    );
    contrasts
}

/// The terms of KL(q ‖ p) and of the Jensen–Shannon divergence for some tokens; `change` is the log-sum-exp of q minus that of p.
///
/// With d = ln(q/p), a the larger of p and q, and t = e^{−|d|} the ratio of the smaller to the larger, a token's term of the
/// latter is ½·a·((1 + t)·(ln 2 − ln(1 + t)) − t·|d|). It subtracts no nearly equal probabilities.
fn divergences(logits: &[f32], plain: &[f32], log_sum_exp: f64, change: f64) -> (f64, f64) {
    let (mut reverse, mut js) = (0.0_f64, 0.0_f64);
    for (z, y) in logits.iter().zip(plain) {
        let (z, y) = (f64::from(*z), f64::from(*y));
        let d = (z - y) - change;
        let log_q = z - log_sum_exp;
        let (q, t) = (log_q.exp(), (-d.abs()).exp());
        let larger = if d < 0.0 { (log_q - d).exp() } else { q };
        reverse += q * d;
        js += 0.5 * larger * ((1.0 + t) * (LN_2 - t.ln_1p()) - t * d.abs());
    }
    (reverse, js)
}

/// The number of logits larger than the target's; among the first `before` logits, equal ones count too.
fn ranked_before(logits: &[f32], target: f32, before: usize) -> u32 {
    let (lower, higher) = logits.split_at(before.min(logits.len()));
    let ahead = lower.iter().filter(|z| **z >= target).count()
        + higher.iter().filter(|z| **z > target).count();
    u32::try_from(ahead).expect("token ids are u32")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::Packed;
    use crate::noise::noise;
    use crate::vocabulary::pass;
    use proptest::prelude::*;

    fn distribution(logits: &[f64]) -> Vec<f64> {
        let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|z| (z - top).exp()).sum();
        logits.iter().map(|z| (z - top).exp() / sum).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn contrasts_agree_with_whole_distributions(rows in 1usize..20, model in 1usize..24, vocab in 1usize..900, seed: u64, size in 0.01f32..3.0, capped: bool) {
            let [states, others] = [seed, seed ^ 3].map(|seed| noise(rows, model, seed) * size);
            let table = noise(vocab, model, seed ^ 77);
            let packed = Packed::new(table.t());
            let unembedding = Unembedding { weight: &packed, bias: None, cap: capped.then_some(2.0) };
            let targets: Vec<u32> = (0..rows - 1).map(|i| (i * 37 % vocab) as u32).collect();
            let plain = pass(others.view(), unembedding, &targets);
            let own = pass(states.view(), unembedding, &targets);
            let found = contrast(states.view(), &own, others.view(), &plain, unembedding, &targets);
            for i in 0..rows {
                let logits = |states: &ndarray::Array2<f32>| -> Vec<f64> {
                    let z = table.mapv(f64::from).dot(&states.row(i).mapv(f64::from));
                    z.iter().map(|z| if capped { 2.0 * (z / 2.0).tanh() } else { *z }).collect()
                };
                let z = logits(&states);
                let (q, p) = (distribution(&z), distribution(&logits(&others)));
                let divergence = |a: &[f64], b: &[f64]| -> f64 {
                    a.iter().zip(b).map(|(a, b)| if *a > 0.0 { a * (a / b).ln() } else { 0.0 }).sum()
                };
                let middle: Vec<f64> = q.iter().zip(&p).map(|(q, p)| (q + p) / 2.0).collect();
                let js = 0.5 * divergence(&p, &middle) + 0.5 * divergence(&q, &middle);
                let scale = 1.0 + z.iter().fold(0.0_f64, |m, z| m.max(z.abs()));
                prop_assert!((found[i].reverse_kl_nats - divergence(&q, &p)).abs() < 2e-5 * scale);
                prop_assert!((found[i].js_nats - js).abs() < 2e-6 * scale, "{} {js}", found[i].js_nats);
                prop_assert_eq!(found[i].target_rank.is_some(), i < targets.len());
                if let Some(rank) = found[i].target_rank {
                    let own = z[targets[i] as usize];
                    let [least, most] = [1e-5, -1e-5].map(|slack| z.iter().filter(|z| **z > own + slack * scale).count());
                    prop_assert!((least + 1..=most.max(1)).contains(&(rank as usize)), "{rank} of {least} to {most}");
                }
                prop_assert_eq!(found[i].target_rank == Some(1), targets.get(i) == Some(&own[i].argmax));
            }
            // A distribution has distance 0 from itself.
            let same = contrast(others.view(), &plain, others.view(), &plain, unembedding, &targets);
            prop_assert!(same.iter().all(|own| own.reverse_kl_nats == 0.0 && own.js_nats.abs() < 1e-12));
        }
    }

    #[test]
    fn of_equal_logits_the_lower_ids_rank_before() {
        let table = ndarray::Array2::ones((600, 4));
        let states = ndarray::Array2::ones((3, 4));
        let packed = Packed::new(table.t());
        let unembedding = Unembedding {
            weight: &packed,
            bias: None,
            cap: None,
        };
        let targets = [0, 299, 599];
        let summaries = pass(states.view(), unembedding, &targets);
        let found = contrast(
            states.view(),
            &summaries,
            states.view(),
            &summaries,
            unembedding,
            &targets,
        );
        let ranks: Vec<_> = found.iter().filter_map(|own| own.target_rank).collect();
        assert_eq!(ranks, [1, 300, 600]);
    }
}
