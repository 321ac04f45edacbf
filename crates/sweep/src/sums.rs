//! Sums over the positions of one sequence, and the statistics of a corpus.

use layerwise_metrics::ClusteredMean;
use serde::{Deserialize, Serialize};

/// One schedule on one sequence: sums over its positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// Positions 1..=T−1.
    pub positions: u64,
    /// Σ KL(plain ‖ altered), nats.
    pub kl_nats: f64,
    /// How many positions have the plain model's arg-max token.
    pub top1_agreements: u64,
    /// Σ entropy of the altered output, bits.
    pub entropy_bits: f64,
    /// Positions 1..=T−2.
    pub loss_positions: u64,
    /// Σ loss of predicting the next token, nats.
    pub loss_nats: f64,
}

/// One schedule on a corpus: means over positions, with standard errors clustered by sequence.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// KL(plain ‖ altered), nats.
    pub kl_nats: ClusteredMean,
    /// Fraction of positions whose arg-max token is the plain model's.
    pub top1_agreement: ClusteredMean,
    /// Entropy of the altered output, bits.
    pub entropy_bits: ClusteredMean,
    /// Loss of predicting the next token, nats.
    pub loss_nats: ClusteredMean,
}

/// Puts the sums of sequences together, one [`Statistics`] for each schedule.
///
/// `sequences` holds, in corpus order, the sums of every schedule.
pub fn collect<'a>(
    schedules: usize,
    sequences: impl IntoIterator<Item = &'a [Sums]>,
) -> Vec<Statistics> {
    let mut statistics = vec![Statistics::default(); schedules];
    for sums in sequences {
        assert_eq!(sums.len(), schedules, "one sum for each schedule");
        for (statistics, sums) in statistics.iter_mut().zip(sums) {
            statistics.kl_nats.push(sums.kl_nats, sums.positions);
            statistics
                .top1_agreement
                .push(sums.top1_agreements as f64, sums.positions);
            statistics
                .entropy_bits
                .push(sums.entropy_bits, sums.positions);
            statistics
                .loss_nats
                .push(sums.loss_nats, sums.loss_positions);
        }
    }
    statistics
}
