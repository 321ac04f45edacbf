//! Distributions over tokens from a row of logits.

use crate::MetricsError;
use crate::divergence::log_sum_exp;
use ndarray::{Array1, ArrayView1};

/// A token and its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Likely {
    /// The token's id.
    pub token: u32,
    /// Its probability, from 0 to 1.
    pub probability: f64,
}

/// The probabilities of a row of logits \[vocab\], computed in f64.
///
/// ```
/// use layerwise_metrics::distribution::softmax;
/// use ndarray::aview1;
///
/// let probabilities = softmax(aview1(&[0.0, f32::ln(3.0)]))?;
/// assert!((probabilities[1] - 0.75).abs() < 1e-7);
/// # Ok::<(), layerwise_metrics::MetricsError>(())
/// ```
///
/// # Errors
/// As [`divergence`](crate::divergence#errors).
pub fn softmax(logits: ArrayView1<'_, f32>) -> Result<Array1<f64>, MetricsError> {
    let log_sum_exp = log_sum_exp(logits)?;
    Ok(logits.mapv(|logit| (f64::from(logit) - log_sum_exp).exp()))
}

/// The `count` most likely tokens of a row of logits \[vocab\], the most likely first; among equals, the lower id first.
///
/// ```
/// use layerwise_metrics::distribution::top;
/// use ndarray::aview1;
///
/// let likely = top(aview1(&[0.0, 2.0, 1.0, 2.0]), 3)?;
/// let tokens: Vec<u32> = likely.iter().map(|it| it.token).collect();
/// assert_eq!(tokens, [1, 3, 2]);
/// # Ok::<(), layerwise_metrics::MetricsError>(())
/// ```
///
/// # Errors
/// As [`divergence`](crate::divergence#errors).
pub fn top(logits: ArrayView1<'_, f32>, count: usize) -> Result<Vec<Likely>, MetricsError> {
    let probabilities = softmax(logits)?;
    let mut tokens: Vec<u32> = (0..).take(logits.len()).collect();
    let order = |a: &u32, b: &u32| {
        let [x, y] = [a, b].map(|token| logits[*token as usize]);
        y.total_cmp(&x).then(a.cmp(b))
    };
    if count < tokens.len() {
        tokens.select_nth_unstable_by(count, order);
        tokens.truncate(count);
    }
    tokens.sort_unstable_by(order);
    let likely = |token: u32| Likely {
        token,
        probability: probabilities[token as usize],
    };
    Ok(tokens.into_iter().map(likely).collect())
}
