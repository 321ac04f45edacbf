//! Laws of the factorisations; with the feature `lapack`, that the two implementations agree.

use ndarray::{Array1, Array2, ArrayView2, Axis, array, concatenate};
use proptest::prelude::*;

use super::*;

/// An `[rows, columns]` matrix of small integers: exact, and often rank-deficient.
fn integers(rows: usize, columns: usize) -> impl Strategy<Value = Array2<f64>> {
    prop::collection::vec(-3..=3_i8, rows * columns).prop_map(move |entries| {
        Array2::from_shape_fn((rows, columns), |(row, column)| {
            f64::from(entries[row * columns + column])
        })
    })
}

/// An `[rows, columns]` matrix of real numbers.
fn reals(rows: usize, columns: usize) -> impl Strategy<Value = Array2<f64>> {
    prop::collection::vec(-2.0..2.0, rows * columns).prop_map(move |entries| {
        Array2::from_shape_fn((rows, columns), |(row, column)| {
            entries[row * columns + column]
        })
    })
}

/// A and B with the same number of rows. A has any shape, and rank at most 3 if it is a product.
fn systems() -> impl Strategy<Value = (Array2<f64>, Array2<f64>)> {
    (1..9_usize, 1..9_usize, 1..4_usize).prop_flat_map(|(m, n, r)| {
        let low_rank = (integers(m, r), integers(r, n)).prop_map(|(left, right)| left.dot(&right));
        let a = prop_oneof![reals(m, n), integers(m, n), low_rank];
        (a, reals(m, 2))
    })
}

fn size(a: ArrayView2<'_, f64>) -> f64 {
    a.iter().fold(0.0, |size, entry| size.max(entry.abs()))
}

#[track_caller]
fn assert_close(found: ArrayView2<'_, f64>, expected: ArrayView2<'_, f64>, tolerance: f64) {
    assert_eq!(found.dim(), expected.dim());
    let difference = size((&found - &expected).view());
    assert!(
        difference <= tolerance,
        "differs by {difference:e}\nfound {found:?}\nexpected {expected:?}"
    );
}

/// A fixed matrix without structure.
fn dense(rows: usize, columns: usize) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns), |(row, column)| {
        ((1 + row * 7 + column * 13 + row * column) as f64 * 0.7310).sin()
    })
}

/// AᵀA + I, which is positive definite.
fn positive_definite(a: &Array2<f64>) -> Array2<f64> {
    penalised(a.t().dot(a), 1.0)
}

#[test]
fn least_squares_of_known_systems() {
    let check = |name: &str, a: Array2<f64>, b: Array2<f64>, expected: Array2<f64>| {
        let x = least_squares(a.view(), b.view()).expect(name);
        println!("{name}");
        assert_close(x.view(), expected.view(), 1e-12);
    };
    check("1 x 1", array![[4.0]], array![[2.0]], array![[0.5]]);
    check(
        "zero matrix",
        array![[0.0, 0.0], [0.0, 0.0]],
        array![[1.0], [2.0]],
        array![[0.0], [0.0]],
    );
    check(
        "square, several right-hand sides",
        array![[2.0, 0.0], [1.0, 1.0]],
        array![[2.0, 4.0], [3.0, 1.0]],
        array![[1.0, 2.0], [2.0, -1.0]],
    );
    check(
        "tall: the line through (0, 1), (1, 2), (2, 6)",
        array![[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]],
        array![[1.0], [2.0], [6.0]],
        array![[0.5], [2.5]],
    );
    check(
        "wide: least norm",
        array![[1.0, 1.0]],
        array![[2.0]],
        array![[1.0], [1.0]],
    );
    check(
        "equal columns: least norm",
        array![[1.0, 1.0], [1.0, 1.0], [2.0, 2.0]],
        array![[2.0], [2.0], [4.0]],
        array![[1.0], [1.0]],
    );
}

