//! Logistic regression and standardised features.

use crate::reference::{matrix, numbers, part};
use layerwise_metrics::{
    LogisticFit, MetricsError, Standardizer, logistic_regression, logistic_regression_while,
    threshold,
};
use ndarray::{Array1, Array2, ArrayView2, array};
use proptest::prelude::*;

fn accuracy(fit: &LogisticFit, x: ArrayView2<'_, f64>, labels: &[bool]) -> f64 {
    let log_odds = fit.log_odds(x).unwrap();
    let samples: Vec<_> = log_odds.into_iter().zip(labels.iter().copied()).collect();
    threshold::accuracy(&samples, 0.0).unwrap().mean().unwrap()
}

/// The norm of the gradient (w, 0) + C·Σ(p − y)·(x, 1), computed directly.
fn gradient_norm(fit: &LogisticFit, x: ArrayView2<'_, f64>, labels: &[bool], c: f64) -> f64 {
    let log_odds = fit.log_odds(x).unwrap();
    let labels = Array1::from_iter(labels.iter().map(|&label| f64::from(label)));
    let surprises = (log_odds.mapv(|z| 1.0 / (1.0 + (-z).exp())) - labels) * c;
    let weights = &fit.coefficients + &x.t().dot(&surprises);
    weights.dot(&weights).sqrt().hypot(surprises.sum())
}

#[test]
fn fits_are_those_of_scikit_learn() {
    for case in part("logistic").as_array().unwrap() {
        let (name, x) = (&case["name"], matrix(&case["x"]));
        let labels = case["labels"].as_array().unwrap().iter();
        let labels: Vec<bool> = labels.map(|label| label.as_bool().unwrap()).collect();
        let fit = logistic_regression(x.view(), &labels, case["c"].as_f64().unwrap()).unwrap();
        let expected = numbers(&case["coefficients"]);
        assert_eq!(fit.coefficients.len(), expected.len(), "{name}");
        let close = |found: f64, expected: f64| {
            let difference = (found - expected).abs();
            assert!(
                difference <= 1e-5 * expected.abs().max(1.0),
                "{name}: {found}, expected {expected}"
            );
        };
        for (&found, expected) in fit.coefficients.iter().zip(expected) {
            close(found, expected);
        }
        close(fit.intercept, case["intercept"].as_f64().unwrap());
        close(
            accuracy(&fit, x.view(), &labels),
            case["accuracy"].as_f64().unwrap(),
        );
    }
}

#[test]
fn known_fits() {
    // By symmetry the intercept is 0, and w solves w = 2C·x·p(−w·x) for the samples ±x.
    let (x, labels) = (array![[1.0], [-1.0]], [true, false]);
    let fit = logistic_regression(x.view(), &labels, 1.0).unwrap();
    let given_up = logistic_regression_while(x.view(), &labels, 1.0, &|| false);
    assert!(matches!(given_up, Err(MetricsError::GivenUp)));
    let w = fit.coefficients[0];
    assert!((w - 2.0 / (1.0 + w.exp())).abs() <= 1e-6, "{w}");
    assert!(fit.intercept.abs() <= 1e-6);
    // Features without information leave the log-odds of the class frequencies.
    let x = Array2::from_elem((4, 2), 0.3);
    let fit = logistic_regression(x.view(), &[true, true, false, true], 1.0).unwrap();
    assert_eq!(fit.coefficients, array![0.0, 0.0]);
    assert!((fit.intercept - 3.0_f64.ln()).abs() <= 1e-6);
}

#[test]
fn correlated_features_beyond_the_samples_converge() {
    // Features share three directions of very different sizes, as hidden states do.
    let wave =
        |row: usize, column: usize| ((1 + 7 * row + 13 * column + row * column) as f64).sin();
    let hidden = Array2::from_shape_fn((40, 3), |(row, column)| {
        wave(row, column) * 30.0_f64.powi(column as i32)
    });
    let maps = Array2::from_shape_fn((3, 150), |(row, column)| wave(column, row + 5));
    let x = hidden.dot(&maps)
        + Array2::from_shape_fn((40, 150), |(row, column)| wave(row, column + 50));
    let labels: Vec<bool> = (0..40)
        .map(|row| wave(row, 0) + wave(row, 9) > 0.0)
        .collect();
    for c in [1e-4, 1.0, 1e4] {
        let fit = logistic_regression(x.view(), &labels, c).unwrap();
        let norm = gradient_norm(&fit, x.view(), &labels, c);
        assert!(norm <= 1e-4 * c.max(1.0), "C = {c}: {norm:e}");
    }
}

