//! Rotary position embeddings.

use layerwise_architecture::{Pairs, Rotary};
use layerwise_kernels::rotary::rotate;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, s};

/// Cosines and sines of the angles of some positions, each \[positions, pairs\].
#[derive(Clone, Debug)]
pub(crate) struct Rotations {
    cos: Array2<f32>,
    sin: Array2<f32>,
    pairs: Pairs,
}

impl Rotations {
    /// The rotations of these positions in sequences of `len` tokens.
    pub(crate) fn new(rotary: &Rotary, positions: &[usize], len: usize) -> Self {
        let frequencies = rotary.inverse_frequencies(len);
        let amplitude = rotary.amplitude();
        let angles = Array2::from_shape_fn((positions.len(), frequencies.len()), |(t, i)| {
            positions[t] as f64 * frequencies[i]
        });
        Self {
            cos: angles.mapv(|angle| (amplitude * angle.cos()) as f32),
            sin: angles.mapv(|angle| (amplitude * angle.sin()) as f32),
            pairs: rotary.pairs,
        }
    }

    /// Rotates the pairs of every head in `x` \[rows, heads · head\], whose rows are at the positions from the one with index
    /// `first` on.
    pub(crate) fn apply(&self, x: ArrayViewMut2<'_, f32>, head: usize, first: usize) {
        let positions = s![first..first + x.nrows(), ..];
        let (cos, sin) = (self.cos.slice(positions), self.sin.slice(positions));
        match self.pairs {
            Pairs::Halves => rotate(x, head, cos, sin),
            Pairs::Neighbours => rotate_neighbours(x, head, cos, sin),
        }
    }
}

/// Rotates the pairs (2i, 2i + 1) of every head in `x` \[rows, heads · head\] by angles \[rows, pairs\].
fn rotate_neighbours(
    mut x: ArrayViewMut2<'_, f32>,
    head: usize,
    cos: ArrayView2<'_, f32>,
    sin: ArrayView2<'_, f32>,
) {
    for ((mut row, cos), sin) in x
        .outer_iter_mut()
        .zip(cos.outer_iter())
        .zip(sin.outer_iter())
    {
        let row = row.as_slice_mut().expect("rows of heads are contiguous");
        for head in row.chunks_exact_mut(head) {
            let (pairs, _) = head.as_chunks_mut::<2>();
            for (([a, b], cos), sin) in pairs.iter_mut().zip(cos).zip(sin) {
                (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_of_turned_vectors_depends_on_their_distance() {
        let rotary = Rotary::new(6, 100.0);
        let positions: Vec<usize> = (0..30).collect();
        let rotations = Rotations::new(&rotary, &positions, 30);
        let vector = [0.3, -1.0, 2.0, 0.7, 0.1, -0.4, 5.0, -6.0];
        let mut turned = Array2::from_shape_fn((30, 8), |(_, c)| vector[c]);
        rotations.apply(turned.view_mut(), 8, 0);
        let product = |a: usize, b: usize| turned.row(a).dot(&turned.row(b));
        for distance in 0..10 {
            assert!((product(0, distance) - product(15, 15 + distance)).abs() < 1e-4);
        }
        assert!(
            (product(0, 1) - product(0, 9)).abs() > 1e-2,
            "rotation does something"
        );
        assert_eq!(turned[(20, 6)], 5.0, "dimensions past `size` stay");
        assert_eq!(turned.row(0).to_vec(), vector, "position 0 stays");

        let some = Rotations::new(&rotary, &[2, 7, 8, 29], 30);
        let mut rows = Array2::from_shape_fn((3, 8), |(_, c)| vector[c]);
        some.apply(rows.slice_mut(s![1.., ..]), 8, 1);
        some.apply(rows.slice_mut(s![..1, ..]), 8, 3);
        for (row, position) in [29, 7, 8].into_iter().enumerate() {
            assert_eq!(rows.row(row), turned.row(position), "{position}");
        }
    }

    /// The reference is the rotation of GPT-NeoX in Hugging Face transformers 5.24: 5 of 8 dimensions, at position 3.
    #[test]
    fn an_odd_number_of_dimensions_rotates_one_more() {
        let rotations = Rotations::new(&Rotary::new(5, 1e4), &[0, 1, 2, 3], 4);
        let vector = [0.3, -1.0, 2.0, 0.7, 0.1, -0.4, 5.0, -6.0];
        let mut turned = Array2::from_shape_fn((4, 8), |(_, c)| vector[c]);
        rotations.apply(turned.view_mut(), 8, 0);
        let expected = [
            -0.395_781_76,
            -1.004_690_5,
            2.000_753_6,
            -0.650_658_7,
            0.024_430_923,
            -0.396_213_56,
            5.0,
            -6.0,
        ];
        for (found, expected) in turned.row(3).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }
}
