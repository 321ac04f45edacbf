//! Rotary position embeddings (Su et al. 2021, RoFormer), with the halves of a head paired as in GPT-NeoX and Llama.

use crate::cpu::vectorized;
use ndarray::{ArrayView2, ArrayViewMut2};

/// Pairs that one vector instruction rotates. Half a register's worth, because small heads have no more pairs than that.
const PAIRS: usize = 8;

#[inline(always)]
fn rotate_pair(a: &mut f32, b: &mut f32, cos: f32, sin: f32) {
    (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
}

vectorized! {
    /// Rotates the pairs (i, i + pairs) of every head in `x` \[seq, heads · head\] by the angles of the row's position. Their
    /// cosines and sines are \[seq, pairs\]. The rest of a head, from 2 · pairs on, stays as it is.
    ///
    /// # Panics
    /// If the shapes do not fit, or rows are not contiguous.
    pub fn rotate(x: ArrayViewMut2<'_, f32>, head: usize, cos: ArrayView2<'_, f32>, sin: ArrayView2<'_, f32>) {
        let mut x = x;
        assert_eq!((x.nrows(), cos.dim()), (cos.nrows(), sin.dim()), "positions and their angles");
        let pairs = cos.ncols();
        assert!(2 * pairs <= head, "{pairs} pairs in a head of {head}");
        for ((mut row, cos), sin) in x.outer_iter_mut().zip(cos.outer_iter()).zip(sin.outer_iter()) {
            let row = row.as_slice_mut().expect("rows of queries and keys are contiguous");
            let (cos, sin) = (
                cos.to_slice().expect("rows of cosines are contiguous"),
                sin.to_slice().expect("rows of sines are contiguous"),
            );
            let (cosines, cos) = cos.as_chunks::<PAIRS>();
            let (sines, sin) = sin.as_chunks::<PAIRS>();
            let (whole, rest) = (cosines.iter().zip(sines), cos.iter().zip(sin));
            for values in row.chunks_exact_mut(head) {
                let (first, second) = values[..2 * pairs].split_at_mut(pairs);
                let (firsts, first) = first.as_chunks_mut::<PAIRS>();
                let (seconds, second) = second.as_chunks_mut::<PAIRS>();
                let angles = whole.clone();
                for ((a, b), (cos, sin)) in firsts.iter_mut().zip(seconds).zip(angles) {
                    for lane in 0..PAIRS {
                        rotate_pair(&mut a[lane], &mut b[lane], cos[lane], sin[lane]);
                    }
                }
                for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(rest.clone()) {
                    rotate_pair(a, b, *cos, *sin);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn pairs_are_rotated_in_every_head_and_the_rest_stays() {
        for (head, pairs) in [(5, 2), (4, 2), (20, 8), (50, 19)] {
            let x = Array2::from_shape_fn((3, 2 * head), |(r, c)| (7 * r + c) as f32);
            let angle = |r: usize, pair: usize| (r * pairs + pair) as f32 / 10.0;
            let cos = Array2::from_shape_fn((3, pairs), |(r, c)| angle(r, c).cos());
            let sin = Array2::from_shape_fn((3, pairs), |(r, c)| angle(r, c).sin());
            let mut rotated = x.clone();
            rotate(rotated.view_mut(), head, cos.view(), sin.view());
            let expected = Array2::from_shape_fn(x.dim(), |(r, c)| {
                let (first, within) = (c - c % head, c % head);
                let value = |at: usize| x[(r, first + at)];
                match within {
                    i if i < pairs => value(i) * cos[(r, i)] - value(i + pairs) * sin[(r, i)],
                    i if i < 2 * pairs => {
                        let pair = i - pairs;
                        value(i) * cos[(r, pair)] + value(pair) * sin[(r, pair)]
                    }
                    i => value(i),
                }
            });
            assert_eq!(rotated, expected, "{pairs} pairs of {head}");
        }
    }
}
