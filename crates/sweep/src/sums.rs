//! Sums over the positions of one sequence, and the statistics of a corpus.

use crate::error::SweepError;
use layerwise_metrics::{ClusteredMean, ClusteredRatio, MetricsError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::f64::consts::LN_2;
use std::fmt;
use std::str::FromStr;

/// The statistics of a schedule, named as the table's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// KL(plain ‖ altered), nats.
    KlNats,
    /// Fraction of positions at which the altered and the plain model have the same arg-max token.
    Top1Agreement,
    /// Share of the plain model's five most probable tokens that are among the altered model's.
    Top5Overlap,
    /// Entropy of the altered output, bits.
    EntropyBits,
    /// Loss of predicting the next token, nats.
    LossNats,
    /// KL(altered ‖ plain), nats.
    ReverseKlNats,
    /// The Jensen–Shannon divergence of the two outputs, nats.
    JsNats,
    /// One over the rank of the next token.
    ReciprocalRank,
}

impl Statistic {
    /// The statistics of every sweep.
    pub const ALL: &'static [Self] = &[
        Self::KlNats,
        Self::Top1Agreement,
        Self::Top5Overlap,
        Self::EntropyBits,
        Self::LossNats,
    ];

    /// The statistics that [`Divergence::both_ways`](crate::Divergence::both_ways) adds.
    pub const BOTH_WAYS: &'static [Self] =
        &[Self::ReverseKlNats, Self::JsNats, Self::ReciprocalRank];
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KlNats => "kl_nats",
            Self::Top1Agreement => "top1_agreement",
            Self::Top5Overlap => "top5_overlap",
            Self::EntropyBits => "entropy_bits",
            Self::LossNats => "loss_nats",
            Self::ReverseKlNats => "reverse_kl_nats",
            Self::JsNats => "js_nats",
            Self::ReciprocalRank => "reciprocal_rank",
        })
    }
}

impl FromStr for Statistic {
    type Err = SweepError;

    fn from_str(text: &str) -> Result<Self, SweepError> {
        let mut all = Self::ALL.iter().copied();
        all.find(|statistic| statistic.to_string() == text)
            .ok_or_else(|| SweepError::Statistic {
                found: text.to_owned(),
                expected: "kl_nats, top1_agreement, top5_overlap, entropy_bits or loss_nats"
                    .to_owned(),
            })
    }
}

/// The sums of one schedule over the positions of one sequence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// Positions 1..=T−1.
    pub positions: u64,
    /// Σ KL(plain ‖ altered), nats.
    pub kl_nats: f64,
    /// The number of positions with the plain model's arg-max token.
    pub top1_agreements: u64,
    /// Σ of the share of the plain model's five most probable tokens that are among the altered model's.
    pub top5_overlap: f64,
    /// Σ entropy of the altered output, bits.
    pub entropy_bits: f64,
    /// Positions 1..=T−2.
    pub loss_positions: u64,
    /// Σ loss of predicting the next token, nats.
    pub loss_nats: f64,
    /// How often each token is the most probable one, at positions 1..=T−1; `None` unless
    /// [`Divergence::counting`](crate::Divergence::counting) was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted: Option<BTreeMap<u32, u64>>,
    /// Entropy of the mean of the output distributions at positions 1, 5, 9, … up to T−1, bits: one number for the sequence, not a
    /// sum; `None` where `predicted` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_4th_mean_prediction_entropy_bits: Option<f64>,
    /// Bytes of the tokens that positions 1..=T−2 predict; `None` unless
    /// [`Divergence::with_bytes`](crate::Divergence::with_bytes) was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_bytes: Option<u64>,
    /// `None` unless [`Divergence::both_ways`](crate::Divergence::both_ways) was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub both_ways: Option<BothWays>,
}

/// Statistics that take a second pass over the vocabulary, as sums over the positions of one sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BothWays {
    /// Σ KL(altered ‖ plain), nats, over positions 1..=T−1.
    pub reverse_kl_nats: f64,
    /// Σ of the Jensen–Shannon divergence, nats, over positions 1..=T−1.
    pub js_nats: f64,
    /// Σ of one over the rank of the next token, over positions 1..=T−2.
    pub reciprocal_rank: f64,
}

impl Sums {
    /// A statistic's sum over its positions, in its unit, and the number of these positions.
    pub fn observations(&self, statistic: Statistic) -> (f64, u64) {
        match statistic {
            Statistic::KlNats => (self.kl_nats, self.positions),
            Statistic::Top1Agreement => (self.top1_agreements as f64, self.positions),
            Statistic::Top5Overlap => (self.top5_overlap, self.positions),
            Statistic::EntropyBits => (self.entropy_bits, self.positions),
            Statistic::LossNats => (self.loss_nats, self.loss_positions),
            Statistic::ReverseKlNats => {
                self.of_both_ways(|own| own.reverse_kl_nats, self.positions)
            }
            Statistic::JsNats => self.of_both_ways(|own| own.js_nats, self.positions),
            Statistic::ReciprocalRank => {
                self.of_both_ways(|own| own.reciprocal_rank, self.loss_positions)
            }
        }
    }

