//! Logistic regression of two classes, the linear probe.

use ndarray::{Array1, ArrayView1, ArrayView2, Axis, s};

use crate::MetricsError;
use crate::matrix::{check_finite, column_means, shape};

/// The norm of the gradient at which a fit has converged, unless rounding errors are larger.
const TOLERANCE: f64 = 1e-6;

/// The rounding of a gradient, as a share of the sum of its terms' norms.
const ROUNDING: f64 = 1e-13;

/// The largest number of Newton steps of a fit.
const NEWTON_STEPS: usize = 200;

/// The largest number of halvings of a step in a line search.
const HALVINGS: usize = 60;

/// A linear decision between two classes, fitted by [`logistic_regression`].
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticFit {
    /// w, `[features]`, in log-odds per unit of the feature.
    pub coefficients: Array1<f64>,
    /// b, in log-odds.
    pub intercept: f64,
}

impl LogisticFit {
    /// Log-odds w·x + b of the label `true`, in nats, `[samples]`, for X `[samples, features]`.
    ///
    /// A positive value is a decision for `true`, so the probe's accuracy is that of the [threshold](crate::threshold::accuracy)
    /// 0.
    ///
    /// # Errors
    ///
    /// X must have one column per feature.
    pub fn log_odds(&self, x: ArrayView2<'_, f64>) -> Result<Array1<f64>, MetricsError> {
        if x.ncols() != self.coefficients.len() {
            let expected = format!("{} columns, one per feature", self.coefficients.len());
            return Err(shape("x", x, expected));
        }
        Ok(x.dot(&self.coefficients) + self.intercept)
    }
}

/// Logistic regression with an L2 penalty: the w and b that minimise
///
/// ½‖w‖² + C·Σ ln(1 + exp(−s·(w·x + b)))
///
/// over the samples, with s = 1 for the label `true` and −1 for `false`, X `[samples, features]` and C =
/// `inverse_penalty` (paper B.10 and B.12; scikit-learn's `LogisticRegression(C)`).
///
/// The sum is not divided by the number of samples, and the intercept b is not penalised.
/// Features should have similar scales, as from a [`Standardizer`](crate::Standardizer), so that the penalty treats them alike.
///
/// The method is Newton's with a line search. Conjugate gradients find each step, so no matrix of size features² is formed and
/// features may outnumber samples.
/// A fit has converged when the gradient's norm is at most 10⁻⁶, or at most 10⁻¹³ of the sum of its terms' norms if that is
/// larger (very large C).
/// The penalty adds a curvature of 1 in every direction of w, so w is then within that norm of the minimum.
///
/// # Errors
///
/// X must have rows, columns and finite entries, one label per row, and samples of both classes; C must be positive and finite.
/// A fit whose numbers exceed the range of `f64` does not converge, which is an error.
///
/// ```
/// use layerwise_metrics::{logistic_regression, threshold};
/// use ndarray::array;
///
/// let x = array![[0.0], [1.0], [2.0], [3.0]];
/// let labels = [false, false, true, true];
/// let fit = logistic_regression(x.view(), &labels, 1.0)?;
/// let log_odds = fit.log_odds(x.view())?;
/// let samples: Vec<(f64, bool)> = log_odds.into_iter().zip(labels).collect();
/// assert_eq!(threshold::accuracy(&samples, 0.0)?.mean(), Some(1.0));
/// # Ok::<(), layerwise_metrics::MetricsError>(())
/// ```
pub fn logistic_regression(
    x: ArrayView2<'_, f64>,
    labels: &[bool],
    inverse_penalty: f64,
) -> Result<LogisticFit, MetricsError> {
    logistic_regression_while(x, labels, inverse_penalty, &|| true)
}

