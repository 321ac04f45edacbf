//! The distributions that both logit lenses read off every residual stream (paper B.8).

use super::table::Record;
use crate::core::error::{ExperimentError, Place};
use crate::core::lens::Lens;
use crate::core::models::state_depth;
use crate::core::plain::{GoOn, Observation, Observed, Watch};
use crate::core::sample::{TEXT, Units};
use crate::core::subject::Subject;
use crate::core::sum::{Sum, mean};
use crate::core::tables::Tables;
use layerwise_kernels::comparison::Comparison;
use layerwise_kernels::vocabulary::Summary;
use layerwise_metrics::{ClusteredMean, streamed};
use layerwise_transformer::lens::LensState;
use layerwise_transformer::{Address, Model, ModelConfig, Observer, Site};
use ndarray::{ArrayViewD, Ix2, s};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// Sums up the lenses' distributions for the streams of one sequence; the output's stream is last.
///
/// # Errors
/// Logits are not finite, or that of `go_on`.
fn views(model: &Model, states: &[LensState], go_on: GoOn<'_>) -> Result<Views, ExperimentError> {
    let found = model.compare_lenses(states, go_on)?;
    let lens = |lens: &str, streams: &[Vec<Comparison>]| -> Result<Vec<View>, ExperimentError> {
        let view = |(stream, positions): (usize, &Vec<Comparison>)| {
            let view = view(positions, &found.output);
            let sums = [&view.entropy_bits, &view.kl_nats, &view.reverse_kl_nats];
            if !sums.iter().all(|own| own.sum.is_finite()) {
                let fault = ExperimentError::unexpected("finite logits", "others");
                return Err(fault).at(|| format!("the {lens} lens at residual stream {stream}"));
            }
            Ok(view)
        };
        streams.iter().enumerate().map(view).collect()
    };
    Ok(Views {
        standard: lens("standard", &found.standard)?,
        legacy: lens("legacy", &found.legacy)?,
    })
}

/// Sums up a lens's distributions for one stream at all positions, compared with the output.
pub(crate) fn view(positions: &[Comparison], output: &[Summary]) -> View {
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

/// [`Views`] of every residual stream.
pub const VIEWS: Lenses = Lenses;

/// See [`VIEWS`].
pub struct Lenses;

impl Observation for Lenses {
    fn id(&self) -> &'static str {
        "lenses"
    }

    fn begin<'m>(&self, model: &'m Model, _: usize) -> Box<dyn Watch + 'm> {
        Box::new(States {
            model,
            states: Vec::new(),
        })
    }

    fn fits(&self, left: &Value, layers: usize) -> bool {
        let has_all = |views: Views| {
            let mut lenses = Lens::BOTH.into_iter();
            lenses.all(|lens| views.of(lens).len() == layers + 1)
        };
        Views::deserialize(left).is_ok_and(has_all)
    }

    /// The states as the lenses read them.
    fn bytes(&self, config: &ModelConfig, seq: usize) -> usize {
        (config.layers + 1) * seq * (config.model * size_of::<f32>() + size_of::<f64>())
    }

    /// Each lens multiplies each residual stream with the unembedding.
    fn work(&self, config: &ModelConfig, tokens: usize) -> f64 {
        let read = Lens::BOTH.len() * (config.layers + 1) * tokens;
        read as f64 * config.vocab as f64 * config.model as f64
    }
}

/// The residual streams of a sequence so far.
struct States<'m> {
    model: &'m Model,
    states: Vec<LensState>,
}

impl Observer for States<'_> {
    fn wants(&self, address: Address) -> bool {
        matches!(address.site, Site::Embed | Site::ResidPost)
    }

    fn observe(&mut self, _: Address, activation: ArrayViewD<'_, f32>) {
        let stream = activation.into_dimensionality::<Ix2>();
        let stream = stream.expect("residual streams are [seq, model]");
        self.states
            .push(self.model.lens_state(stream.slice(s![1.., ..])));
    }
}

impl Watch for States<'_> {
    fn finish(self: Box<Self>, go_on: GoOn<'_>) -> Result<Value, ExperimentError> {
        Ok(serde_json::to_value(views(
            self.model,
            &self.states,
            go_on,
        )?)?)
    }
}

/// The curve of a lens's entropy by residual stream.
pub fn curve_name(lens: Lens) -> String {
    format!("{} lens entropy_bits", lens.name())
}

/// Records the means over a text.
///
/// # Errors
/// None: the form of sums was checked when they were read.
pub fn record(
    subject: &Subject<'_>,
    observed: &Observed,
    tables: &mut Tables,
) -> Result<(), ExperimentError> {
    let sequences: Vec<Views> = observed.of(&VIEWS)?;
    if sequences.is_empty() {
        return Ok(());
    }
    let layers = subject.model.config().layers;
    for lens in Lens::BOTH {
        for state in 0..=layers {
            let own = sequences.iter().map(|views| &views.of(lens)[state]);
            let (entropy_bits, entropy_bits_se, sums) = mean(own.map(|view| view.entropy_bits));
            tables.push(Units::of(
                subject.name,
                &curve_name(lens),
                TEXT,
                state,
                &sums,
            ));
            tables.push(Record {
                model: subject.name.to_owned(),
                model_type: subject.model_type().to_owned(),
                lens,
                state,
                layers,
                relative_depth: state_depth(state, layers),
                entropy_bits,
                entropy_bits_se,
                entropy_bits_sd: deviation(&sums),
                sequences: observed.sequences(),
                positions: sums.count(),
            });
        }
    }
    Ok(())
}

/// The standard deviation of the sequences' means, all with the same weight; `None` with fewer than two.
fn deviation(sums: &ClusteredMean) -> Option<f64> {
    let means: Vec<f64> = sums
        .clusters()
        .iter()
        .filter(|cluster| cluster.count > 0)
        .map(|cluster| cluster.sum / cluster.count as f64)
        .collect();
    if means.len() < 2 {
        return None;
    }
    let mean = means.iter().sum::<f64>() / means.len() as f64;
    let squares: f64 = means.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (means.len() - 1) as f64).sqrt())
}
