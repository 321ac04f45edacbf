//! The neurons that move one ending most (paper B.9 and B.10).

use super::table::{Bin, Record};
use crate::core::error::ExperimentError;
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use crate::neurons::measure::{Neuron, Weights};
use layerwise_corpus::Tokenizer;
use ndarray::{Array2, ArrayView1};

/// The ending of tokens whose neurons are ranked and probed (B.10).
pub const ENDING: &str = "ing";

/// Neurons that are recorded, as many as the figure shows (nips-fig21).
const RANKED: usize = 36;
/// Bins of their histograms.
const BINS: usize = 100;

/// Whether a token's text, stripped and in lower case, has the ending (B.10).
pub fn has_ending(text: &str) -> bool {
    text.trim().to_lowercase().ends_with(ENDING)
}

/// Whether each token of the vocabulary has the ending.
///
/// # Errors
/// The tokenizer cannot decode its tokens.
pub fn endings(tokenizer: &Tokenizer, vocab: usize) -> Result<Vec<bool>, ExperimentError> {
    (0..vocab as u32)
        .map(|id| Ok(has_ending(&tokenizer.decode(&[id])?)))
        .collect()
}

/// Mean of the columns of W_U with the ending minus the mean of the others, \[model\]; `None` if either kind is missing.
fn contrast(unembedding: &Array2<f32>, ending: &[bool]) -> Option<Vec<f64>> {
    let with = ending.iter().filter(|&&ending| ending).count();
    let without = ending.len() - with;
    if with == 0 || without == 0 {
        return None;
    }
    let difference = |row: ArrayView1<'_, f32>| {
        let mut sums = [0.0; 2];
        for (&value, &ending) in row.iter().zip(ending) {
            sums[usize::from(ending)] += f64::from(value);
        }
        sums[1] / with as f64 - sums[0] / without as f64
    };
    Some(unembedding.outer_iter().map(difference).collect())
}

/// Records the neurons that move the ending most, if the model has a tokenizer.
///
/// # Errors
/// The tokenizer cannot decode its tokens, or the user interrupts.
pub(super) fn measure(
    subject: &Subject<'_>,
    tables: &mut Tables,
) -> Result<Vec<String>, ExperimentError> {
    let empty = |why: &str| Ok(vec![format!("suffix-neurons is left empty: {why}")]);
    let Some(tokenizer) = subject.tokenizer else {
        let why = format!("there is no tokenizer.json to tell which tokens end in {ENDING:?}");
        return empty(&why);
    };
    let ending = endings(tokenizer, subject.model.config().vocab)?;
    let Some(direction) = contrast(&*subject.folded_unembedding()?, &ending) else {
        return empty(&format!("no token ends in {ENDING:?}"));
    };
    let weights = Weights::of(subject)?;
    rank(subject, &weights, &ending, &direction, tables);
    Ok(Vec::new())
}

/// See [`Record::effect`]; `row` holds a neuron's output weights, \[model\].
fn effect(row: ArrayView1<'_, f32>, direction: &[f64]) -> f64 {
    let terms = row.iter().zip(direction);
    terms.map(|(&w, d)| f64::from(w) * d).sum()
}

/// Records the neurons with the largest effects, among those that promote or suppress few tokens or move many.
fn rank(
    subject: &Subject<'_>,
    weights: &Weights,
    ending: &[bool],
    direction: &[f64],
    tables: &mut Tables,
) {
    let config = subject.model.config();
    let mut chosen: Vec<(&Neuron, f64)> = Vec::new();
    for (layer, block) in weights.blocks.iter().enumerate() {
        let outputs = subject.model.neuron_outputs(layer);
        let strong = block
            .iter()
            .filter(|neuron| neuron.is_heavy() || neuron.has_high_variance());
        chosen.extend(strong.map(|neuron| (neuron, effect(outputs.row(neuron.index), direction))));
    }
    // The sort is stable: equal effects stay in the order of the model.
    chosen.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    chosen.truncate(RANKED);
    let family = subject.model_type().to_owned();
    let mut rows = Array2::zeros((chosen.len(), config.model));
    for (mut row, (neuron, _)) in rows.outer_iter_mut().zip(&chosen) {
        row.assign(&subject.model.neuron_outputs(neuron.layer).row(neuron.index));
    }
    let effects = weights.vocabulary.effects(rows.view());
    for (at, ((neuron, effect), effects)) in chosen.iter().zip(effects.outer_iter()).enumerate() {
        let moment = |value: Option<f64>| value.unwrap_or(f64::NAN);
        tables.push(Record {
            model: subject.name.to_owned(),
            model_type: family.clone(),
            rank: at + 1,
            layer: neuron.layer,
            layers: config.layers,
            neuron: neuron.index,
            kind: neuron.kind(),
            effect: *effect,
            variance: moment(neuron.cosines.variance()),
            skewness: moment(neuron.cosines.skewness()),
            kurtosis: moment(neuron.cosines.kurtosis()),
        });
        let effects: Vec<f64> = effects.to_vec();
        for (bin, (low, high, counts)) in histogram(&effects, ending).into_iter().enumerate() {
            tables.push(Bin {
                model: subject.name.to_owned(),
                model_type: family.clone(),
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

/// Equal bins from the least to the greatest value: their edges, and counts of values without and with the ending.
fn histogram(values: &[f64], ending: &[bool]) -> Vec<(f64, f64, [u64; 2])> {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let edge = |bin: usize| low + (high - low) * bin as f64 / BINS as f64;
    let mut bins: Vec<(f64, f64, [u64; 2])> = (0..BINS)
        .map(|bin| (edge(bin), edge(bin + 1), [0; 2]))
        .collect();
    for (&value, &ending) in values.iter().zip(ending) {
        let place = (value - low) / (high - low) * BINS as f64;
        // The greatest value belongs to the last bin. If all values are equal, the quotient is NaN, which selects the first bin.
        let bin = (place as usize).min(BINS - 1);
        bins[bin].2[usize::from(ending)] += 1;
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neurons::measure::Vocabulary;
    use layerwise_transformer::{Model, ModelConfig};

    #[test]
    fn an_effect_is_the_difference_of_mean_logits() {
        let model = Model::random(ModelConfig::tiny(), 7);
        let unembedding = model.folded_unembedding();
        let ending: Vec<bool> = (0..unembedding.ncols()).map(|v| v % 7 == 2).collect();
        let direction = contrast(&unembedding, &ending).unwrap();
        let vocabulary = Vocabulary::new(unembedding);
        for layer in 0..model.config().layers {
            let outputs = model.neuron_outputs(layer);
            let effects = vocabulary.effects(outputs.view());
            for (row, effects) in outputs.outer_iter().zip(effects.outer_iter()) {
                let mean = |class: bool| {
                    let own = effects.iter().zip(&ending).filter(|(_, e)| **e == class);
                    let values: Vec<f64> = own.map(|(v, _)| *v).collect();
                    values.iter().sum::<f64>() / values.len() as f64
                };
                let expected = mean(true) - mean(false);
                let found = effect(row, &direction);
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
        }
        assert_eq!(
            contrast(&model.folded_unembedding(), &vec![false; ending.len()]),
            None
        );
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
