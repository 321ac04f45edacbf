//! Factorisations of matrices in `f64`.
//!
//! There are two implementations: pure Rust (nalgebra) and, with the feature `lapack`, the system's LAPACK. A build contains one
//! of them. They agree within rounding, not bit for bit.
//!
//! # Errors
//!
//! Every function refuses NaN and infinities, empty matrices and shapes that do not fit.

use ndarray::{Array1, Array2, ArrayView2};

use crate::MetricsError;
use crate::matrix::{check_finite, column_means, shape};

#[cfg(feature = "lapack")]
mod lapack;
#[cfg(any(test, not(feature = "lapack")))]
mod pure;
#[cfg(test)]
mod tests;

// The only place that chooses the implementation.
#[cfg(feature = "lapack")]
use lapack as backend;
#[cfg(not(feature = "lapack"))]
use pure as backend;

/// A thin singular value decomposition A = U·diag(σ)·Vᵀ of an `[m, n]` matrix, with k = min(m, n).
#[derive(Debug)]
struct Svd {
    /// U, `[m, k]`, orthonormal columns (unspecified where σ is 0).
    left: Array2<f64>,
    /// σ, `[k]`, descending.
    values: Array1<f64>,
    /// Vᵀ, `[k, n]`, orthonormal rows (unspecified where σ is 0).
    right: Array2<f64>,
}

impl Svd {
    /// The least-norm solution of min ‖A·X − B‖, `[n, columns of B]`.
    ///
    /// Singular values up to max(m, n)·ε·σ₁ count as zero.
    fn solve(&self, b: ArrayView2<'_, f64>) -> Array2<f64> {
        let longest = self.left.nrows().max(self.right.ncols());
        let cutoff = longest as f64 * f64::EPSILON * self.values[0];
        let mut coordinates = self.left.t().dot(&b);
        for (mut row, &value) in coordinates.outer_iter_mut().zip(&self.values) {
            row.mapv_inplace(|x| if value > cutoff { x / value } else { 0.0 });
        }
        self.right.t().dot(&coordinates)
    }
}

/// The least-norm X, `[n, k]`, that minimises ‖A·X − B‖ for A `[m, n]` and B `[m, k]`.
///
/// A may have any shape and any rank.
///
/// # Errors
///
/// See [the module](self#errors).
///
/// ```
/// use layerwise_metrics::factorization::least_squares;
/// use ndarray::array;
///
/// // The line through (0, 1), (1, 3) and (2, 5).
/// let a = array![[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]];
/// let x = least_squares(a.view(), array![[1.0], [3.0], [5.0]].view())?; // [2, 1]
/// assert!((x[[0, 0]] - 1.0).abs() < 1e-9 && (x[[1, 0]] - 2.0).abs() < 1e-9);
/// # Ok::<(), layerwise_metrics::MetricsError>(())
/// ```
pub fn least_squares(
    a: ArrayView2<'_, f64>,
    b: ArrayView2<'_, f64>,
) -> Result<Array2<f64>, MetricsError> {
    check_finite("a", a)?;
    check_finite("b", b)?;
    check_rows("b", b, "a", a)?;
    Ok(backend::svd(a)?.solve(b))
}

/// The solution X, `[n, k]`, of A·X = B for a symmetric positive definite A `[n, n]` and B `[n, k]`, by
/// Cholesky's factorisation.
///
/// # Errors
///
/// See [the module](self#errors); A must be symmetric (each pair within 1e-10 of its largest entry) and positive
/// definite to working precision.
pub fn solve_positive_definite(
    a: ArrayView2<'_, f64>,
    b: ArrayView2<'_, f64>,
) -> Result<Array2<f64>, MetricsError> {
    check_symmetric("a", a)?;
    check_finite("b", b)?;
    check_rows("b", b, "a", a)?;
    backend::solve_positive_definite(a, b).ok_or(MetricsError::NotPositiveDefinite {
        matrix: "a",
        size: a.nrows(),
    })
}

/// Eigenvalues `[n]`, ascending, and eigenvectors `[n, n]`, of length 1, one per column in the same order, of a symmetric A
/// `[n, n]`.
///
/// The sign of each vector makes its entry of largest magnitude (the first of several) positive.
///
/// # Errors
///
/// See [the module](self#errors); A must be symmetric (each pair within 1e-10 of its largest entry).
///
/// ```
/// use layerwise_metrics::factorization::symmetric_eigen;
/// use ndarray::array;
///
/// let (values, vectors) = symmetric_eigen(array![[2.0, 0.0], [0.0, 1.0]].view())?;
/// assert!((values[0] - 1.0).abs() < 1e-12 && (values[1] - 2.0).abs() < 1e-12); // ascending
/// assert!((vectors[[1, 0]] - 1.0).abs() < 1e-12); // a vector is a column
/// # Ok::<(), layerwise_metrics::MetricsError>(())
/// ```
pub fn symmetric_eigen(a: ArrayView2<'_, f64>) -> Result<(Array1<f64>, Array2<f64>), MetricsError> {
    check_symmetric("a", a)?;
    let (values, mut vectors) = backend::symmetric_eigen(a)?;
    for mut vector in vectors.columns_mut() {
        let mut largest = 0.0_f64;
        for &entry in &vector {
            if entry.abs() > largest.abs() {
                largest = entry;
            }
        }
        if largest < 0.0 {
            vector.mapv_inplace(|entry| -entry);
        }
    }
    Ok((values, vectors))
}

