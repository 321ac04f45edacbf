//! Rotary positions.

use crate::elementary::vectorized;
use ndarray::{ArrayView2, ArrayViewMut2};

vectorized! {
    /// Turns the pairs (i, i + pairs) of every head in `x` \[seq, heads · head\] by each position's angles, whose cosines and
    /// sines are \[seq, pairs\].
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
            for values in row.chunks_exact_mut(head) {
                let (first, second) = values[..2 * pairs].split_at_mut(pairs);
                for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
                    (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn pairs_are_turned_in_every_head_and_the_rest_stays() {
        let mut x = Array2::from_shape_fn((2, 10), |(_, c)| c as f32);
        let (cos, sin) = (
            array![[1.0, 0.0], [0.0, -1.0]],
            array![[0.0, 1.0], [1.0, 0.0]],
        );
        rotate(x.view_mut(), 5, cos.view(), sin.view());
        let expected = array![
            [0.0, -3.0, 2.0, 1.0, 4.0, 5.0, -8.0, 7.0, 6.0, 9.0],
            [-2.0, -1.0, 0.0, -3.0, 4.0, -7.0, -6.0, 5.0, -8.0, 9.0]
        ];
        assert_eq!(x, expected);
    }
}
