//! The product of two arrays.

use crate::packed::{Packed, Scratch, multiply};
use ndarray::{ArrayView2, ArrayViewMut2};

/// What a product does with its destination.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Write<'a> {
    /// The destination is overwritten; what it held is not read.
    Replace,
    /// The destination is overwritten with the product added to a bias, \[columns\], in every row.
    Biased(&'a [f32]),
    /// The product is added to the destination.
    Add,
}

/// Computes `out = a · b` or `out += a · b` in f32, for `a` \[rows, inner\], `b` \[inner, columns\], `out` \[rows, columns\].
///
/// `b` may have any strides: it is packed for the product, so that a matrix which is used again should be
/// [`Packed`] once instead. Rows of `a` and of `out` must be contiguous.
/// Row `i` of the result depends, to the bit, on row `i` of `a` and on `b` only, however many rows there are.
///
/// # Panics
/// If the shapes do not fit.
///
/// ```
/// use layerwise_kernels::{Write, matmul};
/// use ndarray::{Array2, array};
///
/// let a = array![[1.0, 2.0], [3.0, 4.0]];
/// let mut out = Array2::zeros((2, 2));
/// matmul(a.view(), a.t(), out.view_mut(), Write::Replace);
/// assert_eq!(out, array![[5.0, 11.0], [11.0, 25.0]]);
/// ```
pub fn matmul(
    a: ArrayView2<'_, f32>,
    b: ArrayView2<'_, f32>,
    out: ArrayViewMut2<'_, f32>,
    write: Write<'_>,
) {
    assert_eq!(a.ncols(), b.nrows(), "inner dimensions of the product");
    multiply(
        a,
        &Packed::new(b),
        0..b.ncols(),
        out,
        write,
        &mut Scratch::default(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;
    use ndarray::{Array2, s};
    use proptest::prelude::*;

    fn reference(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Array2<f64> {
        a.mapv(f64::from).dot(&b.mapv(f64::from))
    }

    #[test]
    fn a_row_does_not_depend_on_how_many_rows_are_computed() {
        for (inner, columns) in [(64, 64), (24, 41), (768, 96), (576, 1024), (1, 5), (300, 2)] {
            let a = noise(512, inner, 1);
            let b = noise(inner, columns, 2);
            let mut all = Array2::zeros((512, columns));
            matmul(a.view(), b.view(), all.view_mut(), Write::Replace);
            for rows in (1..=16).chain([63, 64, 100, 129]) {
                let mut some = Array2::zeros((rows, columns));
                matmul(
                    a.slice(s![..rows, ..]),
                    b.view(),
                    some.view_mut(),
                    Write::Replace,
                );
                assert_eq!(
                    some,
                    all.slice(s![..rows, ..]),
                    "{rows} rows, inner {inner}, columns {columns}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_f64_for_any_strides(rows in 0usize..40, inner in 0usize..70, columns in 0usize..50, flip_b: bool, add: bool, seed: u64) {
            let a = noise(rows, inner, seed) ;
            let b = if flip_b { noise(columns, inner, seed ^ 7).reversed_axes() } else { noise(inner, columns, seed ^ 7) };
            let start = noise(rows, columns, seed ^ 99);
            let mut out = start.clone();
            matmul(a.view(), b.view(), out.view_mut(), if add { Write::Add } else { Write::Replace });
            let expected = reference(a.view(), b.view()) + if add { start.mapv(f64::from) } else { Array2::zeros((rows, columns)) };
            for (got, expected) in out.iter().zip(&expected) {
                prop_assert!((f64::from(*got) - expected).abs() <= 1e-6 * (1.0 + inner as f64), "{got} against {expected}");
            }
        }
    }
}
