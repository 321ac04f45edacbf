//! Neurons read off the weights: `neurons` (paper B.1, B.9 and section E, "Universal neurons").
//!
//! In a gated MLP, flipping the signs of a neuron's up projection and of its output weights together does not change the model,
//! so that weights alone do not distinguish promotion from suppression. There the output weights count with the sign of the
//! neuron's mean activation on the first sequences of the text; the sign of its third moment is a second reading.
//!
//! The cosines of a neuron's output weights with every token's column of W_U are computed in tiles and summed up at once;
//! nothing of size vocabulary × neurons is stored. Threads share the blocks, and within a block all sums have one order.

use super::activations::{self, Moment, Signs};
use super::table::{Kind, Record};
use crate::core::error::ExperimentError;
use crate::core::models::relative_depth;
use crate::core::subject::{Runs, Subject};
use crate::core::tables::Tables;
use layerwise_kernels::gemm::{Packed, Scratch, Write, multiply};
use layerwise_metrics::Moments;
use layerwise_sweep::{Counted, WorkBytes};
use layerwise_transformer::Model;
use ndarray::{Array2, ArrayView2, s};
use std::sync::Arc;

/// Neurons and tokens of one tile of cosines: 1 MiB.
const TILE_NEURONS: usize = 256;
const TILE_TOKENS: usize = 1024;

/// Above this kurtosis a neuron promotes or suppresses few tokens (B.9).
const HEAVY_KURTOSIS: f64 = 10.0;
/// Above this variance a neuron moves much of the vocabulary (section E).
const HIGH_VARIANCE: f64 = 0.005;
/// The kurtosis of a normal distribution.
const NORMAL_KURTOSIS: f64 = 3.0;

/// A neuron with the moments of its cosines.
#[derive(Clone)]
pub struct Neuron {
    /// Its block.
    pub layer: usize,
    /// Its index in the block.
    pub index: usize,
    /// The moments of the cosines of its output weights with the columns of the unembedding.
    pub cosines: Moments,
    /// Its sign when it is active, by both readings: 1, −1, or 0 if it is never active.
    pub signs: Signs,
}

impl Neuron {
    /// Its effect on the vocabulary.
    pub fn kind(&self) -> Kind {
        self.kind_by(HEAVY_KURTOSIS, Moment::First)
    }

    /// Its effect, with another kurtosis threshold or another reading of its sign.
    fn kind_by(&self, least: f64, moment: Moment) -> Kind {
        match (self.cosines.kurtosis(), self.skewness_by(moment)) {
            (Some(kurtosis), Some(skewness)) if kurtosis > least => {
                if skewness > 0.0 {
                    Kind::Prediction
                } else if skewness < 0.0 {
                    Kind::Suppression
                } else {
                    Kind::Other
                }
            }
            _ => Kind::Other,
        }
    }

    /// The skewness of its cosines when it is active.
    fn skewness_by(&self, moment: Moment) -> Option<f64> {
        Some(f64::from(self.signs.by(moment)) * self.cosines.skewness()?)
    }

    /// Whether it promotes or suppresses few tokens.
    pub fn is_heavy(&self) -> bool {
        self.cosines.kurtosis().is_some_and(|k| k > HEAVY_KURTOSIS)
    }

    /// Whether it moves much of the vocabulary.
    pub fn has_high_variance(&self) -> bool {
        self.cosines.variance().is_some_and(|v| v > HIGH_VARIANCE)
    }

    fn is_partition(&self) -> bool {
        let light = |kurtosis| kurtosis < NORMAL_KURTOSIS;
        self.has_high_variance() && self.cosines.kurtosis().is_some_and(light)
    }
}

/// The folded unembedding as directions and lengths of its columns.
pub struct Vocabulary {
    /// Columns of length 1, \[model, vocab\]; a column of zeros stays zero, and its cosines are 0.
    directions: Packed,
    /// \[vocab\].
    lengths: Vec<f64>,
}

impl Vocabulary {
    /// The most bytes that the directions of a model take.
    fn bytes(model: &Model) -> usize {
        /// Columns of a packed matrix come in groups of at most this many.
        const GROUP: usize = 64;
        let config = model.config();
        let columns = config.vocab.saturating_add(GROUP);
        columns.saturating_mul(config.model * size_of::<f32>() + size_of::<f64>())
    }

