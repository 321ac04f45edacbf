//! Checks and column means of matrices that functions of this crate are given.

use ndarray::{Array1, ArrayView2, Axis};

use crate::MetricsError;

/// Means over the rows of a matrix that has at least one row, `[columns]`.
pub(crate) fn column_means(matrix: ArrayView2<'_, f64>) -> Array1<f64> {
    matrix.sum_axis(Axis(0)) / matrix.nrows() as f64
}

/// The error that the argument `name` does not have what is `expected`.
pub(crate) fn shape(
    name: &'static str,
    found: ArrayView2<'_, f64>,
    expected: String,
) -> MetricsError {
    MetricsError::Shape {
        matrix: name,
        expected,
        rows: found.nrows(),
        columns: found.ncols(),
    }
}

/// Refuses a matrix without entries, and one with NaN or an infinity.
pub(crate) fn check_finite(
    name: &'static str,
    matrix: ArrayView2<'_, f64>,
) -> Result<(), MetricsError> {
    if matrix.is_empty() {
        let expected = "at least one row and one column".to_owned();
        return Err(shape(name, matrix, expected));
    }
    match matrix.indexed_iter().find(|(_, entry)| !entry.is_finite()) {
        None => Ok(()),
        Some(((row, column), &found)) => Err(MetricsError::NotFinite {
            matrix: name,
            row,
            column,
            found,
        }),
    }
}
