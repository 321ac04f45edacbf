//! Quantities of next-token distributions, from whole rows and from streamed sums.

use layerwise_metrics::MetricsError::{self, *};
use layerwise_metrics::{divergence, streamed};
use ndarray::{Array1, ArrayView1, array};
use proptest::prelude::*;
use std::f64::consts::LN_2;

const NEG_INFINITY: f64 = f64::NEG_INFINITY;

#[track_caller]
fn assert_close(found: Result<f64, MetricsError>, expected: f64) {
    let found = found.expect("a finite quantity");
    assert!(
        (found - expected).abs() <= 1e-12 * expected.abs().max(1.0),
        "expected {expected}, found {found}"
    );
}

#[test]
fn known_distributions() {
    let check = |logits: &[f64], log_sum_exp: f64, bits: f64, best: usize| {
        let row = ArrayView1::from(logits);
        assert_close(divergence::log_sum_exp(row), log_sum_exp);
        assert_close(divergence::entropy_bits(row), bits);
        assert_close(divergence::kl_nats(row, row), 0.0);
        assert_eq!(divergence::argmax(row), Ok(best));
        assert_close(divergence::loss_nats(row, best), log_sum_exp - logits[best]);
    };
    check(&[0.0], 0.0, 0.0, 0);
    check(&[3.5, 3.5, 3.5, 3.5], 3.5 + 2.0 * LN_2, 2.0, 0);
    // Probabilities 1/2, 1/4, 1/4.
    check(&[-LN_2, 0.0, -LN_2], LN_2, 1.5, 1);
    // A token of probability 0 adds nothing.
    check(&[NEG_INFINITY, 1.0, 1.0], 1.0 + LN_2, 1.0, 1);
    check(&[NEG_INFINITY, -7.0], -7.0, 0.0, 1);
    // Far beyond the range of exp, up and down.
    check(&[1e5, 1e5 - 1e4], 1e5, 0.0, 0);
    check(&[-1e300, 1e300], 1e300, 0.0, 1);
}

#[test]
fn known_divergences() {
    let check = |p: &[f64], q: &[f64], nats: f64| {
        let (p, q) = (ArrayView1::from(p), ArrayView1::from(q));
        assert_close(divergence::kl_nats(p, q), nats);
    };
    let ln3 = 3.0_f64.ln();
    // (1/2, 1/2) against (1/4, 3/4), and the reverse.
    check(&[0.0, 0.0], &[0.0, ln3], (4.0_f64 / 3.0).ln() / 2.0);
    let back = 0.25 * 0.5_f64.ln() + 0.75 * 1.5_f64.ln();
    check(&[0.0, ln3], &[0.0, 0.0], back);
    // Where p is zero, q may have any value.
    check(&[0.0, NEG_INFINITY], &[0.0, 0.0], LN_2);
    check(&[0.0, NEG_INFINITY], &[0.0, NEG_INFINITY], 0.0);
}

#[test]
fn argmax_ties_go_to_the_lowest_id() {
    let check = |row: &[f32], best| assert_eq!(divergence::argmax(ArrayView1::from(row)), Ok(best));
    check(&[1.0, 2.0, 2.0, 0.0], 1);
    check(&[0.0, 0.0], 0);
    check(&[-0.0, 0.0], 0);
    check(&[f32::NEG_INFINITY, f32::MIN, f32::MIN], 1);
}

#[test]
fn strided_rows_are_read_as_they_stand() {
    let logits = array![[0.0_f32, 9.0], [1.0, 9.0], [2.0, 9.0]];
    let column = logits.column(0);
    let copy = column.to_owned();
    assert_eq!(divergence::argmax(column), Ok(2));
    assert_eq!(
        divergence::entropy_bits(column),
        divergence::entropy_bits(copy.view())
    );
}