    /// Divides each column by its length.
    pub fn new(mut unembedding: Array2<f32>) -> Self {
        let mut lengths = vec![0.0; unembedding.ncols()];
        for row in unembedding.outer_iter() {
            for (length, &value) in lengths.iter_mut().zip(row) {
                *length += f64::from(value) * f64::from(value);
            }
        }
        for length in &mut lengths {
            *length = length.sqrt();
        }
        for mut row in unembedding.outer_iter_mut() {
            for (value, &length) in row.iter_mut().zip(&lengths) {
                if length > 0.0 {
                    *value = (f64::from(*value) / length) as f32;
                }
            }
        }
        Self {
            directions: Packed::new(unembedding.view()),
            lengths,
        }
    }

    /// Calls `visit(first row, first token, products)` for every tile of `rows` \[rows, model\] times the directions,
    /// tokens outermost.
    fn each_tile(
        &self,
        rows: ArrayView2<'_, f32>,
        mut visit: impl FnMut(usize, usize, ArrayView2<'_, f32>),
    ) {
        let vocab = self.lengths.len();
        let mut scratch = Scratch::default();
        let mut tile = Array2::zeros((TILE_NEURONS.min(rows.nrows()), TILE_TOKENS.min(vocab)));
        for first in (0..vocab).step_by(TILE_TOKENS) {
            let tokens = first..vocab.min(first + TILE_TOKENS);
            for row in (0..rows.nrows()).step_by(TILE_NEURONS) {
                let some = row..rows.nrows().min(row + TILE_NEURONS);
                let mut tile = tile.slice_mut(s![..some.len(), ..tokens.len()]);
                multiply(
                    rows.slice(s![some, ..]),
                    &self.directions,
                    tokens.clone(),
                    tile.view_mut(),
                    Write::Replace,
                    &mut scratch,
                );
                visit(row, first, tile.view());
            }
        }
    }

    /// The moments of the cosines of each row of `outputs` \[neurons, model\] with every column.
    fn cosines(&self, outputs: &Array2<f32>) -> Vec<Moments> {
        let mut units = outputs.clone();
        for mut row in units.outer_iter_mut() {
            let square: f64 = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
            if square > 0.0 {
                let length = square.sqrt();
                row.mapv_inplace(|value| (f64::from(value) / length) as f32);
            }
        }
        let mut moments = vec![Moments::default(); outputs.nrows()];
        self.each_tile(units.view(), |first_row, _, tile| {
            for (row, values) in tile.outer_iter().enumerate() {
                let values = values.to_slice().expect("rows of a tile are contiguous");
                moments[first_row + row].merge(&Moments::of(values));
            }
        });
        moments
    }

    /// Products of `rows` \[rows, model\] with the columns at their own length, \[rows, vocab\].
    pub fn effects(&self, rows: ArrayView2<'_, f32>) -> Array2<f64> {
        let mut effects = Array2::zeros((rows.nrows(), self.lengths.len()));
        self.each_tile(rows, |first_row, first, tile| {
            for ((row, column), value) in tile.indexed_iter() {
                effects[(first_row + row, first + column)] =
                    f64::from(*value) * self.lengths[first + column];
            }
        });
        effects
    }
}

/// A model's weights as this experiment reads them; `suffix_neurons` uses them, too.
pub struct Weights {
    /// The folded unembedding.
    pub vocabulary: Counted<Vocabulary>,
    /// The neurons of each block.
    pub blocks: Counted<Vec<Vec<Neuron>>>,
}

impl Weights {
    /// The weights of a model, read once.
    ///
    /// # Errors
    /// The user interrupts.
    pub fn of(subject: &Subject<'_>) -> Result<Arc<Self>, ExperimentError> {
        subject.shared.get(|| {
            let what = "the directions of the unembedding";
            let memory = subject.runs.hold(what, Vocabulary::bytes(subject.model))?;
            let (unembedding, _folded) = subject.folded_unembedding()?.into_parts();
            let vocabulary = Counted::new(Vocabulary::new(unembedding), memory);
            let signs = activations::signs(subject)?;
            let blocks = blocks(&subject.runs, &vocabulary, &signs)?;
            Ok(Self { vocabulary, blocks })
        })
    }
}

/// The neurons of each block.
fn blocks(
    runs: &Runs<'_>,
    vocabulary: &Vocabulary,
    signs: &[Vec<Signs>],
) -> Result<Counted<Vec<Vec<Neuron>>>, ExperimentError> {
    let model = runs.model.model;
    let config = model.config();
    let layers: Vec<usize> = (0..config.layers).collect();
    // Outputs unscaled and at length 1, and a tile of products.
    let outputs = 2 * config.neurons * config.model * size_of::<f32>();
    let tile = TILE_NEURONS * TILE_TOKENS * size_of::<f32>();
    let scratch = Scratch::most_bytes(TILE_NEURONS, config.model);
    let bytes = WorkBytes {
        reading: outputs + tile + scratch + config.neurons * size_of::<Moments>(),
        result: config.neurons * size_of::<Neuron>(),
    };
    runs.over(&layers, bytes, |_, &layer| {
        Ok(neurons(model, vocabulary, layer, &signs[layer]))
    })
}

/// The neurons of a block.
fn neurons(model: &Model, vocabulary: &Vocabulary, layer: usize, signs: &[Signs]) -> Vec<Neuron> {
    let moments = vocabulary.cosines(&model.neuron_outputs(layer));
    let neurons = moments.into_iter().zip(signs).enumerate();
    neurons
        .map(|(index, (cosines, signs))| Neuron {
            layer,
            index,
            cosines,
            signs: *signs,
        })
        .collect()
}

/// Records the neurons of every block.
///
/// # Errors
/// The user interrupts.
pub(super) fn measure(subject: &Subject<'_>, tables: &mut Tables) -> Result<(), ExperimentError> {
    for (layer, block) in Weights::of(subject)?.blocks.iter().enumerate() {
        tables.push(block_record(subject, layer, block));
    }
    Ok(())
}

fn block_record(subject: &Subject<'_>, layer: usize, block: &[Neuron]) -> Record {
    let config = subject.model.config();
    let count = |is: fn(&Neuron) -> bool| block.iter().filter(|neuron| is(neuron)).count();
    let percent = |count: usize| 100.0 * count as f64 / block.len() as f64;
    let prediction = count(|neuron| neuron.kind() == Kind::Prediction);
    let suppression = count(|neuron| neuron.kind() == Kind::Suppression);
    let partition = count(Neuron::is_partition);
    let sorted = |value: &dyn Fn(&Neuron) -> Option<f64>| {
        let mut values: Vec<f64> = block.iter().filter_map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let kurtosis = sorted(&|neuron| neuron.cosines.kurtosis());
    let skewness = sorted(&|neuron| neuron.cosines.skewness());
    let heavy = sorted(&|neuron| {
        let skewness = neuron.skewness_by(Moment::First);
        skewness.filter(|_| neuron.is_heavy())
    });
    let percent_by = |kind: Kind, least: f64, moment: Moment| {
        let own = block
            .iter()
            .filter(|neuron| neuron.kind_by(least, moment) == kind);
        percent(own.count())
    };
    let at = |sorted: &[f64], share: f64| quantile(sorted, share).unwrap_or(f64::NAN);
    Record {
        model: subject.name.to_owned(),
        model_type: subject.model_type().to_owned(),
        layer,
        layers: config.layers,
        relative_depth: relative_depth(layer, config.layers),
        neurons: block.len(),
        prediction,
        suppression,
        partition,
        prediction_percent: percent(prediction),
        suppression_percent: percent(suppression),
        partition_percent: percent(partition),
        prediction_above_8_percent: percent_by(Kind::Prediction, 8.0, Moment::First),
        suppression_above_8_percent: percent_by(Kind::Suppression, 8.0, Moment::First),
        prediction_above_12_percent: percent_by(Kind::Prediction, 12.0, Moment::First),
        suppression_above_12_percent: percent_by(Kind::Suppression, 12.0, Moment::First),
        prediction_by_third_moment_percent: percent_by(
            Kind::Prediction,
            HEAVY_KURTOSIS,
            Moment::Third,
        ),
        suppression_by_third_moment_percent: percent_by(
            Kind::Suppression,
            HEAVY_KURTOSIS,
            Moment::Third,
        ),
        kurtosis_p05: at(&kurtosis, 0.05),
        kurtosis_p25: at(&kurtosis, 0.25),
        kurtosis_p50: at(&kurtosis, 0.5),
        kurtosis_p75: at(&kurtosis, 0.75),
        kurtosis_p95: at(&kurtosis, 0.95),
        skewness_p05: at(&skewness, 0.05),
        skewness_p25: at(&skewness, 0.25),
        skewness_p50: at(&skewness, 0.5),
        skewness_p75: at(&skewness, 0.75),
        skewness_p95: at(&skewness, 0.95),
        heavy_skewness_p50: quantile(&heavy, 0.5),
    }
}

/// The value below which a share of ascending values lies, interpolated linearly between neighbours; `None` without values.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share * last as f64;
    let below = (place.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let part = place - below as f64;
    Some(sorted[below] + part * (sorted[above] - sorted[below]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::runs;
    use layerwise_transformer::ModelConfig;

    #[test]
    fn moments_are_those_of_the_cosines_one_by_one() {
        let model = Model::random(ModelConfig::tiny(), 3);
        let unembedding = model.folded_unembedding();
        let vocabulary = Vocabulary::new(unembedding.clone());
        let length = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>().sqrt();
        for layer in 0..model.config().layers {
            let outputs = model.neuron_outputs(layer);
            let moments = vocabulary.cosines(&outputs);
            for (row, found) in outputs.outer_iter().zip(moments) {
                let w: Vec<f64> = row.iter().map(|&v| f64::from(v)).collect();
                let cosines: Vec<f64> = unembedding
                    .columns()
                    .into_iter()
                    .map(|column| {
                        let u: Vec<f64> = column.iter().map(|&v| f64::from(v)).collect();
                        let dot: f64 = w.iter().zip(&u).map(|(w, u)| w * u).sum();
                        dot / (length(&w) * length(&u))
                    })
                    .collect();
                let n = cosines.len() as f64;
                let mean = cosines.iter().sum::<f64>() / n;
                let central =
                    |power: i32| cosines.iter().map(|c| (c - mean).powi(power)).sum::<f64>() / n;
                let variance = central(2);
                let close = |found: Option<f64>, expected: f64| {
                    let found = found.unwrap();
                    assert!(
                        (found - expected).abs() < 1e-4 * (1.0 + expected.abs()),
                        "{found} against {expected}"
                    );
                };
                close(found.mean(), mean);
                close(found.variance(), variance);
                close(found.skewness(), central(3) / variance.powf(1.5));
                close(found.kurtosis(), central(4) / (variance * variance));
            }
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let model = Model::random(ModelConfig::tiny(), 5);
        let vocabulary = Vocabulary::new(model.folded_unembedding());
        let moments = |threads| {
            let signs =
                vec![vec![Signs::AS_WEIGHTS; model.config().neurons]; model.config().layers];
            let blocks = blocks(&runs(&model, threads), &vocabulary, &signs).unwrap();
            let all: Vec<Moments> = blocks.iter().flatten().map(|n| n.cosines).collect();
            all
        };
        assert_eq!(moments(1), moments(3));
    }

    #[test]
    fn kinds_follow_kurtosis_and_skewness() {
        // One outlier among many values: kurtosis n − 2 + 1/(n − 1), skewness with the outlier's sign.
        let neuron = |values: &[f64]| Neuron {
            layer: 0,
            index: 0,
            cosines: Moments::of(values),
            signs: Signs::AS_WEIGHTS,
        };
        let check = |values: &[f64], kind: Kind, partition: bool| {
            let neuron = neuron(values);
            assert_eq!(
                (neuron.kind(), neuron.is_partition()),
                (kind, partition),
                "{values:?}"
            );
        };
        let mut far = vec![0.0; 40];
        far[3] = 1.0;
        check(&far, Kind::Prediction, false);
        far[3] = -1.0;
        check(&far, Kind::Suppression, false);
        far[4] = 1.0;
        check(&far, Kind::Other, false);
        check(&[0.3, -0.3, 0.3, -0.3], Kind::Other, true);
        check(&[0.01, -0.01, 0.01, -0.01], Kind::Other, false);
        check(&[0.2; 5], Kind::Other, false);
    }

    #[test]
    fn quantiles_are_interpolated() {
        let check = |values: &[f64], share: f64, expected: Option<f64>| {
            assert_eq!(quantile(values, share), expected, "{values:?} at {share}");
        };
        check(&[], 0.5, None);
        check(&[4.0], 0.95, Some(4.0));
        check(&[1.0, 2.0], 0.5, Some(1.5));
        check(&[1.0, 2.0, 4.0, 8.0, 16.0], 0.25, Some(2.0));
        check(&[1.0, 2.0, 4.0, 8.0, 16.0], 0.875, Some(12.0));
        check(&[1.0, 2.0], 1.0, Some(2.0));
    }
}
