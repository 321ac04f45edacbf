//! Removes the direction that all word states share, before their cosine is measured.

use ndarray::{Array1, ArrayView1};

use crate::MetricsError;

/// Added to a deviation before the division, in the state's unit (Fantastic Semantics, arXiv 2403.01509).
const LEAST_DEVIATION: f64 = 1e-6;

/// The map (x − μ)/(σ + 10⁻⁶) of each dimension, with the mean μ and the sample standard deviation σ of the states that it was
/// fitted to.
///
/// States of one layer lie in a narrow cone, which raises the cosine of any two; the map removes the cone's axis.
///
/// ```
/// use layerwise_metrics::{Anisotropy, cosine};
/// use ndarray::{arr1, array};
///
/// let states = array![[1.0_f32, 10.0], [3.0, 10.0]];
/// let shared = Anisotropy::fit(states.outer_iter())?;
/// let [first, second] = [0, 1].map(|word| shared.remove(states.row(word)));
/// assert!((cosine(first.view(), second.view()).unwrap() + 1.0).abs() < 1e-12);
/// # Ok::<(), layerwise_metrics::MetricsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Anisotropy {
    /// μ, `[model]`.
    mean: Array1<f64>,
    /// σ + 10⁻⁶, `[model]`.
    scale: Array1<f64>,
}

impl Anisotropy {
    /// Fits the map to states, each `[model]`.
    ///
    /// # Errors
    ///
    /// At least two states are needed, because one state has no standard deviation.
    pub fn fit<'a>(
        states: impl IntoIterator<Item = ArrayView1<'a, f32>> + Clone,
    ) -> Result<Self, MetricsError> {
        let mut count = 0_u64;
        let mut sum: Option<Array1<f64>> = None;
        for state in states.clone() {
            count += 1;
            let state = state.mapv(f64::from);
            match &mut sum {
                Some(sum) => *sum += &state,
                None => sum = Some(state),
            }
        }
        let Some(sum) = sum.filter(|_| count > 1) else {
            return Err(MetricsError::TooFewStates { found: count });
        };
        let mean = sum / count as f64;
        let mut squares: Array1<f64> = Array1::zeros(mean.len());
        for state in states {
            let values = state.iter().zip(&mean).zip(&mut squares);
            values
                .for_each(|((&value, mean), square)| *square += (f64::from(value) - mean).powi(2));
        }
        let scale = squares.mapv(|sum| (sum / (count - 1) as f64).sqrt() + LEAST_DEVIATION);
        Ok(Self { mean, scale })
    }

    /// (x − μ)/(σ + 10⁻⁶) of a state `[model]`, in standard deviations.
    pub fn remove(&self, state: ArrayView1<'_, f32>) -> Array1<f64> {
        let values = state.iter().zip(&self.mean).zip(&self.scale);
        values
            .map(|((&value, mean), scale)| (f64::from(value) - mean) / scale)
            .collect()
    }
}

/// The cosine of the angle between two vectors, from −1 to 1; `None` if one has length 0.
pub fn cosine<T: Copy + Into<f64>>(a: ArrayView1<'_, T>, b: ArrayView1<'_, T>) -> Option<f64> {
    let [a, b] = [a, b].map(|row| row.mapv(Into::<f64>::into));
    let lengths = (a.dot(&a) * b.dot(&b)).sqrt();
    (lengths > 0.0).then(|| (a.dot(&b) / lengths).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    #[test]
    fn what_is_equal_in_all_states_becomes_zero() {
        let states = Array2::from_elem((30, 3), 0.1_f32);
        let shared = Anisotropy::fit(states.outer_iter()).unwrap();
        assert_eq!(shared.remove(states.row(7)), array![0.0, 0.0, 0.0]);
    }

    #[test]
    fn one_state_has_no_deviation() {
        let states = array![[1.0_f32, 2.0]];
        let error = Anisotropy::fit(states.outer_iter()).unwrap_err();
        assert_eq!(error, MetricsError::TooFewStates { found: 1 });
    }

    #[test]
    fn a_vector_without_length_has_no_direction() {
        let (zero, other) = (array![0.0, 0.0], array![1.0, 0.0]);
        assert_eq!(cosine(zero.view(), other.view()), None);
        assert_eq!(cosine(other.view(), other.view()), Some(1.0));
    }

    proptest! {
        #[test]
        fn states_have_mean_zero_and_deviation_one(values in prop::collection::vec(-1e3_f32..1e3, 4..40)) {
            let values = Array2::from_shape_vec((values.len(), 1), values).unwrap();
            let shared = Anisotropy::fit(values.outer_iter()).unwrap();
            let removed: Vec<f64> = values.outer_iter().map(|row| shared.remove(row)[0]).collect();
            let mean = removed.iter().sum::<f64>() / removed.len() as f64;
            prop_assert!(mean.abs() < 1e-6, "{mean}");
            let squares: f64 = removed.iter().map(|value| (value - mean).powi(2)).sum();
            let variance = squares / (removed.len() - 1) as f64;
            prop_assert!(variance <= 1.0 + 1e-9, "{variance}");
        }
    }
}
