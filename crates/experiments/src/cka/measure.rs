//! Similarity of the blocks' residual streams, with both estimators of B.7.

use super::table::{Estimator, Record};
use crate::core::error::{ExperimentError, Place};
use crate::core::floats::Floats;
use crate::core::plain::{GoOn, Observation, Observed, Watch};
use crate::core::sample::Units;
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_metrics::{Cka, ClusteredMean, MetricsError};
use layerwise_transformer::{Address, Model, ModelConfig, Observer, Site};
use ndarray::{Array2, ArrayView2, ArrayViewD, Ix2, s};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Sequences in one batch of last positions, if there are that many.
const BATCH: usize = 128;

/// The fewest vectors of a batch: the estimator divides by their number minus 3.
const FEWEST: usize = 4;

/// Positions of a sequence that the all-tokens estimator uses, to limit time and memory: 1 to 512.
const POSITIONS: usize = 512;

/// Sequences that it uses: the first ones.
const SEQUENCES: usize = 32;

/// The streams of one sequence after each block.
struct Streams {
    /// Positions 1…; the last is always present, the others only if all of them are compared.
    blocks: Vec<Array2<f32>>,
    all: bool,
}

/// The contribution of one sequence to the similarities.
#[derive(Clone, Serialize, Deserialize)]
struct Vectors {
    /// The last position after each block, \[layers, model\] row by row.
    last: Floats,
    /// The positions of this sequence as a batch.
    all: Option<Batch>,
}

/// The positions of a sequence as a batch.
#[derive(Clone, Serialize, Deserialize)]
struct Batch {
    /// The number of vectors.
    samples: usize,
    /// The terms of their alignment, exact to the bit.
    terms: Vec<u64>,
}

impl Vectors {
    /// Whether it belongs to a model with this number of blocks.
    fn fits(&self, layers: usize) -> bool {
        let Floats(last) = &self.last;
        let all = self.all.as_ref();
        !last.is_empty()
            && last.len().is_multiple_of(layers)
            && all.is_none_or(|batch| batch.terms.len() == Cka::terms_of(layers))
    }

    /// The last position after one of so many blocks.
    fn after(&self, layer: usize, layers: usize) -> &[f32] {
        let Floats(last) = &self.last;
        let width = last.len() / layers;
        &last[layer * width..][..width]
    }
}

/// The similarity of each pair of blocks by one estimator.
struct Similarity {
    /// The estimator.
    estimator: Estimator,
    /// CKA, \[layers, layers\].
    cka: Array2<f64>,
    /// The alignment of each batch.
    each: Vec<Cka>,
    /// Batches.
    batches: u64,
    /// Vectors in the smallest batch.
    samples: u64,
}

impl Streams {
    /// The streams of the sequence with this index in the corpus.
    fn of(sequence: usize) -> Self {
        Self {
            blocks: Vec::new(),
            all: sequence < SEQUENCES,
        }
    }

    /// The contribution of the sequence.
    ///
    /// # Errors
    /// Numbers are not finite.
    fn vectors(self) -> Result<Vectors, MetricsError> {
        let last = self
            .blocks
            .iter()
            .flat_map(|block| block.row(block.nrows() - 1).to_vec());
        let positions = self.blocks.first().map_or(0, Array2::nrows).min(POSITIONS);
        let all = (self.all && positions >= FEWEST)
            .then(|| {
                let views: Vec<ArrayView2<'_, f32>> = self
                    .blocks
                    .iter()
                    .map(|block| block.slice(s![..positions, ..]))
                    .collect();
                let mut cka = Cka::new(views.len());
                cka.push(&views)?;
                Ok::<_, MetricsError>(Batch {
                    samples: positions,
                    terms: cka.terms().map(f64::to_bits).collect(),
                })
            })
            .transpose()?;
        Ok(Vectors {
            last: Floats(last.collect()),
            all,
        })
    }
}