#[test]
fn symmetric_eigen_of_known_matrices() {
    let half = 0.5_f64.sqrt();
    let (values, vectors) = symmetric_eigen(array![[2.0, 1.0], [1.0, 2.0]].view()).unwrap();
    assert_close(
        values.view().insert_axis(Axis(0)),
        array![[1.0, 3.0]].view(),
        1e-14,
    );
    // Each entry of the first vector has the same size up to rounding: compare it up to sign.
    let signed = &vectors.column(0) * vectors[[0, 0]].signum();
    assert_close(
        signed.view().insert_axis(Axis(0)),
        array![[half, -half]].view(),
        1e-14,
    );
    assert_close(
        vectors.column(1).insert_axis(Axis(0)),
        array![[half, half]].view(),
        1e-14,
    );

    let (values, vectors) = symmetric_eigen(array![[-3.0, 0.0], [0.0, -5.0]].view()).unwrap();
    assert_eq!(values, array![-5.0, -3.0]);
    assert_eq!(vectors, array![[0.0, 1.0], [1.0, 0.0]]);
}

#[test]
fn large_systems_converge() {
    for a in [
        dense(150, 80),
        dense(60, 140),
        dense(120, 3).dot(&dense(3, 90)),
    ] {
        let b = dense(a.nrows(), 2);
        let x = least_squares(a.view(), b.view()).unwrap();
        let normal = a.t().dot(&(a.dot(&x) - &b));
        assert_close(normal.view(), Array2::zeros(normal.dim()).view(), 1e-9);

        let gram = a.t().dot(&a);
        let (values, vectors) = symmetric_eigen(gram.view()).unwrap();
        let rebuilt = (&vectors * &values).dot(&vectors.t());
        assert_close(rebuilt.view(), gram.view(), 1e-10 * size(gram.view()));
    }
}

#[test]
fn ridge_of_known_samples() {
    // One feature: the slope is Σxy/(Σx² + λ) over centred samples, here 4/(2 + λ).
    let (x, y) = (array![[1.0], [2.0], [3.0]], array![[1.0], [3.0], [5.0]]);
    for (penalty, slope) in [(0.0, 2.0), (2.0, 1.0), (6.0, 0.5)] {
        let fit = ridge(x.view(), y.view(), penalty).unwrap();
        assert_close(fit.coefficients.view(), array![[slope]].view(), 1e-14);
        let intercept = 3.0 - 2.0 * slope;
        assert_close(
            fit.intercept.view().insert_axis(Axis(0)),
            array![[intercept]].view(),
            1e-14,
        );
        let predicted = fit.predict(array![[2.0], [4.0]].view()).unwrap();
        assert_close(
            predicted.view(),
            array![[3.0], [3.0 + 2.0 * slope]].view(),
            1e-13,
        );
    }
    // One sample determines nothing but the intercept.
    let fit = ridge(array![[1.0, 2.0]].view(), array![[7.0]].view(), 0.5).unwrap();
    assert_eq!(fit.coefficients, Array2::<f64>::zeros((2, 1)));
    assert_eq!(fit.intercept, array![7.0]);
}

