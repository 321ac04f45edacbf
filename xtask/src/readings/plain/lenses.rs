//! What both logit lenses say of every residual stream (paper B.8).

use crate::experiments::core::lens::Lens;
use crate::readings::notebook::Sum;
use anyhow::ensure;
use layerwise::kernels::comparison::Comparison;
use layerwise::kernels::vocabulary::Summary;
use layerwise::metrics::streamed;
use layerwise::transformer::Model;
use layerwise::transformer::lens::LensState;
use serde::{Deserialize, Serialize};

/// One lens on one residual stream of one sequence, over positions 1..T−1.
#[derive(Clone, Serialize, Deserialize)]
pub struct View {
    /// Entropy, bits.
    pub entropy_bits: Sum,
    /// KL(output ‖ lens), nats.
    pub kl_nats: Sum,
    /// KL(lens ‖ output), nats.
    pub reverse_kl_nats: Sum,
    /// Whether the most probable token is the output's.
    pub top1_agreement: Sum,
}

/// Both lenses on every residual stream of one sequence.
#[derive(Clone, Serialize, Deserialize)]
pub struct Views {
    /// The standard lens, one for each of the L+1 streams.
    pub standard: Vec<View>,
    /// The legacy lens.
    pub legacy: Vec<View>,
}

impl Views {
    /// A lens by its name.
    pub fn of(&self, lens: Lens) -> &[View] {
        match lens {
            Lens::Standard => &self.standard,
            Lens::Legacy => &self.legacy,
        }
    }
}

/// Sums up what the lenses say of the streams of one sequence, the output's last.
///
/// # Errors
/// Logits that are not finite.
pub fn views(model: &Model, states: &[LensState]) -> anyhow::Result<Views> {
    let found = model.compare_lenses(states);
    let lens = |lens: &str, streams: &[Vec<Comparison>]| -> anyhow::Result<Vec<View>> {
        let view = |(stream, positions): (usize, &Vec<Comparison>)| {
            let view = view(positions, &found.output);
            let sums = [&view.entropy_bits, &view.kl_nats, &view.reverse_kl_nats];
            ensure!(
                sums.iter().all(|own| own.sum.is_finite()),
                "the {lens} lens at residual stream {stream}: expected finite logits, found others"
            );
            Ok(view)
        };
        streams.iter().enumerate().map(view).collect()
    };
    Ok(Views {
        standard: lens("standard", &found.standard)?,
        legacy: lens("legacy", &found.legacy)?,
    })
}

fn view(positions: &[Comparison], output: &[Summary]) -> View {
    let mut sums = [0.0; 4];
    for (comparison, output) in positions.iter().zip(output) {
        let (own, log_sum_exp) = (comparison.summary, comparison.summary.log_sum_exp);
        let values = [
            streamed::entropy_bits(log_sum_exp, own.mean_logit),
            streamed::kl_nats(
                output.log_sum_exp,
                log_sum_exp,
                comparison.change_under_reference,
            ),
            streamed::kl_nats(log_sum_exp, output.log_sum_exp, comparison.change_under_own),
            f64::from(u8::from(own.argmax == output.argmax)),
        ];
        sums.iter_mut()
            .zip(values)
            .for_each(|(sum, value)| *sum += value);
    }
    let count = positions.len() as u64;
    let [entropy_bits, kl_nats, reverse_kl_nats, top1_agreement] =
        sums.map(|sum| Sum { sum, count });
    View {
        entropy_bits,
        kl_nats,
        reverse_kl_nats,
        top1_agreement,
    }
}
