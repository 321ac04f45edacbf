//! Rotary positions.

use crate::config::Rotary;
use ndarray::ArrayViewMut2;

/// cos and sin of every position's angles, each \[seq, size/2\].
#[derive(Clone, Debug)]
pub(crate) struct Rotations {
    pairs: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rotations {
    pub(crate) fn new(rotary: &Rotary, seq: usize) -> Self {
        let frequencies = rotary.inverse_frequencies();
        let angles = (0..seq).flat_map(|t| {
            frequencies
                .iter()
                .map(move |frequency| t as f64 * frequency)
        });
        let (sin, cos) = angles
            .map(|angle| (angle.sin() as f32, angle.cos() as f32))
            .unzip();
        Self {
            pairs: frequencies.len(),
            cos,
            sin,
        }
    }

    /// Turns the pairs (i, i + size/2) of every head in `x` \[seq, heads · head\].
    pub(crate) fn apply(&self, mut x: ArrayViewMut2<'_, f32>, head: usize) {
        let tables = self.cos.chunks(self.pairs).zip(self.sin.chunks(self.pairs));
        for (mut row, (cos, sin)) in x.outer_iter_mut().zip(tables) {
            let row = row
                .as_slice_mut()
                .expect("rows of queries and keys are contiguous");
            for values in row.chunks_exact_mut(head) {
                let (first, second) = values[..2 * self.pairs].split_at_mut(self.pairs);
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
    use crate::config::RopeScaling;
    use ndarray::Array2;

    #[test]
    fn a_product_of_turned_vectors_depends_on_their_distance() {
        let rotary = Rotary {
            size: 6,
            theta: 100.0,
            scaling: RopeScaling::None,
        };
        let rotations = Rotations::new(&rotary, 30);
        let vector = [0.3, -1.0, 2.0, 0.7, 0.1, -0.4, 5.0, -6.0];
        let mut turned = Array2::from_shape_fn((30, 8), |(_, c)| vector[c]);
        rotations.apply(turned.view_mut(), 8);
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
