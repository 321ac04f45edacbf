//! The mean of several positions' distributions over the vocabulary, of which the log-sum-exps are known.
//!
//! Each distribution weighs its logits by its own log-sum-exp, which must be there before the first tile of logits: so
//! [`entropy_nats`] is a pass of its own, after that which made the summaries. Of the mean it keeps a tile of tokens.

use crate::cpu::vectorized;
use crate::elementary::exp;
use crate::online_softmax::Summary;
use crate::vocabulary::{TILE_COLUMNS, Unembedding, each_tile};
use ndarray::ArrayView2;

/// The entropy of m = (1/seq)·Σ_i q_i, nats, where q_i is the distribution of row `i` of `states` \[seq, model\] (final-norm
/// outputs); `summaries` are those that a pass over the vocabulary has given. 0 without rows.
///
/// Costs a product with the unembedding.
///
/// # Panics
/// If there is not a summary for each state.
pub fn entropy_nats(
    states: ArrayView2<'_, f32>,
    summaries: &[Summary],
    unembedding: Unembedding<'_>,
) -> f64 {
    let rows = states.nrows();
    assert_eq!(summaries.len(), rows, "a summary for each state");
    let mut entropy = 0.0;
    let mut sums = [0.0_f64; TILE_COLUMNS];
    each_tile(states, unembedding, |first_row, _, tile| {
        // Columns are the outer loop: the first tile begins their sums, and the last completes them.
        if first_row == 0 {
            sums.fill(0.0);
        }
        let sums = &mut sums[..tile.ncols()];
        for (row, summary) in tile.outer_iter().zip(&summaries[first_row..]) {
            let row = row.to_slice().expect("a tile is contiguous");
            add_probabilities(sums, row, summary.log_sum_exp);
        }
        if first_row + tile.nrows() == rows {
            // A token whose probability underflows at every position adds nothing.
            let means = sums.iter().map(|sum| sum / rows as f64);
            let terms = means
                .filter(|mean| *mean > 0.0)
                .map(|mean| mean * mean.ln());
            entropy -= terms.sum::<f64>();
        }
    });
    entropy
}

vectorized! {
    /// Adds e^{z − log_sum_exp} of some tokens to their sums.
    fn add_probabilities(sums: &mut [f64], logits: &[f32], log_sum_exp: f64) {
        for (sum, z) in sums.iter_mut().zip(logits) {
            *sum += f64::from(exp((f64::from(*z) - log_sum_exp) as f32));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::{Packed, Precision};
    use crate::noise::noise;
    use crate::vocabulary::pass;
    use ndarray::{Array1, Array2, Axis, concatenate};
    use proptest::prelude::*;

    fn entropy(distribution: &Array1<f64>) -> f64 {
        -distribution.iter().map(|p| p * p.ln()).sum::<f64>()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn the_entropy_is_that_of_the_mean_of_whole_distributions(rows in 1usize..20, model in 1usize..24, vocab in 1usize..1300, seed: u64, size in 0.01f32..3.0, capped: bool, bf16: bool) {
            let precision = if bf16 { Precision::Bf16 } else { Precision::F32 };
            let states = noise(rows, model, seed) * size;
            let table = noise(vocab, model, seed ^ 77) * size;
            let bias = noise(1, vocab, seed ^ 5).into_raw_vec_and_offset().0;
            let packed = Packed::rounded(table.t(), precision);
            let cap = capped.then_some(2.0);
            let unembedding = Unembedding { weight: &packed, bias: Some(&bias), cap };
            let summaries = pass(states.view(), unembedding, &[]);
            let found = entropy_nats(states.view(), &summaries, unembedding);
            let [states, table] = [&states, &table].map(|values| values.mapv(|value| f64::from(precision.round(value))));
            let mut own = states.dot(&table.t()) + &Array1::from_iter(bias.iter().copied().map(f64::from));
            for mut row in own.outer_iter_mut() {
                if capped { row.mapv_inplace(|z| 2.0 * (z / 2.0).tanh()); }
                let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                row.mapv_inplace(|z| (z - top).exp());
                let sum = row.sum();
                row.mapv_inplace(|e| e / sum);
            }
            let of_mean = entropy(&own.mean_axis(Axis(0)).unwrap());
            prop_assert!((found - of_mean).abs() < 2e-5 * (1.0 + f64::from(size * size)), "{found} {of_mean}");
            // At least the mean of the entropies, and at most by the logarithm of their number more.
            let mean: f64 = own.outer_iter().map(|row| entropy(&row.to_owned())).sum::<f64>() / rows as f64;
            prop_assert!((mean - 1e-4..mean + (rows as f64).ln() + 1e-4).contains(&found), "{found} {mean}");
        }
    }

    #[test]
    fn the_mean_of_equal_rows_is_each_of_them_in_one_tile_or_several() {
        let states = noise(1, 24, 3);
        let table = noise(1100, 24, 4);
        let unembedding = Unembedding {
            weight: &Packed::new(table.t()),
            bias: None,
            cap: None,
        };
        for rows in [1, 7, 1500] {
            let equal: Array2<f32> = concatenate(Axis(0), &vec![states.view(); rows]).unwrap();
            let summaries = pass(equal.view(), unembedding, &[]);
            let own = summaries[0].log_sum_exp - summaries[0].mean_logit;
            let found = entropy_nats(equal.view(), &summaries, unembedding);
            assert!((found - own).abs() < 1e-5, "{rows} rows: {found} {own}");
        }
        // All but one of the tokens have no probability that f32 can hold.
        let certain = Array2::from_shape_fn((2, 24), |(_, at)| if at == 0 { 1.0 } else { 0.0 });
        let mut far = Array2::zeros((600, 24));
        far[[7, 0]] = 500.0;
        let unembedding_of_far = Unembedding {
            weight: &Packed::new(far.t()),
            ..unembedding
        };
        let summaries = pass(certain.view(), unembedding_of_far, &[]);
        let found = entropy_nats(certain.view(), &summaries, unembedding_of_far);
        assert!((0.0..1e-30).contains(&found), "{found}");
        let none = Array2::zeros((0, 24));
        assert_eq!(entropy_nats(none.view(), &[], unembedding), 0.0);
    }
}
