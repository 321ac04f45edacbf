//! Quantities of next-token distributions, from the sums of one streamed pass over the vocabulary.
//!
//! A pass that never holds a whole row of logits z can still compute, for each position,
//!
//! - ℓ = ln Σ_v exp z_v, the log-sum-exp,
//! - z̄ = Σ_v q_v z_v, the mean logit under the row's own distribution q_v = exp(z_v − ℓ),
//! - Σ_v p_v (z_{q,v} − z_{p,v}), the mean change of the logits under another row's distribution p.
//!
//! The formulas below turn these into the quantities of [`divergence`](crate::divergence), without clamping.
//! NaN and infinities propagate; a caller checks ℓ and the sums once for all of them.
//!
//! ```
//! use layerwise_metrics::{divergence, streamed};
//! use ndarray::array;
//!
//! let logits = array![0.0_f64, 1.0, 3.0];
//! let log_sum_exp = divergence::log_sum_exp(logits.view())?;
//! let mean_logit: f64 = logits.iter().map(|z| (z - log_sum_exp).exp() * z).sum();
//! let entropy = streamed::entropy_bits(log_sum_exp, mean_logit);
//! assert!((entropy - divergence::entropy_bits(logits.view())?).abs() < 1e-12);
//! # Ok::<(), layerwise_metrics::MetricsError>(())
//! ```

use std::f64::consts::LN_2;

/// Entropy (ℓ − z̄)/ln 2 of a row's distribution, in bits.
pub fn entropy_bits(log_sum_exp: f64, mean_logit: f64) -> f64 {
    (log_sum_exp - mean_logit) / LN_2
}

/// Loss ℓ − z_target of predicting a token, in nats.
pub fn loss_nats(log_sum_exp: f64, target_logit: f64) -> f64 {
    log_sum_exp - target_logit
}

/// Kullback–Leibler divergence KL(p ‖ q) = (ℓ_q − ℓ_p) − Σ_v p_v (z_{q,v} − z_{p,v}), in nats.
///
/// `mean_change` is the sum over the vocabulary: the mean, under p, of q's logits minus p's.
/// Numbers of similar size are subtracted first, so that few digits are lost if p and q are close.
pub fn kl_nats(p_log_sum_exp: f64, q_log_sum_exp: f64, mean_change: f64) -> f64 {
    (q_log_sum_exp - p_log_sum_exp) - mean_change
}