/// Item 88 of the list of bad inputs, as far as it concerns rows of logits.
#[test]
fn bad_logits_are_refused() {
    type Quantity = fn(ArrayView1<'_, f64>) -> Result<(), MetricsError>;
    let good = array![1.0, 2.0, 3.0];
    let quantities: [(&str, Quantity); 5] = [
        ("log-sum-exp", |row| divergence::log_sum_exp(row).map(drop)),
        ("entropy", |row| divergence::entropy_bits(row).map(drop)),
        ("divergence", |row| divergence::kl_nats(row, row).map(drop)),
        ("loss", |row| divergence::loss_nats(row, 0).map(drop)),
        ("arg-max", |row| divergence::argmax(row).map(drop)),
    ];
    let rows: [(&[f64], MetricsError, &str); 4] = [
        (
            &[],
            EmptyRow,
            "a row of logits is empty; it must have one entry for each token",
        ),
        (
            &[1.0, f64::INFINITY, 2.0],
            InvalidLogit {
                token: 1,
                found: f64::INFINITY,
            },
            "the logit of token 1 is inf; logits must be finite or -inf",
        ),
        (
            &[NEG_INFINITY; 3],
            NoFiniteLogit { vocab: 3 },
            "all 3 logits of a row are -inf; at least one must be finite",
        ),
        (
            &[1.0, 2.0, f64::NAN],
            InvalidLogit {
                token: 2,
                found: f64::NAN,
            },
            "the logit of token 2 is NaN; logits must be finite or -inf",
        ),
    ];
    for (row, expected, message) in rows {
        let row = ArrayView1::from(row);
        for (name, quantity) in quantities {
            let error = quantity(row).expect_err(name);
            // NaN is unequal to itself, so printed values are compared.
            assert_eq!(format!("{error:?}"), format!("{expected:?}"), "{name}");
            assert_eq!(error.to_string(), message, "{name}");
        }
        if row.len() == good.len() {
            let error = divergence::kl_nats(good.view(), row).expect_err("second row");
            assert_eq!(format!("{error:?}"), format!("{expected:?}"));
        }
    }
}

#[test]
fn bad_pairs_and_targets_are_refused() {
    let row = array![0.0, NEG_INFINITY];
    assert_eq!(
        divergence::kl_nats(row.view(), array![1.0].view()),
        Err(RowLengths {
            expected: 2,
            found: 1
        })
    );
    assert_eq!(
        divergence::kl_nats(array![0.0, 0.0].view(), row.view()),
        Err(InfiniteDivergence {
            token: 1,
            probability: 0.5
        })
    );
    assert_eq!(
        divergence::loss_nats(row.view(), 2),
        Err(TargetOutOfRange {
            target: 2,
            vocab: 2
        })
    );
    assert_eq!(
        divergence::loss_nats(row.view(), 1),
        Err(InfiniteLoss { target: 1 })
    );
    // Finite logits whose difference overflows are refused too.
    assert_eq!(
        divergence::loss_nats(array![f64::MAX, f64::MIN].view(), 1),
        Err(InfiniteLoss { target: 1 })
    );
}

/// Two rows of logits of the same length, with a token.
fn rows() -> impl Strategy<Value = (Array1<f32>, Array1<f32>, usize)> {
    (1..40_usize).prop_flat_map(|vocab| {
        let row = || prop::collection::vec(-20.0..20.0_f32, vocab).prop_map(Array1::from);
        (row(), row(), 0..vocab)
    })
}

/// Mean of `values` under the distribution of `logits`.
fn mean_under(logits: &Array1<f32>, values: impl Fn(usize) -> f64) -> f64 {
    let log_sum_exp = divergence::log_sum_exp(logits.view()).expect("finite logits");
    let terms = logits
        .iter()
        .enumerate()
        .map(|(token, &logit)| (f64::from(logit) - log_sum_exp).exp() * values(token));
    terms.sum()
}

proptest! {
    #[test]
    fn streamed_quantities_are_those_of_whole_rows((p, q, target) in rows()) {
        let p_log_sum_exp = divergence::log_sum_exp(p.view()).unwrap();
        let q_log_sum_exp = divergence::log_sum_exp(q.view()).unwrap();

        let mean_logit = mean_under(&q, |token| f64::from(q[token]));
        let found = streamed::entropy_bits(q_log_sum_exp, mean_logit);
        let expected = divergence::entropy_bits(q.view()).unwrap();
        prop_assert!((found - expected).abs() <= 1e-12, "entropy {found}, {expected}");

        let found = streamed::loss_nats(q_log_sum_exp, f64::from(q[target]));
        prop_assert_eq!(found, divergence::loss_nats(q.view(), target).unwrap());

        let mean_change = mean_under(&p, |token| f64::from(q[token]) - f64::from(p[token]));
        let found = streamed::kl_nats(p_log_sum_exp, q_log_sum_exp, mean_change);
        let expected = divergence::kl_nats(p.view(), q.view()).unwrap();
        prop_assert!((found - expected).abs() <= 1e-12, "divergence {found}, {expected}");
    }

    #[test]
    fn bounds_and_shifts_hold((p, q, target) in rows(), shift in -5.0..5.0_f64) {
        let (p, q) = (p.mapv(f64::from), q.mapv(f64::from));
        let shifted = &q + shift;
        let bits = divergence::entropy_bits(q.view()).unwrap();
        prop_assert!((-1e-12..=(q.len() as f64).log2() + 1e-12).contains(&bits));
        let nats = divergence::kl_nats(p.view(), q.view()).unwrap();
        prop_assert!(nats >= -1e-12);

        // A constant added to all logits changes only the log-sum-exp.
        let close = |found: Result<f64, MetricsError>, expected: f64| {
            (found.unwrap() - expected).abs() <= 1e-12
        };
        let log_sum_exp = divergence::log_sum_exp(q.view()).unwrap();
        prop_assert!(close(divergence::log_sum_exp(shifted.view()), log_sum_exp + shift));
        prop_assert!(close(divergence::entropy_bits(shifted.view()), bits));
        prop_assert!(close(divergence::kl_nats(p.view(), shifted.view()), nats));
        let loss = divergence::loss_nats(q.view(), target).unwrap();
        prop_assert!(close(divergence::loss_nats(shifted.view(), target), loss));
    }

    #[test]
    fn entropy_is_the_mean_loss((_, q, _) in rows()) {
        let losses = |token| divergence::loss_nats(q.view(), token).unwrap();
        let bits = divergence::entropy_bits(q.view()).unwrap();
        prop_assert!((mean_under(&q, losses) / LN_2 - bits).abs() <= 1e-12);
    }

    /// `f32` and `f64` rows of the same numbers give the same bits.
    #[test]
    fn precision_of_the_row_does_not_matter((p, q, _) in rows()) {
        let wide = q.mapv(f64::from);
        prop_assert_eq!(divergence::kl_nats(p.view(), q.view()), divergence::kl_nats(p.view(), wide.view()));
        prop_assert_eq!(divergence::argmax(q.view()), divergence::argmax(wide.view()));
    }
}
