//! Support vector machines for two classes, linear or with a Gaussian kernel.

use ndarray::ArrayView2;

use crate::MetricsError;
use crate::matrix::check_finite;

/// The similarity of two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Kernel {
    /// x·x'.
    Linear,
    /// exp(−γ‖x−x'‖²), the radial basis function.
    Rbf {
        /// γ, positive.
        gamma: f64,
    },
}

impl Kernel {
    fn of(self, a: &[f64], b: &[f64]) -> f64 {
        let pairs = a.iter().zip(b);
        match self {
            Self::Linear => pairs.map(|(a, b)| a * b).sum(),
            Self::Rbf { gamma } => {
                let distance: f64 = pairs.map(|(a, b)| (a - b) * (a - b)).sum();
                (-gamma * distance).exp()
            }
        }
    }
}

/// A decision between two classes, fitted by [`support_vectors`].
#[derive(Debug, Clone, PartialEq)]
pub struct SupportVectors {
    kernel: Kernel,
    /// Support vectors, each with its weight times its sign.
    vectors: Vec<(Vec<f64>, f64)>,
    /// b.
    pub intercept: f64,
}

impl SupportVectors {
    /// A machine with given support vectors (each with its weight times its sign) and b. For a linear machine, one vector may
    /// stand for all: their weighted sum, with the weight 1.
    pub fn new(kernel: Kernel, vectors: Vec<(Vec<f64>, f64)>, intercept: f64) -> Self {
        Self {
            kernel,
            vectors,
            intercept,
        }
    }

    /// The decision value of a sample; positive for the label `true`.
    ///
    /// # Panics
    /// If the sample has the wrong number of features.
    pub fn decision(&self, sample: &[f64]) -> f64 {
        let each = self.vectors.iter().map(|(vector, weight)| {
            assert_eq!(
                vector.len(),
                sample.len(),
                "features of the machine and of the sample"
            );
            weight * self.kernel.of(vector, sample)
        });
        each.sum::<f64>() + self.intercept
    }

    /// The kernel.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// The support vectors, each with its weight times its sign.
    pub fn vectors(&self) -> &[(Vec<f64>, f64)] {
        &self.vectors
    }

    /// w of a linear machine; `None` for another kernel.
    pub fn weights(&self) -> Option<Vec<f64>> {
        if self.kernel != Kernel::Linear {
            return None;
        }
        let features = self.vectors.first().map_or(0, |(vector, _)| vector.len());
        let mut weights = vec![0.0; features];
        for (vector, weight) in &self.vectors {
            for (sum, value) in weights.iter_mut().zip(vector) {
                *sum += weight * value;
            }
        }
        Some(weights)
    }
}

/// A fit has converged when the optimality conditions are violated by at most this.
pub const SVM_TOLERANCE: f64 = 1e-4;

/// The largest number of pair updates of a fit, per sample.
const MOST_CHANGES: usize = 1000;

/// The smallest curvature along a pair; smaller ones are raised to it before the division.
const LEAST_CURVATURE: f64 = 1e-12;

/// Fits a machine to samples X `[samples, features]`: the w and b that minimise
///
/// ½‖w‖² + C·Σ c_i·max(0, 1 − y_i·(w·φ(x_i) + b)),
///
/// with y = 1 for the label `true` and −1 for `false`, φ the kernel's feature map, and weights c = n/(2·n_class) that give both
/// classes equal weight (scikit-learn's `SVC(class_weight="balanced")`).
///
/// The dual problem is solved two coordinates at a time, because the unpenalised b ties them. Each step takes the pair that
/// violates the conditions most, by second-order information (Fan, Chen and Lin 2005). Nothing is random, so the same samples
/// give the same bits. Many samples take minutes, so `go_on` is asked before each step whether the fit goes on.
///
/// # Errors
/// [`MetricsError::GivenUp`] if it does not. X has no rows or an entry that is not finite, the numbers of labels and samples
/// differ, only one class occurs, C or γ is not positive, or the fit does not converge.
///
/// ```
/// use layerwise_metrics::{Kernel, SVM_TOLERANCE, support_vectors};
/// use ndarray::array;
///
/// let x = array![[0.0], [1.0], [2.0], [3.0]];
/// let labels = [false, false, true, true];
/// let machine = support_vectors(x.view(), &labels, Kernel::Linear, 1.0, SVM_TOLERANCE, &|| true)?;
/// assert!(machine.decision(&[0.0]) < 0.0 && machine.decision(&[3.0]) > 0.0);
/// # Ok::<(), layerwise_metrics::MetricsError>(())
/// ```
pub fn support_vectors(
    x: ArrayView2<'_, f64>,
    labels: &[bool],
    kernel: Kernel,
    inverse_penalty: f64,
    tolerance: f64,
    go_on: &dyn Fn() -> bool,
) -> Result<SupportVectors, MetricsError> {
    check_finite("x", x)?;
    let samples = x.nrows();
    if labels.len() != samples {
        return Err(MetricsError::LabelNumbers {
            expected: samples,
            found: labels.len(),
        });
    }
    let positive = labels.iter().filter(|label| **label).count();
    if positive == 0 || positive == samples {
        return Err(MetricsError::OneClass {
            samples,
            class: positive > 0,
        });
    }
    let is_positive = |value: f64| value.is_finite() && value > 0.0;
    if !is_positive(inverse_penalty) {
        return Err(MetricsError::InvalidInversePenalty {
            found: inverse_penalty,
        });
    }
    if let Kernel::Rbf { gamma } = kernel
        && !is_positive(gamma)
    {
        return Err(MetricsError::InvalidKernel { found: gamma });
    }
    let features = x.ncols();
    let values: Vec<f64> = x.iter().copied().collect();
    let row = |i: usize| &values[i * features..][..features];
    let own = (0..samples).map(|i| kernel.of(row(i), row(i))).collect();
    let share = |count: usize| inverse_penalty * samples as f64 / (2.0 * count as f64);
    let bounds = [share(samples - positive), share(positive)];
    let mut dual = Dual {
        kernel,
        features,
        own,
        values,
        signs: labels
            .iter()
            .map(|label| if *label { 1.0 } else { -1.0 })
            .collect(),
        bounds: labels
            .iter()
            .map(|label| bounds[usize::from(*label)])
            .collect(),
        weights: vec![0.0; samples],
        gradient: vec![-1.0; samples],
    };
    let mut changes = 0;
    while let Some((i, j)) = dual.pair(tolerance) {
        if !go_on() {
            return Err(MetricsError::GivenUp);
        }
        dual.change(i, j);
        changes += 1;
        if changes > MOST_CHANGES * samples {
            return Err(MetricsError::MachineNotConverged { changes });
        }
    }
    Ok(dual.machine())
}

