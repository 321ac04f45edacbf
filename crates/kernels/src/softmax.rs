//! The causal softmax of attention scores.

use crate::cpu::vectorized;
use crate::elementary::exp;
use crate::lanes::{LANES, halve, maximum};
use ndarray::ArrayViewMut2;

vectorized! {
    /// Turns a tile of attention scores \[queries, keys\] into attention weights, in place.
    ///
    /// Row `i` belongs to the query at position `first_query + i`. It attends to the keys 0..=first_query + i; later keys get
    /// weight 0. Scores are multiplied by `scale`, usually 1/√head. The weights of a row sum to one.
    /// The weights of a row depend, to the bit, only on the scores of the keys that it attends to.
    ///
    /// # Panics
    /// If a row attends to more keys than the tile has, or the rows are not contiguous.
    pub fn causal_softmax(scores: ArrayViewMut2<'_, f32>, first_query: usize, scale: f32) {
        let mut scores = scores;
        assert!(
            first_query + scores.nrows() <= scores.ncols(),
            "the tile holds every key that its last query attends to"
        );
        for (i, mut row) in scores.outer_iter_mut().enumerate() {
            let row = row.as_slice_mut().expect("rows of a score tile are contiguous");
            softmax(row, first_query + i + 1, scale);
        }
    }
}

/// The softmax of the first `seen` values of a row. The others become 0.
#[inline(always)]
fn softmax(row: &mut [f32], seen: usize, scale: f32) {
    let top = maximum(&row[..seen]);
    let (whole, rest) = row.split_at_mut(seen / LANES * LANES);
    let last = seen - whole.len();
    let mut lanes = [0.0_f32; LANES];
    for chunk in whole.as_chunks_mut::<LANES>().0 {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *v = exp((*v - top) * scale);
            *lane += *v;
        }
    }
    // One vector of exponentials costs less than a few scalar ones. Values past `seen` are set to 0 below, so computing them is
    // harmless.
    match rest.first_chunk_mut::<LANES>() {
        Some(chunk) => chunk.iter_mut().for_each(|v| *v = exp((*v - top) * scale)),
        None => rest.iter_mut().for_each(|v| *v = exp((*v - top) * scale)),
    }
    let (rest, hidden) = rest.split_at_mut(last);
    hidden.fill(0.0);
    for (lane, v) in lanes.iter_mut().zip(&*rest) {
        *lane += v;
    }
    let total = halve(lanes.map(f64::from), |a, b| a + b);
    let inverse = (1.0 / total) as f32;
    for v in &mut row[..seen] {
        *v *= inverse;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_sum_to_one_and_agree_with_f64(first in 0usize..40, queries in 1usize..9, scale in 0.05f32..1.5, seed: u32) {
            let keys = first + queries;
            let scores = Array2::from_shape_fn((queries, keys), |(r, c)| {
                ((r * 131 + c) as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) as f32 / u32::MAX as f32 * 40.0 - 20.0
            });
            let mut weights = scores.clone();
            causal_softmax(weights.view_mut(), first, scale);
            for q in 0..queries {
                let seen = first + q + 1;
                let terms: Vec<f64> = (0..seen).map(|k| (f64::from(scores[(q, k)]) * f64::from(scale)).exp()).collect();
                let total: f64 = terms.iter().sum();
                for k in 0..keys {
                    let expected = if k < seen { terms[k] / total } else { 0.0 };
                    prop_assert!((f64::from(weights[(q, k)]) - expected).abs() < 2e-6, "{} against {expected}", weights[(q, k)]);
                    prop_assert!(k < seen || weights[(q, k)] == 0.0);
                }
                let sum: f64 = weights.row(q).iter().map(|v| f64::from(*v)).sum();
                prop_assert!((sum - 1.0).abs() < 1e-6);
            }
        }
    }
}