/// As [`logistic_regression`], but asks again and again whether it goes on.
///
/// # Errors
///
/// [`MetricsError::GivenUp`] if not, else as [`logistic_regression`].
pub fn logistic_regression_while(
    x: ArrayView2<'_, f64>,
    labels: &[bool],
    inverse_penalty: f64,
    go_on: &dyn Fn() -> bool,
) -> Result<LogisticFit, MetricsError> {
    if !(inverse_penalty.is_finite() && inverse_penalty > 0.0) {
        return Err(MetricsError::InvalidInversePenalty {
            found: inverse_penalty,
        });
    }
    check_finite("x", x)?;
    if labels.len() != x.nrows() {
        return Err(MetricsError::LabelNumbers {
            expected: x.nrows(),
            found: labels.len(),
        });
    }
    let positives = labels.iter().filter(|&&label| label).count();
    let negatives = labels.len() - positives;
    if positives == 0 || negatives == 0 {
        return Err(MetricsError::OneClass {
            class: labels[0],
            samples: labels.len(),
        });
    }
    let problem = Problem {
        x,
        mean: column_means(x),
        labels,
        inverse_penalty,
    };
    // Without features, the best log-odds are those of the class frequencies.
    let mut start = Array1::zeros(x.ncols() + 1);
    start[x.ncols()] = (positives as f64 / negatives as f64).ln();
    let mut fit = problem.minimise(start, go_on)?;
    let centred_intercept = fit[x.ncols()];
    fit.slice_collapse(s![..-1]);
    Ok(LogisticFit {
        intercept: centred_intercept - problem.mean.dot(&fit),
        coefficients: fit,
    })
}

/// The objective as a function of θ `[features + 1]`: w, then the intercept for centred features.
///
/// The intercept is not penalised, so centring does not change w; it makes the problem far better conditioned.
/// Features are centred on the fly rather than copied.
struct Problem<'a> {
    /// `[samples, features]`.
    x: ArrayView2<'a, f64>,
    /// `[features]`.
    mean: Array1<f64>,
    /// `[samples]`.
    labels: &'a [bool],
    inverse_penalty: f64,
}