#[test]
fn bad_samples_are_refused() {
    let x = array![[0.0], [1.0], [2.0]];
    let labels = [false, true, true];
    let check = |x: &Array2<f64>, labels: &[bool], c: f64, expected: &str| {
        let error = logistic_regression(x.view(), labels, c)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error:?} lacks {expected:?}");
    };
    check(
        &x,
        &[true; 3],
        1.0,
        "all 3 samples have the label true; both labels must occur",
    );
    check(
        &x,
        &[false; 3],
        1.0,
        "all 3 samples have the label false; both labels must occur",
    );
    check(
        &x,
        &labels[..2],
        1.0,
        "there are 2 labels for 3 samples; each sample needs one",
    );
    check(&x, &[], 1.0, "there are 0 labels for 3 samples");
    check(&Array2::zeros((0, 1)), &[], 1.0, "at least one row");
    check(
        &Array2::zeros((3, 0)),
        &labels,
        1.0,
        "matrix x is 3 x 0; it must have at least one row and one column",
    );
    for odd in [f64::NAN, f64::INFINITY] {
        check(
            &array![[0.0], [odd], [2.0]],
            &labels,
            1.0,
            "in row 1, column 0; all entries must be finite",
        );
    }
    for c in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        check(&x, &labels, c, "inverse penalty C");
    }
    check(
        &(&x * 1e300),
        &labels,
        1.0,
        "did not converge: the norm of its gradient is",
    );

    let fit = logistic_regression(x.view(), &labels, 1.0).unwrap();
    let error = fit.log_odds(Array2::zeros((3, 2)).view()).unwrap_err();
    assert!(
        matches!(error, MetricsError::Shape { columns: 2, .. }),
        "{error}"
    );
}

#[test]
fn standardised_features_are_those_of_scikit_learn() {
    let part = part("standardizer");
    let standardizer = Standardizer::fit(matrix(&part["x"]).view()).unwrap();
    let check = |x: &str, expected: &str| {
        let found = standardizer.apply(matrix(&part[x]).view()).unwrap();
        let difference = &found - &matrix(&part[expected]);
        assert!(difference.iter().all(|d| d.abs() <= 1e-13), "{x}: {found}");
    };
    check("x", "standardized");
    check("other", "other_standardized");
}

#[test]
fn bad_features_are_refused() {
    let x = array![[0.0_f32, 1.0], [1.0, f32::NAN]];
    let check = |found: Result<(), MetricsError>, expected: &str| {
        let error = found.unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} lacks {expected:?}");
    };
    let standardizer = Standardizer::fit(x.slice(ndarray::s![..1, ..])).unwrap();
    check(Standardizer::fit(x.view()).map(drop), "row 1, column 1");
    check(
        Standardizer::fit(Array2::<f32>::zeros((0, 2)).view()).map(drop),
        "at least one row",
    );
    check(standardizer.apply(x.view()).map(drop), "row 1, column 1");
    check(
        standardizer.apply(array![[1.0]].view()).map(drop),
        "matrix x is 1 x 1; it must have 2 columns",
    );
}

/// Samples with labels of both classes.
fn samples() -> impl Strategy<Value = (Array2<f64>, Vec<bool>)> {
    (2..12_usize, 1..8_usize).prop_flat_map(|(samples, features)| {
        let x = prop::collection::vec(-3.0..3.0, samples * features);
        let labels = prop::collection::vec(any::<bool>(), samples);
        (x, labels).prop_map(move |(x, mut labels)| {
            (labels[0], labels[1]) = (true, false);
            (
                Array2::from_shape_vec((samples, features), x).unwrap(),
                labels,
            )
        })
    })
}

proptest! {
    #[test]
    fn the_gradient_vanishes((x, labels) in samples(), exponent in -4..5) {
        let c = 10.0_f64.powi(exponent);
        let fit = logistic_regression(x.view(), &labels, c).unwrap();
        prop_assert!(gradient_norm(&fit, x.view(), &labels, c) <= 1e-5);
    }

    #[test]
    fn shifts_leave_the_coefficients_and_exchanged_labels_turn_them(
        (x, labels) in samples(),
        shift in -50.0..50.0_f64,
    ) {
        let fit = logistic_regression(x.view(), &labels, 1.0).unwrap();
        let exchanged: Vec<bool> = labels.iter().map(|label| !label).collect();
        let other = logistic_regression((&x + shift).view(), &exchanged, 1.0).unwrap();
        let sum = &fit.coefficients + &other.coefficients;
        prop_assert!(sum.iter().all(|d| d.abs() <= 1e-5), "{sum}");
        let (log_odds, others) = (fit.log_odds(x.view()).unwrap(), other.log_odds((&x + shift).view()).unwrap());
        prop_assert!((log_odds + others).iter().all(|d| d.abs() <= 1e-4));
    }

    #[test]
    fn standardised_features_have_mean_zero_and_variance_one((x, _) in samples()) {
        let standardised = Standardizer::fit(x.view()).unwrap().apply(x.view()).unwrap();
        for column in standardised.columns() {
            let samples = column.len() as f64;
            prop_assert!(column.sum().abs() <= 1e-10);
            prop_assert!((column.dot(&column) / samples - 1.0).abs() <= 1e-10);
        }
    }
}