/// Combines the last positions of the sequences, in corpus order; `None` without a batch.
///
/// # Errors
/// Numbers are not finite, or all vectors after a block are alike.
fn of_last_tokens(
    sequences: &[Vectors],
    layers: usize,
) -> Result<Option<Similarity>, MetricsError> {
    let size = BATCH.min(sequences.len());
    if size < FEWEST {
        return Ok(None);
    }
    let batches = sequences.chunks_exact(size).map(|batch| {
        let blocks: Vec<Array2<f32>> = (0..layers)
            .map(|layer| {
                let width = batch[0].after(layer, layers).len();
                Array2::from_shape_fn((size, width), |(row, column)| {
                    batch[row].after(layer, layers)[column]
                })
            })
            .collect();
        let views: Vec<ArrayView2<'_, f32>> = blocks.iter().map(|block| block.view()).collect();
        let mut own = Cka::new(layers);
        own.push(&views)?;
        Ok(own)
    });
    of_batches(Estimator::LastToken, batches, layers, size as u64).map(Some)
}

/// The same for all positions, each sequence as a batch.
///
/// # Errors
/// As for [`of_last_tokens`].
fn of_all_tokens(sequences: &[Vectors], layers: usize) -> Result<Option<Similarity>, MetricsError> {
    let batches: Vec<&Batch> = sequences
        .iter()
        .filter_map(|vectors| vectors.all.as_ref())
        .collect();
    let Some(samples) = batches.iter().map(|batch| batch.samples).min() else {
        return Ok(None);
    };
    let batches = batches.into_iter().map(|batch| {
        let terms: Vec<f64> = batch.terms.iter().copied().map(f64::from_bits).collect();
        Cka::of_one_batch(layers, &terms)
    });
    of_batches(Estimator::AllTokens, batches, layers, samples as u64).map(Some)
}

/// Combines batches of `samples` vectors after each block.
///
/// # Errors
/// As for [`of_last_tokens`].
fn of_batches(
    estimator: Estimator,
    batches: impl Iterator<Item = Result<Cka, MetricsError>>,
    layers: usize,
    samples: u64,
) -> Result<Similarity, MetricsError> {
    let (mut cka, mut each) = (Cka::new(layers), Vec::new());
    for batch in batches {
        let own = batch?;
        cka.merge(&own)?;
        each.push(own);
    }
    Ok(Similarity {
        estimator,
        cka: cka.similarity()?,
        each,
        batches: cka.batches(),
        samples,
    })
}

/// The similarities by each estimator that has a batch, and a note about each that tells nothing: a text whose sequences are all
/// alike, or all end alike, must stop neither the other estimator nor the other experiments.
///
/// # Errors
/// Numbers are not finite.
fn similarities(
    sequences: &[Vectors],
    layers: usize,
) -> Result<(Vec<Similarity>, Vec<String>), MetricsError> {
    let (mut all, mut notes) = (Vec::new(), Vec::new());
    for (vectors, found) in [
        ("last positions", of_last_tokens(sequences, layers)),
        ("all positions", of_all_tokens(sequences, layers)),
    ] {
        match found {
            Err(error @ MetricsError::NoVariance { .. }) => {
                notes.push(format!("cka over {vectors} is left out: {error}"));
            }
            found => all.extend(found?),
        }
    }
    Ok((all, notes))
}

/// The residual streams to compare.
pub const STREAMS: Compared = Compared;

/// See [`STREAMS`].
pub struct Compared;

impl Observation for Compared {
    fn id(&self) -> &'static str {
        "cka"
    }

    fn begin<'m>(&self, _: &'m Model, sequence: usize) -> Box<dyn Watch + 'm> {
        Box::new(Streams::of(sequence))
    }

    fn fits(&self, left: &Value, layers: usize) -> bool {
        Vectors::deserialize(left).is_ok_and(|vectors| vectors.fits(layers))
    }

    /// The last vectors, as text and as numbers, and the terms of each pair of blocks, as JSON and as numbers.
    fn left_bytes(&self, config: &ModelConfig) -> usize {
        /// Bytes of a four-byte number in base64, and in memory.
        const NUMBER: usize = 6 + size_of::<f32>();
        let term = size_of::<Value>() + 2 * size_of::<f64>();
        let last = config.layers * config.model * NUMBER;
        last + Cka::terms_of(config.layers) * term + 512
    }

    fn bytes(&self, config: &ModelConfig, seq: usize) -> usize {
        config.layers * seq * config.model * size_of::<f32>()
    }
}

