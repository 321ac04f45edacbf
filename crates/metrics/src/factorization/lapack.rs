//! The factorisations through LAPACK.

use ndarray::{Array1, Array2, ArrayView2};
use ndarray_linalg::{Cholesky, Diag, Eigh, JobSvd, SVDDCInto, SolveTriangularInto, UPLO};

use super::Svd;
use crate::MetricsError;

pub(super) fn svd(a: ArrayView2<'_, f64>) -> Result<Svd, MetricsError> {
    let failed = MetricsError::NoConvergence {
        factorization: "singular value decomposition",
        rows: a.nrows(),
        columns: a.ncols(),
    };
    match a.to_owned().svddc_into(JobSvd::Some) {
        Ok((Some(left), values, Some(right))) => Ok(Svd {
            left,
            values,
            right,
        }),
        _ => Err(failed),
    }
}

pub(super) fn solve_positive_definite(
    a: ArrayView2<'_, f64>,
    b: ArrayView2<'_, f64>,
) -> Option<Array2<f64>> {
    let lower = a.cholesky(UPLO::Lower).ok()?;
    let half = lower
        .solve_triangular_into(UPLO::Lower, Diag::NonUnit, b.to_owned())
        .ok()?;
    lower
        .t()
        .solve_triangular_into(UPLO::Upper, Diag::NonUnit, half)
        .ok()
}

pub(super) fn symmetric_eigen(
    a: ArrayView2<'_, f64>,
) -> Result<(Array1<f64>, Array2<f64>), MetricsError> {
    a.to_owned()
        .eigh(UPLO::Lower)
        .map_err(|_| MetricsError::NoConvergence {
            factorization: "symmetric eigendecomposition",
            rows: a.nrows(),
            columns: a.ncols(),
        })
}
