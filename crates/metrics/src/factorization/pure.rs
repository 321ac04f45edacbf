//! The factorisations in pure Rust.

use nalgebra::{Cholesky, DMatrix, QR, SymmetricEigen};
use ndarray::{Array1, Array2, ArrayView2};

use super::Svd;
use crate::MetricsError;

/// The iteration counts as stuck after this many Jacobi sweeps; ten are already many.
const SWEEPS: usize = 100;

/// An eigenvalue iteration counts as stuck after this many steps; an eigenvalue needs about two.
const STEPS_PER_EIGENVALUE: usize = 100;

/// One-sided Jacobi (Hestenes) on the triangular factor of the taller of A and Aᵀ.
///
/// nalgebra's own decomposition is not used: for some rank-deficient matrices, `[[6, 6], [4, 4]]` among them, the product of the
/// factors it returns is a different matrix.
pub(super) fn svd(a: ArrayView2<'_, f64>) -> Result<Svd, MetricsError> {
    let (rows, columns) = a.dim();
    if rows < columns {
        let Svd {
            left,
            values,
            right,
        } = svd(a.t())?;
        return Ok(Svd {
            left: right.reversed_axes(),
            values,
            right: left.reversed_axes(),
        });
    }
    // Scaled, so that no square overflows.
    let scale = a.fold(0.0_f64, |scale, entry| scale.max(entry.abs()));
    let scale = if scale > 0.0 { scale } else { 1.0 };
    let qr = QR::new(to_nalgebra(a) / scale);
    let mut images = columns_of(&qr.r());
    let mut basis = columns_of(&DMatrix::identity(columns, columns));
    if !orthogonalise(&mut images, &mut basis) {
        return Err(MetricsError::NoConvergence {
            factorization: "singular value decomposition",
            rows,
            columns,
        });
    }
    let norms: Vec<f64> = images
        .iter()
        .map(|image| dot(image, image).sqrt())
        .collect();
    let mut order: Vec<usize> = (0..columns).collect();
    order.sort_by(|&i, &j| norms[j].total_cmp(&norms[i]));
    let directions = DMatrix::from_fn(columns, columns, |row, column| {
        let from = order[column];
        if norms[from] > 0.0 {
            images[from][row] / norms[from]
        } else {
            0.0
        }
    });
    Ok(Svd {
        left: to_ndarray(&(qr.q() * directions)),
        values: order.iter().map(|&from| norms[from] * scale).collect(),
        right: Array2::from_shape_fn((columns, columns), |(row, column)| {
            basis[order[row]][column]
        }),
    })
}

/// Rotates pairs of columns of W, and those of V likewise, until the columns of W are orthogonal; returns false if they never
/// are.
fn orthogonalise(images: &mut [Vec<f64>], basis: &mut [Vec<f64>]) -> bool {
    let tolerance = images.len() as f64 * f64::EPSILON;
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for second in 1..images.len() {
            for first in 0..second {
                let (x, y) = (&images[first], &images[second]);
                let (xx, yy, xy) = (dot(x, x), dot(y, y), dot(x, y));
                // A column whose square underflows is zero to working precision.
                let lost = xx.min(yy) < f64::MIN_POSITIVE;
                if lost || xy.abs() <= tolerance * xx.sqrt() * yy.sqrt() {
                    continue;
                }
                rotated = true;
                let cotangent = (yy - xx) / (2.0 * xy);
                let tangent = cotangent.signum() / (cotangent.abs() + cotangent.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                rotate(images, first, second, cosine, cosine * tangent);
                rotate(basis, first, second, cosine, cosine * tangent);
            }
        }
        if !rotated {
            return true;
        }
    }
    false
}

fn rotate(columns: &mut [Vec<f64>], first: usize, second: usize, cosine: f64, sine: f64) {
    let (head, tail) = columns.split_at_mut(second);
    for (x, y) in head[first].iter_mut().zip(&mut tail[0]) {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    }
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

fn columns_of(a: &DMatrix<f64>) -> Vec<Vec<f64>> {
    a.column_iter()
        .map(|column| column.iter().copied().collect())
        .collect()
}

pub(super) fn solve_positive_definite(
    a: ArrayView2<'_, f64>,
    b: ArrayView2<'_, f64>,
) -> Option<Array2<f64>> {
    let cholesky = Cholesky::new(to_nalgebra(a))?;
    Some(to_ndarray(&cholesky.solve(&to_nalgebra(b))))
}

pub(super) fn symmetric_eigen(
    a: ArrayView2<'_, f64>,
) -> Result<(Array1<f64>, Array2<f64>), MetricsError> {
    let (rows, columns) = a.dim();
    let eigen = SymmetricEigen::try_new(to_nalgebra(a), f64::EPSILON, STEPS_PER_EIGENVALUE * rows);
    let eigen = eigen.ok_or(MetricsError::NoConvergence {
        factorization: "symmetric eigendecomposition",
        rows,
        columns,
    })?;
    let mut order: Vec<usize> = (0..rows).collect();
    order.sort_by(|&i, &j| eigen.eigenvalues[i].total_cmp(&eigen.eigenvalues[j]));
    let values = order.iter().map(|&i| eigen.eigenvalues[i]).collect();
    let vectors = Array2::from_shape_fn((rows, rows), |(row, column)| {
        eigen.eigenvectors[(row, order[column])]
    });
    Ok((values, vectors))
}

fn to_nalgebra(a: ArrayView2<'_, f64>) -> DMatrix<f64> {
    DMatrix::from_fn(a.nrows(), a.ncols(), |row, column| a[[row, column]])
}

fn to_ndarray(a: &DMatrix<f64>) -> Array2<f64> {
    Array2::from_shape_fn(a.shape(), |index| a[index])
}