impl Problem<'_> {
    fn minimise(
        &self,
        mut theta: Array1<f64>,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Array1<f64>, MetricsError> {
        let tolerance = TOLERANCE.max(ROUNDING * self.gradient_terms());
        let mut log_odds = self.linear(theta.view());
        let mut start_norm = None;
        let mut norm = f64::NAN;
        for _ in 0..NEWTON_STEPS {
            let gradient = self.gradient(theta.view(), log_odds.view());
            norm = gradient.dot(&gradient).sqrt();
            // If numbers are so large that rounding has no bound, the line search gives up.
            if norm <= tolerance && tolerance.is_finite() {
                return Ok(theta);
            }
            let precision = (norm / *start_norm.get_or_insert(norm)).sqrt().min(0.1);
            let residual_norm = precision * norm;
            let direction =
                self.newton_direction(&gradient, log_odds.view(), residual_norm, go_on)?;
            let change = self.linear(direction.view());
            let Some(step) = self.step(&theta, &direction, &log_odds, &change, &gradient) else {
                break;
            };
            theta.scaled_add(step, &direction);
            log_odds.scaled_add(step, &change);
        }
        Err(MetricsError::LogisticNotConverged {
            samples: self.x.nrows(),
            features: self.x.ncols(),
            gradient: norm,
            tolerance,
        })
    }

    /// (x − mean)·w + b for each sample, `[samples]`.
    fn linear(&self, theta: ArrayView1<'_, f64>) -> Array1<f64> {
        let (weights, intercept) = theta.split_at(Axis(0), self.mean.len());
        self.x.dot(&weights) + (intercept[0] - self.mean.dot(&weights))
    }

    /// Σ factor·(x − mean, 1) over the samples, `[features + 1]`; a factor may depend on its row x.
    ///
    /// One pass over the features computes both.
    fn sum_rows(&self, mut factor: impl FnMut(usize, ArrayView1<'_, f64>) -> f64) -> Array1<f64> {
        let features = self.mean.len();
        let mut sum = Array1::zeros(features + 1);
        let mut factors = 0.0;
        let mut weights = sum.slice_mut(s![..features]);
        for (sample, row) in self.x.outer_iter().enumerate() {
            let factor = factor(sample, row);
            weights.scaled_add(factor, &row);
            factors += factor;
        }
        weights.scaled_add(-factors, &self.mean);
        sum[features] = factors;
        sum
    }

    /// The sum over the samples of the largest possible norms of their gradient terms.
    fn gradient_terms(&self) -> f64 {
        let rows = self.x.outer_iter();
        let norms = rows.map(|row| (row.dot(&row) + self.mean.dot(&self.mean) + 1.0).sqrt());
        self.inverse_penalty * norms.sum::<f64>()
    }

    fn objective(&self, theta: &Array1<f64>, log_odds: &Array1<f64>) -> f64 {
        let weights = theta.slice(s![..-1]);
        let losses = self.labels.iter().zip(log_odds).map(|(&label, &log_odds)| {
            let against = if label { -log_odds } else { log_odds };
            against.max(0.0) + (-against.abs()).exp().ln_1p()
        });
        weights.dot(&weights) / 2.0 + self.inverse_penalty * losses.sum::<f64>()
    }

    fn gradient(&self, theta: ArrayView1<'_, f64>, log_odds: ArrayView1<'_, f64>) -> Array1<f64> {
        let mut gradient = self.sum_rows(|sample, _| {
            // p − 1 for the label `true`, without cancellation.
            let surprise = if self.labels[sample] {
                -probability(-log_odds[sample])
            } else {
                probability(log_odds[sample])
            };
            self.inverse_penalty * surprise
        });
        let mut weights = gradient.slice_mut(s![..-1]);
        weights += &theta.slice(s![..-1]);
        gradient
    }

    /// The d with H·d = −gradient, up to a residual of the given norm, by conjugate gradients preconditioned with the
    /// Hessian's diagonal.
    fn newton_direction(
        &self,
        gradient: &Array1<f64>,
        log_odds: ArrayView1<'_, f64>,
        residual_norm: f64,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Array1<f64>, MetricsError> {
        let curvatures = log_odds.mapv(|z| self.inverse_penalty * probability(z) * probability(-z));
        let diagonal = self.hessian_diagonal(curvatures.view());
        let mut direction = Array1::zeros(gradient.len());
        let mut residual = -gradient;
        let mut preconditioned = &residual / &diagonal;
        let mut search = preconditioned.clone();
        let mut size = residual.dot(&preconditioned);
        // In exact arithmetic there are at most as many steps as unknowns; rounding may need some more.
        for _ in 0..2 * gradient.len() + 10 {
            if !go_on() {
                return Err(MetricsError::GivenUp);
            }
            let image = self.hessian_times(search.view(), curvatures.view());
            let curvature = search.dot(&image);
            if curvature.is_nan() || curvature <= 0.0 {
                break;
            }
            let step = size / curvature;
            direction.scaled_add(step, &search);
            residual.scaled_add(-step, &image);
            if residual.dot(&residual).sqrt() <= residual_norm {
                break;
            }
            preconditioned = &residual / &diagonal;
            let previous = std::mem::replace(&mut size, residual.dot(&preconditioned));
            search *= size / previous;
            search += &preconditioned;
        }
        Ok(direction)
    }

    fn hessian_times(
        &self,
        vector: ArrayView1<'_, f64>,
        curvatures: ArrayView1<'_, f64>,
    ) -> Array1<f64> {
        let (weights, intercept) = vector.split_at(Axis(0), self.mean.len());
        let offset = intercept[0] - self.mean.dot(&weights);
        let mut product =
            self.sum_rows(|sample, row| curvatures[sample] * (row.dot(&weights) + offset));
        let mut product_weights = product.slice_mut(s![..-1]);
        product_weights += &weights;
        product
    }

    fn hessian_diagonal(&self, curvatures: ArrayView1<'_, f64>) -> Array1<f64> {
        let features = self.mean.len();
        let mut diagonal = Array1::ones(features + 1);
        for (row, &curvature) in self.x.outer_iter().zip(curvatures) {
            let entries = diagonal.iter_mut().zip(row).zip(&self.mean);
            for ((entry, &x), &mean) in entries {
                *entry += curvature * (x - mean) * (x - mean);
            }
        }
        // If every sample is decided with certainty, the intercept has almost no curvature.
        diagonal[features] = curvatures.sum().max(f64::EPSILON);
        diagonal
    }

    /// The first of 1, ½, ¼, … that decreases the objective in proportion to the step, or `None`.
    fn step(
        &self,
        theta: &Array1<f64>,
        direction: &Array1<f64>,
        log_odds: &Array1<f64>,
        change: &Array1<f64>,
        gradient: &Array1<f64>,
    ) -> Option<f64> {
        let objective = self.objective(theta, log_odds);
        let slope = gradient.dot(direction);
        // Close to the minimum, the objective changes by less than its rounding error.
        let rounding = 1e-13 * objective;
        let mut step = 1.0;
        for _ in 0..HALVINGS {
            let moved = self.objective(
                &(theta + &(direction * step)),
                &(log_odds + &(change * step)),
            );
            if moved <= objective + 1e-4 * step * slope + rounding {
                return Some(step);
            }
            step /= 2.0;
        }
        None
    }
}

/// 1/(1 + exp(−z)), without overflow.
fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}
