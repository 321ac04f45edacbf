//! Quantities of next-token distributions, from whole rows of logits.
//!
//! A row `[vocab]` of logits z stands for the distribution p_v = exp(z_v − ℓ) with ℓ = ln Σ_v exp z_v.
//! These functions take rows of `f32` or `f64`, compute in `f64`, and read each row several times: they are the reference for
//! faster code. Nothing is clamped: rounding may leave a divergence or an entropy slightly below zero.
//!
//! A logit of −∞ is a token of probability 0, and a term 0·ln 0 counts as 0.
//!
//! ```
//! use layerwise_metrics::divergence::{entropy_bits, kl_nats, loss_nats};
//! use ndarray::array;
//!
//! let even = array![5.0_f32, 5.0, 5.0, 5.0]; // only differences of logits count
//! assert!((entropy_bits(even.view())? - 2.0).abs() < 1e-12); // bits
//! assert!((loss_nats(even.view(), 3)? - 4_f64.ln()).abs() < 1e-12); // nats
//! let other = array![5.0_f32, 5.0, 5.0, 9.0];
//! assert!(kl_nats(even.view(), other.view())? > kl_nats(other.view(), even.view())?);
//! # Ok::<(), layerwise_metrics::MetricsError>(())
//! ```
//!
//! # Errors
//!
//! Every function refuses an empty row, NaN, +∞, and a row of nothing but −∞.
//! A divergence or a loss that would be infinite is an error as well.

use ndarray::ArrayView1;
use std::f64::consts::LN_2;

use crate::MetricsError;

/// ln Σ_v exp z_v of a row `[vocab]` of logits, in nats.
///
/// # Errors
///
/// See [the module](self#errors).
pub fn log_sum_exp(logits: ArrayView1<'_, impl Copy + Into<f64>>) -> Result<f64, MetricsError> {
    let maximum: f64 = logits[argmax(logits)?].into();
    let sum: f64 = logits.iter().map(|&z| (z.into() - maximum).exp()).sum();
    Ok(maximum + sum.ln())
}

/// Entropy −Σ_v p_v log₂ p_v of the distribution of a row `[vocab]` of logits, in bits.
///
/// # Errors
///
/// See [the module](self#errors).
pub fn entropy_bits(logits: ArrayView1<'_, impl Copy + Into<f64>>) -> Result<f64, MetricsError> {
    let log_sum_exp = log_sum_exp(logits)?;
    let log_probabilities = logits.iter().map(|&z| z.into() - log_sum_exp);
    let terms = log_probabilities.map(|log_p| match log_p.exp() {
        0.0 => 0.0,
        p => p * log_p,
    });
    Ok(-terms.sum::<f64>() / LN_2)
}

/// Kullback–Leibler divergence KL(p ‖ q) = Σ_v p_v (ln p_v − ln q_v) between the distributions of two rows
/// `[vocab]` of logits, in nats.
///
/// # Errors
///
/// See [the module](self#errors). The rows must have the same length, and every token with weight in p must have weight in q.
pub fn kl_nats(
    p_logits: ArrayView1<'_, impl Copy + Into<f64>>,
    q_logits: ArrayView1<'_, impl Copy + Into<f64>>,
) -> Result<f64, MetricsError> {
    if p_logits.len() != q_logits.len() {
        return Err(MetricsError::RowLengths {
            expected: p_logits.len(),
            found: q_logits.len(),
        });
    }
    let (p_log_sum_exp, q_log_sum_exp) = (log_sum_exp(p_logits)?, log_sum_exp(q_logits)?);
    let mut divergence = 0.0;
    for (token, (&p_logit, &q_logit)) in p_logits.iter().zip(&q_logits).enumerate() {
        let log_p = p_logit.into() - p_log_sum_exp;
        let log_q = q_logit.into() - q_log_sum_exp;
        let probability = log_p.exp();
        if probability == 0.0 {
            continue;
        }
        if log_q == f64::NEG_INFINITY {
            return Err(MetricsError::InfiniteDivergence { token, probability });
        }
        divergence += probability * (log_p - log_q);
    }
    Ok(divergence)
}

/// Loss −ln p_target of predicting the token `target` from a row `[vocab]` of logits, in nats.
///
/// # Errors
///
/// See [the module](self#errors). The target must be in the vocabulary and have weight.
pub fn loss_nats(
    logits: ArrayView1<'_, impl Copy + Into<f64>>,
    target: usize,
) -> Result<f64, MetricsError> {
    let log_sum_exp = log_sum_exp(logits)?;
    let Some(&logit) = logits.get(target) else {
        return Err(MetricsError::TargetOutOfRange {
            target,
            vocab: logits.len(),
        });
    };
    let loss = log_sum_exp - logit.into();
    if loss == f64::INFINITY {
        return Err(MetricsError::InfiniteLoss { target });
    }
    Ok(loss)
}

/// Token id of the largest logit of a row `[vocab]`; among equals, the lowest id.
///
/// # Errors
///
/// See [the module](self#errors).
pub fn argmax(logits: ArrayView1<'_, impl Copy + Into<f64>>) -> Result<usize, MetricsError> {
    if logits.is_empty() {
        return Err(MetricsError::EmptyRow);
    }
    let (mut best, mut maximum) = (0, f64::NEG_INFINITY);
    for (token, &logit) in logits.iter().enumerate() {
        let logit = logit.into();
        if logit.is_nan() || logit == f64::INFINITY {
            return Err(MetricsError::InvalidLogit {
                token,
                found: logit,
            });
        }
        if logit > maximum {
            (best, maximum) = (token, logit);
        }
    }
    if maximum == f64::NEG_INFINITY {
        return Err(MetricsError::NoFiniteLogit {
            vocab: logits.len(),
        });
    }
    Ok(best)
}