    fn of_both_ways(&self, sum: impl Fn(&BothWays) -> f64, positions: u64) -> (f64, u64) {
        let both_ways = self.both_ways.as_ref();
        both_ways.map_or((0.0, 0), |own| (sum(own), positions))
    }
}

/// The statistics of one schedule on a corpus: means over positions, with standard errors clustered by sequence.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// KL(plain ‖ altered), nats.
    pub kl_nats: ClusteredMean,
    /// Fraction of positions at which the altered and the plain model have the same arg-max token.
    pub top1_agreement: ClusteredMean,
    /// Share of the plain model's five most probable tokens that are among the altered model's.
    pub top5_overlap: ClusteredMean,
    /// Entropy of the altered output, bits.
    pub entropy_bits: ClusteredMean,
    /// Loss of predicting the next token, nats.
    pub loss_nats: ClusteredMean,
    /// Loss of predicting the next token in bits per byte of text, comparable across tokenizers. It has no ratio if the bytes of
    /// tokens are not known.
    pub bits_per_byte: ClusteredRatio,
    /// KL(altered ‖ plain), nats; over no positions unless it was measured.
    pub reverse_kl_nats: ClusteredMean,
    /// The Jensen–Shannon divergence of the two outputs, nats; over no positions unless it was measured.
    pub js_nats: ClusteredMean,
    /// One over the rank of the next token; over no positions unless it was measured.
    pub reciprocal_rank: ClusteredMean,
}

impl Statistics {
    /// The mean of a statistic.
    pub fn mean_of(&self, statistic: Statistic) -> &ClusteredMean {
        match statistic {
            Statistic::KlNats => &self.kl_nats,
            Statistic::Top1Agreement => &self.top1_agreement,
            Statistic::Top5Overlap => &self.top5_overlap,
            Statistic::EntropyBits => &self.entropy_bits,
            Statistic::LossNats => &self.loss_nats,
            Statistic::ReverseKlNats => &self.reverse_kl_nats,
            Statistic::JsNats => &self.js_nats,
            Statistic::ReciprocalRank => &self.reciprocal_rank,
        }
    }

    /// The means of the differences from another schedule over the same sequences, each with the error of the difference.
    pub(crate) fn difference(&self, other: &Self) -> Result<Self, MetricsError> {
        let mean = |statistic| self.mean_of(statistic).difference(other.mean_of(statistic));
        let mut bits_per_byte = ClusteredRatio::new();
        let ratios = self.bits_per_byte.each().iter();
        for ((bits, bytes), (others, _)) in ratios.zip(other.bits_per_byte.each()) {
            bits_per_byte.push(bits - others, *bytes);
        }
        Ok(Self {
            kl_nats: mean(Statistic::KlNats)?,
            top1_agreement: mean(Statistic::Top1Agreement)?,
            top5_overlap: mean(Statistic::Top5Overlap)?,
            entropy_bits: mean(Statistic::EntropyBits)?,
            loss_nats: mean(Statistic::LossNats)?,
            bits_per_byte,
            reverse_kl_nats: mean(Statistic::ReverseKlNats)?,
            js_nats: mean(Statistic::JsNats)?,
            reciprocal_rank: mean(Statistic::ReciprocalRank)?,
        })
    }
}

/// Combines the sums of sequences into one [`Statistics`] for each schedule.
///
/// `sequences` holds, in corpus order, the sums of every schedule.
///
/// # Panics
/// If a sequence does not have one sum for each schedule.
pub fn collect<'a>(
    schedules: usize,
    sequences: impl IntoIterator<Item = &'a [Sums]>,
) -> Vec<Statistics> {
    let mut statistics = vec![Statistics::default(); schedules];
    for sums in sequences {
        assert_eq!(sums.len(), schedules, "one sum for each schedule");
        for (statistics, sums) in statistics.iter_mut().zip(sums) {
            let means = [
                (&mut statistics.kl_nats, Statistic::KlNats),
                (&mut statistics.top1_agreement, Statistic::Top1Agreement),
                (&mut statistics.top5_overlap, Statistic::Top5Overlap),
                (&mut statistics.entropy_bits, Statistic::EntropyBits),
                (&mut statistics.loss_nats, Statistic::LossNats),
                (&mut statistics.reverse_kl_nats, Statistic::ReverseKlNats),
                (&mut statistics.js_nats, Statistic::JsNats),
                (&mut statistics.reciprocal_rank, Statistic::ReciprocalRank),
            ];
            for (mean, statistic) in means {
                let (sum, count) = sums.observations(statistic);
                mean.push(sum, count);
            }
            if let Some(bytes) = sums.loss_bytes {
                let bits = sums.loss_nats / LN_2;
                statistics.bits_per_byte.push(bits, bytes as f64);
            }
        }
    }
    statistics
}
