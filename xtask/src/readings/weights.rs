//! Neurons read off the weights: `neurons` and `suffix-neurons` (paper B.1, B.9 and section E, "Universal neurons").
//!
//! The cosines of a neuron's output weights with every token's column of W_U are made in tiles and summed up at once;
//! vocabulary × neurons is never stored. Blocks are shared out among threads, and within a block all sums have one order.

use super::{ENDING, over};
use crate::arguments::Run;
use crate::experiments::core::models::relative_depth;
use crate::experiments::core::tables::Tables;
use crate::experiments::neurons;
use crate::experiments::suffix_neurons::{self, Kind};
use crate::inputs::{self, OpenedModel};
use crate::output;
use layerwise::corpus::Tokenizer;
use layerwise::kernels::gemm::{Packed, Scratch, Write, multiply};
use layerwise::metrics::Moments;
use layerwise::sweep::Runner;
use layerwise::transformer::Model;
use ndarray::{Array2, ArrayView2, s};

/// Neurons and tokens of one tile of cosines: 1 MiB.
const TILE_NEURONS: usize = 256;
const TILE_TOKENS: usize = 1024;

/// Above this kurtosis a neuron promotes or suppresses few tokens (B.9).
const HEAVY_KURTOSIS: f64 = 10.0;
/// Above this variance a neuron moves much of the vocabulary (section E).
const HIGH_VARIANCE: f64 = 0.005;
/// The kurtosis of a normal distribution.
const NORMAL_KURTOSIS: f64 = 3.0;

/// Neurons that are recorded, as many as the figure shows (nips-fig21).
const RANKED: usize = 36;
/// Bins of their histograms.
const BINS: usize = 100;

/// A neuron with the moments of its cosines.
#[derive(Clone)]
struct Neuron {
    layer: usize,
    index: usize,
    cosines: Moments,
    /// See [`suffix_neurons::Record::effect`]; 0 where no ending was asked for.
    effect: f64,
}