/// The dual problem: minimise ½αᵀQα − Σα with 0 ≤ α_i ≤ C·c_i and Σ y_i·α_i = 0, Q_ij = y_i·y_j·K(x_i, x_j).
struct Dual {
    kernel: Kernel,
    features: usize,
    /// The rows of X, one after another.
    values: Vec<f64>,
    /// K(x_i, x_i).
    own: Vec<f64>,
    signs: Vec<f64>,
    bounds: Vec<f64>,
    weights: Vec<f64>,
    /// Qα − 1.
    gradient: Vec<f64>,
}

impl Dual {
    fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.features..][..self.features]
    }

    fn similarity(&self, i: usize, j: usize) -> f64 {
        self.kernel.of(self.row(i), self.row(j))
    }

    /// ‖φ(x_i) − φ(x_j)‖².
    fn curvature(&self, i: usize, j: usize) -> f64 {
        self.own[i] + self.own[j] - 2.0 * self.similarity(i, j)
    }

    /// Whether a sample's y·α can increase, and whether it can decrease.
    fn can(&self, i: usize) -> (bool, bool) {
        let (below, above) = (self.weights[i] < self.bounds[i], self.weights[i] > 0.0);
        match self.signs[i] > 0.0 {
            true => (below, above),
            false => (above, below),
        }
    }

    /// The pair to update next; `None` once the conditions hold within the tolerance.
    fn pair(&self, tolerance: f64) -> Option<(usize, usize)> {
        let slope = |i: usize| -self.signs[i] * self.gradient[i];
        let mut first: Option<usize> = None;
        for i in 0..self.weights.len() {
            if self.can(i).0 && first.is_none_or(|best| slope(i) > slope(best)) {
                first = Some(i);
            }
        }
        let i = first?;
        let mut second: Option<(usize, f64)> = None;
        let mut least = f64::INFINITY;
        for j in 0..self.weights.len() {
            if !self.can(j).1 {
                continue;
            }
            least = least.min(slope(j));
            let gain = slope(i) - slope(j);
            if gain > 0.0 {
                let decrease = gain * gain / self.curvature(i, j).max(LEAST_CURVATURE);
                if second.is_none_or(|(_, best)| decrease > best) {
                    second = Some((j, decrease));
                }
            }
        }
        match slope(i) - least < tolerance {
            true => None,
            false => second.map(|(j, _)| (i, j)),
        }
    }

    /// Increases y·α of one sample and decreases that of the other, as far as this lowers the objective and the bounds allow.
    fn change(&mut self, i: usize, j: usize) {
        let slope = |i: usize| -self.signs[i] * self.gradient[i];
        let mut step = (slope(i) - slope(j)) / self.curvature(i, j).max(LEAST_CURVATURE);
        let room_up = match self.signs[i] > 0.0 {
            true => self.bounds[i] - self.weights[i],
            false => self.weights[i],
        };
        let room_down = match self.signs[j] > 0.0 {
            true => self.weights[j],
            false => self.bounds[j] - self.weights[j],
        };
        step = step.min(room_up).min(room_down);
        for (at, change, room) in [(i, step, room_up), (j, -step, room_down)] {
            // A weight that reaches its bound is set to it exactly, so that no rounding error remains.
            self.weights[at] = match (step == room, self.signs[at] * change > 0.0) {
                (true, true) => self.bounds[at],
                (true, false) => 0.0,
                (false, _) => self.weights[at] + self.signs[at] * change,
            };
        }
        for k in 0..self.weights.len() {
            let difference = self.similarity(i, k) - self.similarity(j, k);
            self.gradient[k] += self.signs[k] * step * difference;
        }
    }

    fn machine(self) -> SupportVectors {
        let slope = |i: usize| -self.signs[i] * self.gradient[i];
        let free: Vec<f64> = (0..self.weights.len())
            .filter(|&i| self.can(i) == (true, true))
            .map(slope)
            .collect();
        // b is the gradient of every free sample; if there is none, the middle of the allowed range.
        let intercept = match free.len() {
            0 => {
                let all = || 0..self.weights.len();
                let up = all().filter(|&i| self.can(i).0).map(slope);
                let down = all().filter(|&i| self.can(i).1).map(slope);
                up.fold(f64::NEG_INFINITY, f64::max)
                    .midpoint(down.fold(f64::INFINITY, f64::min))
            }
            count => free.iter().sum::<f64>() / count as f64,
        };
        let with_weight = (0..self.weights.len()).filter(|&i| self.weights[i] > 0.0);
        SupportVectors {
            kernel: self.kernel,
            vectors: with_weight
                .map(|i| (self.row(i).to_vec(), self.signs[i] * self.weights[i]))
                .collect(),
            intercept,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    /// Samples, labels and scikit-learn's decisions, from `tests/classifiers/make.py`.
    fn golden(text: &str) -> (Array2<f64>, Vec<bool>, Vec<f64>) {
        let rows: Vec<Vec<f64>> = text
            .lines()
            .skip(1)
            .map(|line| {
                line.split(',')
                    .map(|field| field.parse().unwrap())
                    .collect()
            })
            .collect();
        let x = Array2::from_shape_fn((rows.len(), 2), |(row, column)| rows[row][column]);
        let labels = rows.iter().map(|row| row[2] == 1.0).collect();
        (x, labels, rows.iter().map(|row| row[3]).collect())
    }

    fn folder() -> std::path::PathBuf {
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/classifiers").into()
    }

    #[test]
    fn decisions_are_those_of_scikit_learn() {
        for (file, kernel) in [
            ("linear.csv", Kernel::Linear),
            ("rbf.csv", Kernel::Rbf { gamma: 0.5 }),
        ] {
            let text = std::fs::read_to_string(folder().join(file)).unwrap();
            let (x, labels, expected) = golden(&text);
            let fit = |tolerance: f64| {
                support_vectors(x.view(), &labels, kernel, 1.0, tolerance, &|| true).unwrap()
            };
            let (fine, coarse) = (fit(1e-8), fit(SVM_TOLERANCE));
            for (row, expected) in x.outer_iter().zip(expected) {
                let row = row.to_vec();
                assert!((fine.decision(&row) - expected).abs() < 1e-5, "{file}");
                assert!((coarse.decision(&row) - expected).abs() < 1e-2, "{file}");
            }
            assert_eq!(fine.weights().is_some(), kernel == Kernel::Linear);
        }
    }

    #[test]
    fn the_widest_margin_is_found() {
        // Two clusters on a line: the boundary is half-way, and only the nearest samples support it.
        let x = array![[-3.0], [-1.0], [1.0], [4.0]];
        let labels = [false, false, true, true];
        let fit = |go_on: &dyn Fn() -> bool| {
            support_vectors(x.view(), &labels, Kernel::Linear, 10.0, 1e-9, go_on)
        };
        assert!(matches!(fit(&|| false), Err(MetricsError::GivenUp)));
        let machine = fit(&|| true).unwrap();
        let weights = machine.weights().unwrap();
        assert!((weights[0] - 1.0).abs() < 1e-6 && machine.intercept.abs() < 1e-6);
        assert_eq!(machine.vectors().len(), 2);
        assert!((machine.decision(&[2.0]) - 2.0).abs() < 1e-6);
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let x = array![[0.0], [1.0]];
        let refused = |labels: &[bool], kernel, penalty: f64| {
            support_vectors(x.view(), labels, kernel, penalty, 1e-4, &|| true)
                .unwrap_err()
                .to_string()
        };
        let linear = Kernel::Linear;
        assert!(refused(&[true], linear, 1.0).contains("1 labels for 2 samples"));
        assert!(refused(&[true, true], linear, 1.0).contains("both labels must occur"));
        assert!(refused(&[true, false], linear, 0.0).contains("must be positive"));
        assert!(refused(&[true, false], Kernel::Rbf { gamma: f64::NAN }, 1.0).contains("NaN"));
    }
}