/// Item 88 of the list of bad inputs, as far as it concerns factorisations.
#[test]
fn bad_matrices_are_refused() {
    let check = |name: &str, result: Result<(), MetricsError>, expected: &str| {
        let error = result.expect_err(name).to_string();
        assert_eq!(error, expected, "{name}");
    };
    let one = array![[1.0]];
    let two = array![[1.0, 0.0], [0.0, 1.0]];
    let empty = Array2::<f64>::zeros((0, 3));
    let nan = array![[1.0, 2.0], [f64::NAN, 2.0]];
    let squares = |a: &Array2<f64>, b: &Array2<f64>| least_squares(a.view(), b.view()).map(drop);
    let solve =
        |a: &Array2<f64>, b: &Array2<f64>| solve_positive_definite(a.view(), b.view()).map(drop);
    let eigen = |a: &Array2<f64>| symmetric_eigen(a.view()).map(drop);
    let ridges = |x: &Array2<f64>, y: &Array2<f64>, l| ridge(x.view(), y.view(), l).map(drop);

    let expected = "matrix a is 0 x 3; it must have at least one row and one column";
    check("empty, least squares", squares(&empty, &one), expected);
    check("empty, Cholesky", solve(&empty, &one), expected);
    check("empty, eigen", eigen(&empty), expected);
    let expected = "matrix x is 0 x 3; it must have at least one row and one column";
    check("empty, ridge", ridges(&empty, &one, 1.0), expected);

    let expected = "matrix a has NaN in row 1, column 0; all entries must be finite";
    check("NaN, least squares", squares(&nan, &two), expected);
    check("NaN, Cholesky", solve(&nan, &two), expected);
    check("NaN, eigen", eigen(&nan), expected);
    let expected = "matrix b has NaN in row 1, column 0; all entries must be finite";
    check("NaN, right-hand side", squares(&two, &nan), expected);
    let infinite = array![[f64::INFINITY]];
    let expected = "matrix y has inf in row 0, column 0; all entries must be finite";
    check("infinity, ridge", ridges(&one, &infinite, 1.0), expected);

    let expected = "matrix b is 1 x 1; it must have 2 rows as in a";
    check("rows, least squares", squares(&two, &one), expected);
    check("rows, Cholesky", solve(&two, &one), expected);
    let expected = "matrix y is 1 x 1; it must have 2 rows as in x";
    check("rows, ridge", ridges(&two, &one, 1.0), expected);

    let wide = array![[1.0, 2.0]];
    let expected = "matrix a is 1 x 2; it must have as many rows as columns";
    check("not square", eigen(&wide), expected);
    let skew = array![[1.0, 2.0], [2.5, 1.0]];
    let expected =
        "matrix a is not symmetric: it has 2 in row 0, column 1, and 2.5 in row 1, column 0";
    check("not symmetric", solve(&skew, &two), expected);
    let indefinite = array![[1.0, 2.0], [2.0, 1.0]];
    let expected = "matrix a (2 x 2) is not positive definite";
    check("indefinite", solve(&indefinite, &two), expected);
    let zero = Array2::<f64>::zeros((2, 2));
    check("zero", solve(&zero, &two), expected);

    for (penalty, found) in [(-1.0, "-1"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        let expected = format!("the ridge penalty is {found}; it must be finite and at least 0");
        check("penalty", ridges(&two, &two, penalty), &expected);
    }
    let fit = ridge(two.view(), two.view(), 1.0).unwrap();
    let expected = "matrix x is 1 x 1; it must have 2 columns, one per feature";
    check("prediction", fit.predict(one.view()).map(drop), expected);
}

proptest! {
    #[test]
    fn least_squares_residual_is_orthogonal_and_the_norm_least((a, b) in systems()) {
        let x = least_squares(a.view(), b.view()).unwrap();
        let normal = a.t().dot(&(a.dot(&x) - &b));
        let scale = 1.0 + size(a.view()).powi(2) * (1.0 + size(x.view()));
        assert_close(normal.view(), Array2::zeros(normal.dim()).view(), 1e-10 * scale);

        // The least-norm solution lies in the row space: its part outside, x − Aᵀw, is zero.
        let w = least_squares(a.t(), x.view()).unwrap();
        assert_close(a.t().dot(&w).view(), x.view(), 1e-9 * (1.0 + size(x.view())));
    }

    #[test]
    fn positive_definite_solution_solves((a, b) in systems()) {
        let gram = positive_definite(&a.t().to_owned());
        let x = solve_positive_definite(gram.view(), b.view()).unwrap();
        let scale = size(gram.view()) * size(x.view());
        assert_close(gram.dot(&x).view(), b.view(), 1e-12 + 1e-13 * scale);
    }

    #[test]
    fn eigenvectors_are_orthonormal_and_rebuild_the_matrix((a, _) in systems()) {
        let gram = a.t().dot(&a);
        let (values, vectors) = symmetric_eigen(gram.view()).unwrap();
        prop_assert!(values.iter().zip(values.iter().skip(1)).all(|(low, high)| low <= high));
        let identity = vectors.t().dot(&vectors);
        assert_close(identity.view(), Array2::eye(values.len()).view(), 1e-12);
        let rebuilt = (&vectors * &values).dot(&vectors.t());
        assert_close(rebuilt.view(), gram.view(), 1e-12 * (1.0 + size(gram.view())));
        for vector in vectors.columns() {
            let (low, high) = vector
                .iter()
                .fold((0.0_f64, 0.0_f64), |(low, high), &entry| (low.min(entry), high.max(entry)));
            prop_assert!(high >= -low);
        }
    }

    /// Ridge is least squares with √λ·I as further samples of target 0, on centred samples.
    #[test]
    fn ridge_is_augmented_least_squares((x, y) in systems(), penalty in 0.01..100.0_f64) {
        let fit = ridge(x.view(), y.view(), penalty).unwrap();
        let (x_mean, y_mean) = (column_means(x.view()), column_means(y.view()));
        let further = Array2::eye(x.ncols()) * penalty.sqrt();
        let a = concatenate![Axis(0), &x - &x_mean, further];
        let b = concatenate![Axis(0), &y - &y_mean, Array2::zeros((x.ncols(), y.ncols()))];
        let expected = least_squares(a.view(), b.view()).unwrap();
        let scale = 1.0 + size(x.view()).powi(2) / penalty;
        assert_close(fit.coefficients.view(), expected.view(), 1e-11 * scale);

        // The intercept is free: residuals sum to zero.
        let residuals: Array1<f64> = (fit.predict(x.view()).unwrap() - &y).sum_axis(Axis(0));
        let tolerance = 1e-11 * (1.0 + size(fit.coefficients.view()) * size(x.view()));
        prop_assert!(residuals.iter().all(|sum| sum.abs() <= tolerance), "{residuals}");
    }

    #[test]
    fn ridge_without_penalty_is_least_squares((x, y) in systems()) {
        let fit = ridge(x.view(), y.view(), 0.0).unwrap();
        let x_centred = &x - &column_means(x.view());
        let y_centred = &y - &column_means(y.view());
        let expected = least_squares(x_centred.view(), y_centred.view()).unwrap();
        prop_assert_eq!(fit.coefficients, expected);
    }
}

#[cfg(feature = "lapack")]
proptest! {
    #[test]
    fn implementations_agree((a, b) in systems()) {
        let pure_x = pure::svd(a.view()).unwrap().solve(b.view());
        let lapack_x = lapack::svd(a.view()).unwrap().solve(b.view());
        let scale = 1.0 + size(pure_x.view()).powi(2);
        assert_close(lapack_x.view(), pure_x.view(), 1e-10 * scale);

        let gram = positive_definite(&a.t().to_owned());
        let pure_x = pure::solve_positive_definite(gram.view(), b.view()).unwrap();
        let lapack_x = lapack::solve_positive_definite(gram.view(), b.view()).unwrap();
        assert_close(lapack_x.view(), pure_x.view(), 1e-11);

        let (pure_values, _) = pure::symmetric_eigen(gram.view()).unwrap();
        let (lapack_values, lapack_vectors) = lapack::symmetric_eigen(gram.view()).unwrap();
        let tolerance = 1e-13 * size(gram.view()) * gram.nrows() as f64;
        assert_close(
            lapack_values.view().insert_axis(Axis(0)),
            pure_values.view().insert_axis(Axis(0)),
            tolerance,
        );
        // Eigenvectors of equal eigenvalues are not unique, so each must satisfy A·v = λ·v for the other implementation's λ.
        let image = gram.dot(&lapack_vectors);
        assert_close(image.view(), (&lapack_vectors * &pure_values).view(), 10.0 * tolerance);
    }
}