impl Observer for Streams {
    fn wants(&self, address: Address) -> bool {
        address.site == Site::ResidPost
    }

    /// Takes `resid.post` of one block after another, \[seq, model\].
    fn observe(&mut self, _: Address, activation: ArrayViewD<'_, f32>) {
        let stream = activation.into_dimensionality::<Ix2>();
        let stream = stream.expect("residual streams are [seq, model]");
        let from = if self.all { 1 } else { stream.nrows() - 1 };
        self.blocks.push(stream.slice(s![from.., ..]).to_owned());
    }
}

impl Watch for Streams {
    fn finish(self: Box<Self>, _: GoOn<'_>) -> Result<Value, ExperimentError> {
        Ok(serde_json::to_value(self.vectors()?)?)
    }
}

/// The curve of the alignments of blocks ℓ ≤ m over batches, by ℓ·L + m; and the sample, whose units are the batches.
pub(super) fn curve_name(estimator: Estimator) -> &'static str {
    match estimator {
        Estimator::LastToken => "hsic last-token",
        Estimator::AllTokens => "hsic all-tokens",
    }
}

/// Records the similarities, or says why there are none.
///
/// # Errors
/// Numbers are not finite.
pub(super) fn record(
    subject: &Subject<'_>,
    observed: &Observed,
    tables: &mut Tables,
) -> Result<Vec<String>, ExperimentError> {
    let layers = subject.model.config().layers;
    let found = similarities(&observed.of::<Vectors>(&STREAMS)?, layers);
    let (found, notes) = found.at(|| subject.name.to_owned())?;
    for found in found {
        for layer in 0..layers {
            for other in layer..layers {
                let mut mean = ClusteredMean::new();
                for batch in &found.each {
                    mean.push(batch.hsic(layer, other), 1);
                }
                let (curve, place) = (curve_name(found.estimator), layer * layers + other);
                tables.push(Units::of(subject.name, curve, curve, place, &mean));
            }
        }
        for ((layer, other_layer), &cka) in found.cka.indexed_iter() {
            tables.push(Record {
                model: subject.name.to_owned(),
                model_type: subject.model_type().to_owned(),
                estimator: found.estimator,
                layer,
                other_layer,
                layers,
                cka,
                batches: found.batches,
                samples: found.samples,
            });
        }
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimator_without_variance_leaves_the_other() {
        // Sequences of six positions and two blocks; all end alike.
        let sequence = |at: usize, last: f32| {
            let block = |layer: usize| {
                Array2::from_shape_fn((6, 3), |(position, feature)| match position {
                    5 => last * (1 + layer + feature) as f32,
                    _ => ((7 * at + 5 * position + 3 * feature + layer * position) % 11) as f32,
                })
            };
            let streams = Streams {
                blocks: vec![block(0), block(1)],
                all: true,
            };
            streams.vectors().unwrap()
        };
        let check = |last: fn(usize) -> f32, expected: &[Estimator], notes: usize| {
            let all: Vec<Vectors> = (0..5).map(|at| sequence(at, last(at))).collect();
            let (found, told) = similarities(&all, 2).unwrap();
            let found: Vec<Estimator> = found.iter().map(|own| own.estimator).collect();
            assert_eq!(
                (found.as_slice(), told.len()),
                (expected, notes),
                "{told:?}"
            );
        };
        check(
            |at| at as f32,
            &[Estimator::LastToken, Estimator::AllTokens],
            0,
        );
        check(|_| 1.0, &[Estimator::AllTokens], 1);
    }
}
