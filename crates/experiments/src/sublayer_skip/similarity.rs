//! The similarity of a sublayer's output to its input.

use super::variants::Kind;
use crate::core::error::{ExperimentError, Place};
use crate::core::subject::Subject;
use layerwise_metrics::ClusteredMean;
use layerwise_schedule::Schedule;
use layerwise_sweep::{MeasureId, WorkBytes};
use layerwise_transformer::{Address, ModelConfig, Observer, Site, Workspace};
use ndarray::{Array2, ArrayViewD, Ix2};
use serde::{Deserialize, Serialize};

/// Sums over the tokens of a sequence, for each kind of [`Kind::OF_ONE_SORT`] and each block.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Cosines {
    tokens: u64,
    sums: Vec<Vec<f64>>,
}

/// Observes a run, and sums up the cosines between inputs and outputs.
struct Watch {
    before: Option<Array2<f32>>,
    between: Option<Array2<f32>>,
    cosines: Cosines,
}

impl Watch {
    fn new(layers: usize, tokens: usize) -> Self {
        Self {
            before: None,
            between: None,
            cosines: Cosines {
                tokens: tokens as u64,
                sums: vec![vec![0.0; layers]; Kind::OF_ONE_SORT.len()],
            },
        }
    }

    /// Adds the cosines of each row with the sum of itself and an update, or with another state.
    fn add(&mut self, kind: usize, block: usize, input: &Array2<f32>, output: &Array2<f32>) {
        let rows = input.outer_iter().zip(output.outer_iter());
        let cosine = |(a, b): (ndarray::ArrayView1<'_, f32>, ndarray::ArrayView1<'_, f32>)| {
            let sums = a.iter().zip(b).fold([0.0; 3], |[ab, aa, bb], (a, b)| {
                let (a, b) = (f64::from(*a), f64::from(*b));
                [ab + a * b, aa + a * a, bb + b * b]
            });
            let length = (sums[1] * sums[2]).sqrt();
            // A zero vector has no direction to keep.
            if length > 0.0 { sums[0] / length } else { 0.0 }
        };
        self.cosines.sums[kind][block] += rows.map(cosine).sum::<f64>();
    }
}

impl Observer for Watch {
    fn wants(&self, address: Address) -> bool {
        matches!(
            address.site,
            Site::ResidPre | Site::AttnOut | Site::ResidMid | Site::MlpOut | Site::ResidPost
        )
    }

    fn observe(&mut self, address: Address, activation: ArrayViewD<'_, f32>) {
        let (Some(block), Ok(state)) = (address.block, activation.into_dimensionality::<Ix2>())
        else {
            return;
        };
        let state = state.to_owned();
        match address.site {
            Site::ResidPre => {
                self.before = Some(state);
                self.between = None;
            }
            Site::ResidMid => self.between = Some(state),
            site => {
                let middle = self.between.as_ref().filter(|_| site == Site::MlpOut);
                let Some(input) = middle.or(self.before.as_ref()).cloned() else {
                    return;
                };
                match site {
                    Site::AttnOut => self.add(0, block, &input, &(&input + &state)),
                    Site::MlpOut => self.add(1, block, &input, &(&input + &state)),
                    _ => self.add(2, block, &input, &state),
                }
            }
        }
    }
}

/// The memory of a sequence of this many tokens: a run, the observed states of its sublayers, and the sums.
fn bytes(config: &ModelConfig, tokens: usize) -> WorkBytes {
    /// The residual stream, a sublayer's input, its update, and their sum.
    const STREAMS: usize = 6;
    WorkBytes {
        reading: Workspace::most_bytes(config, tokens)
            + STREAMS * tokens * config.model * size_of::<f32>(),
        result: Kind::OF_ONE_SORT.len() * (config.layers * size_of::<f64>() + 32),
    }
}

/// Similarities of the parts that a schedule runs, with their standard errors over sequences: for each kind of
/// [`Kind::OF_ONE_SORT`], for each block.
pub(super) struct Similarities(Vec<Vec<ClusteredMean>>);

impl Similarities {
    /// Runs a schedule on some sequences; every share of a run runs it on all of them.
    ///
    /// # Errors
    /// A sequence does not fit the model, a journal cannot be used, or the user interrupts.
    pub(super) fn of(
        subject: &Subject<'_>,
        sequences: &[&Vec<u32>],
        schedule: &Schedule,
    ) -> Result<Self, ExperimentError> {
        let layers = subject.model.config().layers;
        let id = MeasureId::new("sublayer-similarity", 1).with_settings(schedule.to_string());
        let kinds = Kind::OF_ONE_SORT.len();
        let fits = |found: &Cosines| {
            found.sums.len() == kinds && found.sums.iter().all(|sums| sums.len() == layers)
        };
        let longest = sequences.iter().map(|tokens| tokens.len()).max();
        let bytes = bytes(subject.model.config(), longest.unwrap_or(0));
        let found = subject.runs.of_all_items().kept(
            id,
            sequences,
            bytes,
            |tokens| tokens.to_vec(),
            fits,
            |index, tokens| {
                let mut watch = Watch::new(layers, tokens.len());
                let states = subject.model.run(tokens.as_slice(), schedule, &mut watch)?;
                if states.iter().any(|value| !value.is_finite()) {
                    let error =
                        ExperimentError::unexpected("finite activations", "NaN or infinity");
                    return Err(error).at(|| format!("sequence {index} under {schedule}"));
                }
                Ok(watch.cosines)
            },
        )?;
        let mut means = vec![vec![ClusteredMean::new(); layers]; kinds];
        for cosines in found.iter() {
            for (means, sums) in means.iter_mut().zip(&cosines.sums) {
                for (mean, sum) in means.iter_mut().zip(sums) {
                    mean.push(*sum, cosines.tokens);
                }
            }
        }
        Ok(Self(means))
    }

    /// The similarities of a kind, by block.
    pub(super) fn of_kind(&self, kind: usize) -> &[ClusteredMean] {
        &self.0[kind]
    }

    /// The blocks by the similarity of a kind of part, most similar first, of equal ones the earlier first.
    pub(super) fn ranked(&self, kind: usize) -> Vec<(usize, f64)> {
        let means = self.0[kind].iter().enumerate();
        let mut ranked: Vec<(usize, f64)> = means
            .map(|(block, mean)| (block, mean.mean().unwrap_or(f64::NEG_INFINITY)))
            .collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn cosines_are_summed_over_tokens() {
        let mut watch = Watch::new(2, 2);
        let input = array![[1.0_f32, 0.0], [0.0, 2.0]];
        watch.add(1, 1, &input, &array![[1.0_f32, 1.0], [0.0, -1.0]]);
        let expected = 0.5_f64.sqrt() - 1.0;
        assert!((watch.cosines.sums[1][1] - expected).abs() < 1e-12);
        assert_eq!(watch.cosines.sums[1][0], 0.0);
        let zero = array![[0.0_f32, 0.0]];
        watch.add(0, 0, &zero, &zero);
        assert_eq!(watch.cosines.sums[0][0], 0.0);
    }
}
