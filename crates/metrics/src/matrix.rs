//! Checks and column means of matrix arguments.

use ndarray::{Array1, ArrayView2, Axis};

use crate::MetricsError;

/// Means over the rows, `[columns]`, of a matrix with at least one row.
pub(crate) fn column_means(matrix: ArrayView2<'_, f64>) -> Array1<f64> {
    matrix.sum_axis(Axis(0)) / matrix.nrows() as f64
}

/// The error for an argument `name` that lacks what is `expected`.
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

/// Refuses a matrix that has no entries, or has NaN or an infinity.
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
