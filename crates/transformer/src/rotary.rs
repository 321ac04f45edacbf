//! Rotary positions.

use crate::config::Rotary;
use layerwise_kernels::rotary::rotate;
use ndarray::{Array2, ArrayViewMut2, s};
use std::ops::Range;

/// cos and sin of the angles of positions that follow each other, each \[positions, size/2\].
#[derive(Clone, Debug)]
pub(crate) struct Rotations {
    /// The lowest of the positions.
    first: usize,
    cos: Array2<f32>,
    sin: Array2<f32>,
}

impl Rotations {
    pub(crate) fn new(rotary: &Rotary, positions: Range<usize>) -> Self {
        let (first, frequencies) = (positions.start, rotary.inverse_frequencies());
        let angles = Array2::from_shape_fn((positions.len(), frequencies.len()), |(t, i)| {
            (first + t) as f64 * frequencies[i]
        });
        Self {
            first,
            cos: angles.mapv(|angle| angle.cos() as f32),
            sin: angles.mapv(|angle| angle.sin() as f32),
        }
    }

    /// Turns the pairs (i, i + size/2) of every head in `x` \[rows, heads · head\], whose rows stand at the positions from
    /// `first` on.
    pub(crate) fn apply(&self, x: ArrayViewMut2<'_, f32>, head: usize, first: usize) {
        let row = first - self.first;
        let positions = s![row..row + x.nrows(), ..];
        rotate(
            x,
            head,
            self.cos.slice(positions),
            self.sin.slice(positions),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_of_turned_vectors_depends_on_their_distance() {
        let rotary = Rotary::new(6, 100.0);
        let rotations = Rotations::new(&rotary, 0..30);
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
    }
}
