//! How well the second-order approximation predicts the effect of leaving out sublayers on the distributions.
//!
//! With Δz the change of the logits, KL(p ‖ q) = ln E_p exp(Δz) − E_p Δz, which is Var_p(Δz)/2 to second order.

use super::plan::plan;
use crate::core::error::ExperimentError;
use crate::core::subject::Subject;
use layerwise_metrics::{ClusteredMean, MetricsError, distribution, divergence};
use layerwise_sweep::{Failure, Measure, MeasureId, Reached};
use layerwise_transformer::{Batch, Model, ModelConfig};
use ndarray::{Array2, ArrayView1, s};
use serde::{Deserialize, Serialize};

/// The number of last positions of a sequence whose logits are compared.
const POSITIONS: usize = 16;

/// Both numbers for one schedule, over sequences.
pub(super) struct Orders {
    pub(super) kl: ClusteredMean,
    pub(super) half_variance: ClusteredMean,
}

/// Sums over the positions of a sequence.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Sums {
    positions: u64,
    kl: f64,
    half_variance: f64,
}

struct SecondOrder;

/// Logits \[positions, vocab\] of the last positions.
fn last_logits(model: &Model, reached: &Reached<'_, Vec<u32>>) -> Array2<f32> {
    let first = reached.states.nrows().saturating_sub(POSITIONS);
    model.standard_lens(reached.states.slice(s![first.., ..]))
}

/// Half the variance of the difference of two rows of logits, under the first row's distribution.
fn half_variance(
    plain: ArrayView1<'_, f32>,
    altered: ArrayView1<'_, f32>,
) -> Result<f64, MetricsError> {
    let p = distribution::softmax(plain)?;
    let difference = |at: usize| f64::from(altered[at]) - f64::from(plain[at]);
    let mean: f64 = p.iter().enumerate().map(|(at, p)| p * difference(at)).sum();
    let square = |at: usize| (difference(at) - mean) * (difference(at) - mean);
    let variance: f64 = p.iter().enumerate().map(|(at, p)| p * square(at)).sum();
    Ok(variance / 2.0)
}

impl Measure for SecondOrder {
    type Item = Vec<u32>;
    type Observer<'a> = ();
    type Reference = Array2<f32>;
    type Sums = Sums;

    fn id(&self) -> MeasureId {
        MeasureId::new("second-order", 1)
    }

    fn unit(&self) -> &'static str {
        "sequence"
    }

    fn batch(&self, tokens: &Vec<u32>) -> Batch {
        tokens.into()
    }

    fn plain(
        &self,
        reached: &Reached<'_, Vec<u32>>,
        _: Option<()>,
    ) -> Result<(Array2<f32>, Sums), Failure> {
        Ok((last_logits(reached.model, reached), Sums::default()))
    }

    fn altered(
        &self,
        reached: &Reached<'_, Vec<u32>>,
        plain: &Array2<f32>,
    ) -> Result<Sums, Failure> {
        let mut sums = Sums::default();
        let altered = last_logits(reached.model, reached);
        for (plain, altered) in plain.outer_iter().zip(altered.outer_iter()) {
            sums.positions += 1;
            sums.kl += divergence::kl_nats(plain, altered)?;
            sums.half_variance += half_variance(plain, altered)?;
        }
        Ok(sums)
    }

    fn kept_bytes(&self, config: &ModelConfig, seq: usize, _: usize) -> usize {
        seq.min(POSITIONS) * config.vocab * size_of::<f32>()
    }

    fn reading_bytes(&self, config: &ModelConfig, seq: usize) -> usize {
        let rows = seq.min(POSITIONS) * (config.vocab + config.model) * size_of::<f32>();
        rows + 2 * config.vocab * size_of::<f64>()
    }
}

/// Both numbers for every edit, on the last positions of each sequence.
pub(super) fn of(
    subject: &Subject<'_>,
    edits: &[&str],
    sequences: &[Vec<u32>],
) -> Result<Vec<Orders>, ExperimentError> {
    let plan = plan(subject, edits)?;
    let measured = subject.runs.measure(&plan, &SecondOrder, sequences)?;
    let orders = (1..=edits.len()).map(|schedule| {
        let (mut kl, mut half_variance) = (ClusteredMean::new(), ClusteredMean::new());
        for sums in measured.results.iter().map(|schedules| schedules[schedule]) {
            kl.push(sums.kl, sums.positions);
            half_variance.push(sums.half_variance, sums.positions);
        }
        Orders { kl, half_variance }
    });
    Ok(orders.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    /// For small changes of the logits, the second order is exact.
    #[test]
    fn half_the_variance_is_the_divergence_of_small_changes() {
        let plain = array![0.5_f32, -1.0, 2.0, 0.0];
        let of = |scale: f32| {
            let altered = &plain + &(array![1.0_f32, -0.5, 0.25, 2.0] * scale);
            let kl = divergence::kl_nats(plain.view(), altered.view()).unwrap();
            half_variance(plain.view(), altered.view()).unwrap() / kl
        };
        assert!((of(0.01) - 1.0).abs() < 0.01, "{}", of(0.01));
        assert!((of(2.0) - 1.0).abs() > 0.1, "{}", of(2.0));
        // A constant added to all logits changes nothing.
        let shifted = &plain + 1.0;
        assert!(half_variance(plain.view(), shifted.view()).unwrap() < 1e-9);
    }
}