impl Neuron {
    fn kind(&self) -> Kind {
        match (self.cosines.kurtosis(), self.cosines.skewness()) {
            (Some(kurtosis), Some(skewness)) if kurtosis > HEAVY_KURTOSIS => {
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

    fn is_heavy(&self) -> bool {
        self.cosines.kurtosis().is_some_and(|k| k > HEAVY_KURTOSIS)
    }

    fn has_high_variance(&self) -> bool {
        self.cosines.variance().is_some_and(|v| v > HIGH_VARIANCE)
    }

    fn is_partition(&self) -> bool {
        let light = |kurtosis| kurtosis < NORMAL_KURTOSIS;
        self.has_high_variance() && self.cosines.kurtosis().is_some_and(light)
    }
}

/// The folded unembedding as directions and lengths of its columns.
struct Vocabulary {
    /// Columns of length 1, \[model, vocab\]; a column of zeros stays so, and its cosines are 0.
    directions: Packed,
    /// \[vocab\].
    lengths: Vec<f64>,
}

impl Vocabulary {
    fn new(mut unembedding: Array2<f32>) -> Self {
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
    fn effects(&self, rows: ArrayView2<'_, f32>) -> Array2<f64> {
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

/// Whether a token's text, stripped and in lower case, has the ending (B.10).
pub fn has_ending(text: &str) -> bool {
    text.trim().to_lowercase().ends_with(ENDING)
}

/// Whether each token of the vocabulary has the ending.
///
/// # Errors
/// A tokenizer that cannot decode its tokens.
pub fn endings(tokenizer: &Tokenizer, vocab: usize) -> anyhow::Result<Vec<bool>> {
    (0..vocab as u32)
        .map(|id| Ok(has_ending(&tokenizer.decode(&[id])?)))
        .collect()
}

/// Mean of the columns of W_U with the ending less the mean of the others, \[model\]; `None` where either are none.
fn contrast(unembedding: &Array2<f32>, ending: &[bool]) -> Option<Vec<f64>> {
    let with = ending.iter().filter(|&&ending| ending).count();
    let without = ending.len() - with;
    if with == 0 || without == 0 {
        return None;
    }
    let difference = |row: ndarray::ArrayView1<'_, f32>| {
        let mut sums = [0.0; 2];
        for (&value, &ending) in row.iter().zip(ending) {
            sums[usize::from(ending)] += f64::from(value);
        }
        sums[1] / with as f64 - sums[0] / without as f64
    };
    Some(unembedding.outer_iter().map(difference).collect())
}

/// Records the neurons of every block, and those that move the ending most where the model's tokenizer is at hand.
///
/// # Errors
/// A tokenizer that cannot be accepted, or an interrupt.
pub fn read(opened: &OpenedModel, run: &Run, tables: &mut Tables) -> anyhow::Result<()> {
    let model = &opened.model;
    let ending = match inputs::open_tokenizer(opened)? {
        Some(tokenizer) => Some(endings(&tokenizer, model.config().vocab)?),
        None => {
            output::say(format_args!(
                "{}: suffix-neurons is left empty: no tokenizer.json tells which tokens end in {ENDING:?}",
                opened.name
            ));
            None
        }
    };
    let unembedding = model.folded_unembedding();
    let direction = ending
        .as_ref()
        .and_then(|ending| contrast(&unembedding, ending));
    let vocabulary = Vocabulary::new(unembedding);
    let blocks = neurons_of(
        model,
        &vocabulary,
        direction.as_deref(),
        &opened.runner(run),
    )?;
    for (layer, block) in blocks.iter().enumerate() {
        tables.push(block_record(opened, layer, block));
    }
    if let (Some(ending), Some(_)) = (&ending, &direction) {
        rank(opened, &vocabulary, ending, &blocks, tables);
    } else if ending.is_some() {
        output::say(format_args!(
            "{}: suffix-neurons is left empty: no token ends in {ENDING:?}",
            opened.name
        ));
    }
    Ok(())
}

/// The neurons of each block.
fn neurons_of(
    model: &Model,
    vocabulary: &Vocabulary,
    direction: Option<&[f64]>,
    runner: &Runner<'_>,
) -> anyhow::Result<Vec<Vec<Neuron>>> {
    let layers: Vec<usize> = (0..model.config().layers).collect();
    over(runner, model, &layers, |_, &layer| {
        let outputs = model.neuron_outputs(layer);
        let effect = |row: ndarray::ArrayView1<'_, f32>| {
            direction.map_or(0.0, |direction| {
                let terms = row.iter().zip(direction);
                terms.map(|(&w, d)| f64::from(w) * d).sum()
            })
        };
        let moments = vocabulary.cosines(&outputs);
        let neurons = moments.into_iter().zip(outputs.outer_iter()).enumerate();
        Ok(neurons
            .map(|(index, (cosines, row))| Neuron {
                layer,
                index,
                cosines,
                effect: effect(row),
            })
            .collect())
    })
}

fn block_record(opened: &OpenedModel, layer: usize, block: &[Neuron]) -> neurons::Record {
    let config = opened.model.config();
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
    let heavy = sorted(&|neuron| neuron.cosines.skewness().filter(|_| neuron.is_heavy()));
    let at = |sorted: &[f64], share: f64| quantile(sorted, share).unwrap_or(f64::NAN);
    neurons::Record {
        model: opened.name.clone(),
        family: config.family.model_type().to_owned(),
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

/// The value below which a share of ascending values lies, interpolated linearly between neighbours; `None` of none.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share * last as f64;
    let below = (place.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let part = place - below as f64;
    Some(sorted[below] + part * (sorted[above] - sorted[below]))
}

/// Records the neurons with the largest effects, among those that promote or suppress few tokens or move many.
fn rank(
    opened: &OpenedModel,
    vocabulary: &Vocabulary,
    ending: &[bool],
    blocks: &[Vec<Neuron>],
    tables: &mut Tables,
) {
    let config = opened.model.config();
    let mut chosen: Vec<&Neuron> = blocks
        .iter()
        .flatten()
        .filter(|neuron| neuron.is_heavy() || neuron.has_high_variance())
        .collect();
    // The sort is stable: equal effects stay in the order of the model.
    chosen.sort_by(|a, b| b.effect.abs().total_cmp(&a.effect.abs()));
    chosen.truncate(RANKED);
    let family = config.family.model_type().to_owned();
    let mut weights = Array2::zeros((chosen.len(), config.model));
    for (mut row, neuron) in weights.outer_iter_mut().zip(&chosen) {
        row.assign(&opened.model.neuron_outputs(neuron.layer).row(neuron.index));
    }
    let effects = vocabulary.effects(weights.view());
    for (at, (neuron, effects)) in chosen.iter().zip(effects.outer_iter()).enumerate() {
        let moment = |value: Option<f64>| value.unwrap_or(f64::NAN);
        tables.push(suffix_neurons::Record {
            model: opened.name.clone(),
            family: family.clone(),
            rank: at + 1,
            layer: neuron.layer,
            layers: config.layers,
            neuron: neuron.index,
            kind: neuron.kind(),
            effect: neuron.effect,
            variance: moment(neuron.cosines.variance()),
            skewness: moment(neuron.cosines.skewness()),
            kurtosis: moment(neuron.cosines.kurtosis()),
        });
        let effects: Vec<f64> = effects.to_vec();
        for (bin, (low, high, counts)) in histogram(&effects, ending).into_iter().enumerate() {
            tables.push(suffix_neurons::Bin {
                model: opened.name.clone(),
                family: family.clone(),
                rank: at + 1,
                bin,
                low,
                high,
                ending: counts[1],
                others: counts[0],
            });
        }
    }
}

/// Equal bins from the least to the greatest value: their ends, and counts of values without and with the ending.
fn histogram(values: &[f64], ending: &[bool]) -> Vec<(f64, f64, [u64; 2])> {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let edge = |bin: usize| low + (high - low) * bin as f64 / BINS as f64;
    let mut bins: Vec<(f64, f64, [u64; 2])> = (0..BINS)
        .map(|bin| (edge(bin), edge(bin + 1), [0; 2]))
        .collect();
    for (&value, &ending) in values.iter().zip(ending) {
        let place = (value - low) / (high - low) * BINS as f64;
        // The greatest value belongs to the last bin; where all are equal the place is no number, and the first bin's.
        let bin = (place as usize).min(BINS - 1);
        bins[bin].2[usize::from(ending)] += 1;
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise::transformer::ModelConfig;
    use std::num::NonZeroUsize;

    fn runner(threads: usize) -> Runner<'static> {
        Runner::new().threads(NonZeroUsize::new(threads).unwrap())
    }

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
            let blocks = neurons_of(&model, &vocabulary, None, &runner(threads)).unwrap();
            let all: Vec<Moments> = blocks.into_iter().flatten().map(|n| n.cosines).collect();
            all
        };
        assert_eq!(moments(1), moments(3));
    }

    #[test]
    fn an_effect_is_the_difference_of_mean_logits() {
        let model = Model::random(ModelConfig::tiny(), 7);
        let unembedding = model.folded_unembedding();
        let ending: Vec<bool> = (0..unembedding.ncols()).map(|v| v % 7 == 2).collect();
        let direction = contrast(&unembedding, &ending).unwrap();
        let vocabulary = Vocabulary::new(unembedding);
        let blocks = neurons_of(&model, &vocabulary, Some(&direction), &runner(1)).unwrap();
        for (layer, block) in blocks.iter().enumerate() {
            let effects = vocabulary.effects(model.neuron_outputs(layer).view());
            for (neuron, effects) in block.iter().zip(effects.outer_iter()) {
                let mean = |class: bool| {
                    let own = effects.iter().zip(&ending).filter(|(_, e)| **e == class);
                    let values: Vec<f64> = own.map(|(v, _)| *v).collect();
                    values.iter().sum::<f64>() / values.len() as f64
                };
                let expected = mean(true) - mean(false);
                assert!(
                    (neuron.effect - expected).abs() < 1e-6,
                    "{} {expected}",
                    neuron.effect
                );
            }
        }
        assert_eq!(
            contrast(&model.folded_unembedding(), &vec![false; ending.len()]),
            None
        );
    }

    #[test]
    fn kinds_follow_kurtosis_and_skewness() {
        // One value far out among many: kurtosis n − 2 + 1/(n − 1), skewness of the value's sign.
        let neuron = |values: &[f64]| Neuron {
            layer: 0,
            index: 0,
            cosines: Moments::of(values),
            effect: 0.0,
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

    #[test]
    fn every_value_is_in_one_bin() {
        let values: Vec<f64> = (0..=1000).map(|i| f64::from(i) / 100.0 - 3.0).collect();
        let ending: Vec<bool> = (0..=1000).map(|i| i % 10 == 0).collect();
        let bins = histogram(&values, &ending);
        assert_eq!(bins.len(), BINS);
        assert_eq!((bins[0].0, bins[BINS - 1].1), (-3.0, 7.0));
        assert_eq!(bins.iter().map(|bin| bin.2[1]).sum::<u64>(), 101);
        assert_eq!(bins.iter().map(|bin| bin.2[0]).sum::<u64>(), 900);
        for (&value, _) in values.iter().zip(&ending) {
            let holding = bins
                .iter()
                .filter(|bin| bin.0 - 1e-9 <= value && value <= bin.1 + 1e-9);
            assert!(holding.count() >= 1, "{value}");
        }
        let equal = histogram(&[2.0, 2.0], &[true, false]);
        assert_eq!(equal[0].2, [1, 1]);
    }

    #[test]
    fn endings_are_stripped_and_in_lower_case() {
        let check = |text: &str, expected: bool| assert_eq!(has_ending(text), expected, "{text:?}");
        check(" going", true);
        check("ING\n", true);
        check("ing", true);
        check("ingot", false);
        check("in g", false);
        check("", false);
    }
}