/// A linear map with an intercept, fitted by [`ridge`].
#[derive(Debug, Clone, PartialEq)]
pub struct LinearFit {
    /// W, `[features, targets]`.
    pub coefficients: Array2<f64>,
    /// b, `[targets]`.
    pub intercept: Array1<f64>,
}

impl LinearFit {
    /// Predictions X·W + b, `[samples, targets]`, for X `[samples, features]`.
    ///
    /// # Errors
    ///
    /// X must have one column per feature.
    pub fn predict(&self, x: ArrayView2<'_, f64>) -> Result<Array2<f64>, MetricsError> {
        if x.ncols() != self.coefficients.nrows() {
            let expected = format!("{} columns, one per feature", self.coefficients.nrows());
            return Err(shape("x", x, expected));
        }
        Ok(x.dot(&self.coefficients) + &self.intercept)
    }
}

/// Ridge regression: the W and b that minimise Σ‖y − (x·W + b)‖² + λ‖W‖² over the samples, for X
/// `[samples, features]`, Y `[samples, targets]` and λ = `penalty`.
///
/// The sum is not divided by the number of samples, and the intercept b is not penalised.
/// With λ = 0, or a λ so small that it vanishes beside the squares of X, this is least squares with the least-norm W.
///
/// # Errors
///
/// See [the module](self#errors); λ must be finite and at least 0.
///
/// ```
/// use layerwise_metrics::factorization::ridge;
/// use ndarray::array;
///
/// let (x, y) = (array![[-1.0], [0.0], [1.0]], array![[3.0], [5.0], [7.0]]);
/// let fit = ridge(x.view(), y.view(), 2.0)?;
/// // Σxy/(Σx² + λ) = 4/(2 + 2) for centred x and y; the intercept is not shrunk.
/// assert!((fit.coefficients[[0, 0]] - 1.0).abs() < 1e-9);
/// assert!((fit.intercept[0] - 5.0).abs() < 1e-9);
/// # Ok::<(), layerwise_metrics::MetricsError>(())
/// ```
pub fn ridge(
    x: ArrayView2<'_, f64>,
    y: ArrayView2<'_, f64>,
    penalty: f64,
) -> Result<LinearFit, MetricsError> {
    if !(penalty.is_finite() && penalty >= 0.0) {
        return Err(MetricsError::InvalidPenalty { found: penalty });
    }
    check_finite("x", x)?;
    check_finite("y", y)?;
    check_rows("y", y, "x", x)?;
    let (x_mean, y_mean) = (column_means(x), column_means(y));
    let (x_centred, y_centred) = (&x - &x_mean, &y - &y_mean);
    let coefficients = if penalty == 0.0 {
        least_squares(x_centred.view(), y_centred.view())?
    } else if x.nrows() >= x.ncols() {
        // W = (XᵀX + λI)⁻¹XᵀY.
        let gram = penalised(x_centred.t().dot(&x_centred), penalty);
        solve_positive_definite(gram.view(), x_centred.t().dot(&y_centred).view())?
    } else {
        // The same W with the smaller of the two Gram matrices: Xᵀ(XXᵀ + λI)⁻¹Y.
        let gram = penalised(x_centred.dot(&x_centred.t()), penalty);
        let weights = solve_positive_definite(gram.view(), y_centred.view())?;
        x_centred.t().dot(&weights)
    };
    let intercept = y_mean - x_mean.dot(&coefficients);
    Ok(LinearFit {
        coefficients,
        intercept,
    })
}

/// Adds λ to the diagonal.
fn penalised(mut gram: Array2<f64>, penalty: f64) -> Array2<f64> {
    gram.diag_mut().mapv_inplace(|entry| entry + penalty);
    gram
}

fn check_rows(
    name: &'static str,
    matrix: ArrayView2<'_, f64>,
    other_name: &'static str,
    other: ArrayView2<'_, f64>,
) -> Result<(), MetricsError> {
    if matrix.nrows() == other.nrows() {
        return Ok(());
    }
    let expected = format!("{} rows as in {other_name}", other.nrows());
    Err(shape(name, matrix, expected))
}

fn check_symmetric(name: &'static str, matrix: ArrayView2<'_, f64>) -> Result<(), MetricsError> {
    check_finite(name, matrix)?;
    if matrix.nrows() != matrix.ncols() {
        return Err(shape(name, matrix, "as many rows as columns".to_owned()));
    }
    let largest = matrix
        .iter()
        .fold(0.0_f64, |size, entry| size.max(entry.abs()));
    for ((row, column), &found) in matrix.indexed_iter() {
        let mirrored = matrix[[column, row]];
        if (found - mirrored).abs() > 1e-10 * largest {
            return Err(MetricsError::NotSymmetric {
                matrix: name,
                row,
                column,
                found,
                mirrored,
            });
        }
    }
    Ok(())
}
