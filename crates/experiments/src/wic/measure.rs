//! Word senses read from the residual streams: `wic` (paper B.12 and F.3).
//!
//! A word in a context is represented, for each residual stream, by the mean of its tokens' states. Text after the word cannot
//! change them and does not run, and occurrences in equal contexts run once. There are two ways of reading the label:
//!
//! - a probe: logistic regression on \[h₁; h₂; |h₁−h₂|; h₁⊙h₂\], standardised on the training pairs, with the penalty of
//!   `INVERSE_PENALTIES` that is best on the development pairs (of equal ones the first);
//! - a cosine above a threshold that is chosen from 0, 0.05, …, 0.95 on the development pairs. Before that, within every 30
//!   consecutive pairs, each dimension is centred and divided by its sample standard deviation plus 10⁻⁶, over the first
//!   words of the pairs and over the second ones.

use super::data::{Occurrence, Pair, Pairs};
use super::table::{Method, Record};
use crate::core::error::{ExperimentError, Place};
use crate::core::floats::Floats;
use crate::core::models::state_depth;
use crate::core::plain::check_finite;
use crate::core::sample::Units;
use crate::core::subject::{Runs, Subject};
use crate::core::tables::Tables;
use layerwise_corpus::Tokenizer;
use layerwise_metrics::{
    Anisotropy, ClusteredMean, Standardizer, cosine, logistic_regression_while, threshold,
};
use layerwise_sweep::{Failure, Measure, MeasureId, Reached, WorkBytes, cost};
use layerwise_transformer::{Address, Batch, Model, ModelConfig, Observer, Site};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewD, Axis};
use std::collections::BTreeMap;
use std::ops::Range;

/// The inverse penalties C to choose from on the development pairs (scikit-learn's C).
const INVERSE_PENALTIES: [f64; 4] = [1e-5, 1e-4, 1e-3, 1e-2];
/// Pairs over which the cosine's dimensions are standardised.
const BATCH: usize = 30;
/// Bytes of states in memory at once; more states take further runs of the model. This does not depend on the available memory,
/// so that every process reuses the same journals.
const MOST_STATES: usize = 1 << 30;

/// A context as tokens, cut after the word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Input {
    tokens: Vec<u32>,
    /// The index of the word's first token; the word's tokens are the last ones.
    word: usize,
}

/// A split as indices into the distinct inputs.
struct Split<'a> {
    pairs: &'a [Pair],
    inputs: Vec<[usize; 2]>,
}

impl Split<'_> {
    fn labels(&self) -> Vec<bool> {
        self.pairs.iter().map(|pair| pair.same).collect()
    }
}

/// The distinct inputs in the order in which they come up, and the splits: training, development, test.
fn distinct<'a>(
    subject: &Subject<'_>,
    tokenizer: &Tokenizer,
    pairs: &'a Pairs,
) -> Result<(Vec<Input>, [Split<'a>; 3]), ExperimentError> {
    let (bos, context) = (subject.bos, subject.model.config().context);
    let mut known: BTreeMap<Input, usize> = BTreeMap::new();
    let mut index = |occurrence: &Occurrence| -> Result<usize, ExperimentError> {
        let input = Input::new(tokenizer, bos, occurrence, context)?;
        let next = known.len();
        Ok(*known.entry(input).or_insert(next))
    };
    let mut split = |pairs: &'a [Pair]| -> Result<Split<'a>, ExperimentError> {
        let mut inputs = Vec::new();
        for pair in pairs {
            let [first, second] = &pair.occurrences;
            inputs.push([index(first)?, index(second)?]);
        }
        Ok(Split { pairs, inputs })
    };
    let splits = [
        split(&pairs.train)?,
        split(&pairs.dev)?,
        split(&pairs.test)?,
    ];
    let mut inputs = vec![None; known.len()];
    for (input, index) in known {
        inputs[index] = Some(input);
    }
    Ok((inputs.into_iter().flatten().collect(), splits))
}

/// Multiply-adds of the runs; the probes are not counted.
///
/// # Errors
/// A text cannot be encoded.
pub(super) fn work(subject: &Subject<'_>) -> Result<f64, ExperimentError> {
    let (Some(tokenizer), Some(pairs)) = (subject.tokenizer, subject.data.get::<Pairs>()) else {
        return Ok(0.0);
    };
    let (inputs, _) = distinct(subject, tokenizer, pairs)?;
    let tokens = inputs.iter().map(|input| input.tokens.len()).sum();
    Ok(cost::of_plain(subject.model, tokens))
}

/// Records the accuracy of both methods on every residual stream.
///
/// # Errors
/// A text cannot be encoded, no probe can be fitted to the pairs, or the user interrupts.
pub(super) fn measure(subject: &Subject<'_>, tables: &mut Tables) -> Result<(), ExperimentError> {
    let (Some(tokenizer), Some(pairs)) = (subject.tokenizer, subject.data.get::<Pairs>()) else {
        return Ok(());
    };
    let config = subject.model.config();
    let _inputs = subject
        .runs
        .hold("occurrences of words", inputs_bytes(pairs))?;
    let (inputs, [train, dev, test]) = distinct(subject, tokenizer, pairs)?;
    let state_bytes = inputs.len() * config.model * size_of::<f32>();
    let at_once = (MOST_STATES / state_bytes.max(1)).max(1);
    let all: Vec<usize> = (0..=config.layers).collect();
    let bytes = WorkBytes {
        reading: state_bytes + probe_bytes(config.model, [&train, &dev, &test]),
        // For each method, the words of the test.
        result: 2 * 2 * test.pairs.len() * size_of::<(f64, u64)>(),
    };
    for states in all.chunks(at_once) {
        let measure = Senses {
            states: states[0]..states[states.len() - 1] + 1,
            width: config.model,
        };
        let means = subject.runs.plain(&measure, &inputs)?;
        let outcomes = subject.runs.over(states, bytes, |at, &state| {
            let words = measure.words(&means, at);
            let probe = probe(&subject.runs, words.view(), [&train, &dev, &test]);
            let probe = probe.at(|| format!("the probe of residual stream {state}"))?;
            Ok([
                (Method::Probe, probe),
                (Method::Cosine, by_cosine(words.view(), &dev, &test)?),
            ])
        })?;
        for (&state, outcomes) in states.iter().zip(outcomes.iter()) {
            for &(method, (chosen, ref accuracy)) in outcomes {
                if method == Method::Probe {
                    let sample = format!("words of {}", pairs.name);
                    let curve = curve_name(pairs.name);
                    tables.push(Units::of(subject.name, &curve, &sample, state, accuracy));
                }
                tables.push(Record {
                    model: subject.name.to_owned(),
                    model_type: subject.model_type().to_owned(),
                    pairs_of: pairs.name.to_owned(),
                    method,
                    state,
                    layers: config.layers,
                    relative_depth: state_depth(state, config.layers),
                    accuracy: accuracy.mean().unwrap_or(f64::NAN),
                    accuracy_se: accuracy.standard_error(),
                    chosen,
                    train_pairs: train.pairs.len() as u64,
                    dev_pairs: dev.pairs.len() as u64,
                    test_pairs: test.pairs.len() as u64,
                });
            }
        }
    }
    Ok(())
}

/// The curve of the probe's accuracy by residual stream, over words.
pub(super) fn curve_name(pairs_of: &str) -> String {
    format!("probe accuracy {pairs_of}")
}

/// The most bytes that the occurrences of pairs take as tokens, with their indices.
fn inputs_bytes(pairs: &Pairs) -> usize {
    let all = [&pairs.train, &pairs.dev, &pairs.test];
    let occurrences = all.into_iter().flatten().flat_map(|pair| &pair.occurrences);
    // In a map and in a list; every token covers at least one byte, and a list of tokens grows by doubling.
    let bytes = occurrences.map(|occurrence| {
        4 * size_of::<Input>() + 64 + 2 * (occurrence.text.len() + 1) * size_of::<u32>()
    });
    bytes.sum()
}

/// The most bytes that the probe of one residual stream takes.
fn probe_bytes(width: usize, splits: [&Split<'_>; 3]) -> usize {
    let pairs: usize = splits.iter().map(|split| split.pairs.len()).sum();
    let features = 4 * width;
    // Features before and after standardisation; vectors of the fit; standardised words of a batch.
    pairs * features * (size_of::<f32>() + size_of::<f64>())
        + 24 * (features + pairs) * size_of::<f64>()
        + 4 * BATCH * width * size_of::<f64>()
        // Words and cosines of the answers.
        + pairs * 160
}

impl Input {
    fn new(
        tokenizer: &Tokenizer,
        bos: Option<u32>,
        occurrence: &Occurrence,
        positions: usize,
    ) -> Result<Self, ExperimentError> {
        let spans = tokenizer.encode_with_spans(&occurrence.text)?;
        let Some(word) = occurrence.tokens(&spans) else {
            let own = occurrence.text.get(occurrence.word.clone());
            let own = own.unwrap_or_default();
            let expected = format!("tokens of {own:?} in {:?}", occurrence.text);
            return Err(ExperimentError::unexpected(expected, "none"));
        };
        let ids = spans[..word.end].iter().map(|(id, _)| *id);
        let mut tokens: Vec<u32> = bos.into_iter().chain(ids).collect();
        let first = word.start + usize::from(bos.is_some());
        // A text longer than the model's context loses its beginning.
        let cut = tokens.len().saturating_sub(positions);
        if cut > first {
            let expected = format!("a word of at most {positions} tokens, the model's context");
            let found = (tokens.len() - first).to_string();
            return Err(ExperimentError::unexpected(expected, found));
        }
        tokens.drain(..cut);
        Ok(Self {
            tokens,
            word: first - cut,
        })
    }
}

/// Collects the mean state of one word in a range of residual streams.
struct Collector {
    states: Range<usize>,
    word: usize,
    /// \[states, model\].
    means: Array2<f32>,
}

/// The mean state of each word in a range of residual streams, \[states, model\].
struct Senses {
    states: Range<usize>,
    /// Bytes for a residual stream.
    width: usize,
}

impl Senses {
    /// The words in the residual stream at index `at` of the states, \[inputs, model\].
    fn words(&self, means: &[Floats], at: usize) -> Array2<f32> {
        let mut words = Array2::zeros((means.len(), self.width));
        for (mut row, Floats(means)) in words.outer_iter_mut().zip(means) {
            row.assign(&ArrayView1::from(&means[at * self.width..][..self.width]));
        }
        words
    }

    fn bytes(&self) -> usize {
        self.states.len() * self.width * size_of::<f32>()
    }
}

impl Measure for Senses {
    type Item = Input;
    type Observer<'a> = Collector;
    type Reference = ();
    type Sums = Floats;

    fn id(&self) -> MeasureId {
        MeasureId::new("wic", 1).with_settings(format!("{:?}", self.states))
    }

    fn unit(&self) -> &'static str {
        "occurrence"
    }

    fn batch(&self, input: &Input) -> Batch {
        Batch::from(&input.tokens)
    }

    fn least_tokens(&self) -> usize {
        1
    }

    fn particulars(&self, input: &Input) -> Vec<u32> {
        vec![input.word as u32]
    }

    fn observer<'a>(&'a self, _: &'a Model, input: &'a Input) -> Option<Collector> {
        Some(Collector {
            states: self.states.clone(),
            word: input.word,
            means: Array2::zeros((self.states.len(), self.width)),
        })
    }

    fn plain(
        &self,
        reached: &Reached<'_, Input>,
        observed: Option<Collector>,
    ) -> Result<((), Floats), Failure> {
        check_finite(reached)?;
        let means = observed.map(|collector| collector.means.into_raw_vec_and_offset().0);
        Ok(((), Floats(means.unwrap_or_default())))
    }

    /// Never called: there are no altered schedules.
    fn altered(&self, _: &Reached<'_, Input>, (): &()) -> Result<Floats, Failure> {
        Ok(Floats::default())
    }

    fn fits(&self, Floats(means): &Floats) -> bool {
        means.len() * size_of::<f32>() == self.bytes()
    }

    fn kept_bytes(&self, _: &ModelConfig, _: usize, _: usize) -> usize {
        2 * self.bytes()
    }

    /// A sum and a mean.
    fn reading_bytes(&self, config: &ModelConfig, _: usize) -> usize {
        config.model * (size_of::<f64>() + size_of::<f32>())
    }

    fn result_bytes(&self, _: &ModelConfig, items: &[Input], _: usize) -> usize {
        items.len() * self.bytes()
    }
}

impl Collector {
    /// The residual stream of an address: 0 is the embedding, s the output of block s−1.
    fn state(address: Address) -> Option<usize> {
        match (address.site, address.block) {
            (Site::Embed, _) => Some(0),
            (Site::ResidPost, Some(block)) => Some(block + 1),
            _ => None,
        }
    }
}

impl Observer for Collector {
    fn wants(&self, address: Address) -> bool {
        Self::state(address).is_some_and(|state| self.states.contains(&state))
    }

    fn observe(&mut self, address: Address, activation: ArrayViewD<'_, f32>) {
        let state = Self::state(address).expect("only residual streams are wanted");
        let tokens = activation.slice_axis(Axis(0), (self.word..).into());
        let count = tokens.len_of(Axis(0)) as f64;
        let mut sums: Array1<f64> = Array1::zeros(self.means.ncols());
        for token in tokens.outer_iter() {
            sums.iter_mut()
                .zip(token.iter())
                .for_each(|(sum, &value)| *sum += f64::from(value));
        }
        let mut mean = self.means.row_mut(state - self.states.start);
        mean.assign(&sums.mapv(|sum| (sum / count) as f32));
    }
}

/// Accuracy on the test pairs, clustered by word.
fn accuracy(test: &Split<'_>, right: impl Fn(usize) -> bool) -> ClusteredMean {
    let mut words: BTreeMap<&str, (f64, u64)> = BTreeMap::new();
    for (index, pair) in test.pairs.iter().enumerate() {
        let (sum, count) = words.entry(&pair.word).or_default();
        *sum += f64::from(right(index));
        *count += 1;
    }
    let mut accuracy = ClusteredMean::new();
    for (sum, count) in words.into_values() {
        accuracy.push(sum, count);
    }
    accuracy
}

/// \[h₁; h₂; |h₁−h₂|; h₁⊙h₂\] of each pair, \[pairs, 4·model\].
fn features(words: ArrayView2<'_, f32>, split: &Split<'_>) -> Array2<f32> {
    let width = words.ncols();
    let mut features = Array2::zeros((split.inputs.len(), 4 * width));
    for (mut row, &[first, second]) in features.outer_iter_mut().zip(&split.inputs) {
        let (first, second) = (words.row(first), words.row(second));
        for index in 0..width {
            let (a, b) = (first[index], second[index]);
            row[index] = a;
            row[width + index] = b;
            row[2 * width + index] = (a - b).abs();
            row[3 * width + index] = a * b;
        }
    }
    features
}

/// The chosen C and the accuracy of the probe.
fn probe(
    runs: &Runs<'_>,
    words: ArrayView2<'_, f32>,
    [train, dev, test]: [&Split<'_>; 3],
) -> Result<(f64, ClusteredMean), ExperimentError> {
    let raw = features(words, train);
    let standardizer = Standardizer::fit(raw.view())?;
    let x = standardizer.apply(raw.view())?;
    drop(raw);
    let labels = train.labels();
    let samples = |split: &Split<'_>| standardizer.apply(features(words, split).view());
    let (dev_x, test_x) = (samples(dev)?, samples(test)?);
    let right = |log_odds: f64, same: bool| (log_odds > 0.0) == same;
    let mut best: Option<(usize, f64, Array1<f64>)> = None;
    for inverse_penalty in INVERSE_PENALTIES {
        let go_on = || runs.go_on().is_ok();
        let fit = logistic_regression_while(x.view(), &labels, inverse_penalty, &go_on);
        runs.go_on()?;
        let fit = fit?;
        let on_dev = fit.log_odds(dev_x.view())?;
        let answers = on_dev.iter().zip(dev.pairs);
        let count = answers
            .filter(|(odds, pair)| right(**odds, pair.same))
            .count();
        if best.as_ref().is_none_or(|(most, ..)| count > *most) {
            best = Some((count, inverse_penalty, fit.log_odds(test_x.view())?));
        }
    }
    let (_, chosen, log_odds) = best.expect("there are penalties to choose from");
    let accuracy = accuracy(test, |index| right(log_odds[index], test.pairs[index].same));
    Ok((chosen, accuracy))
}

/// The chosen threshold and the accuracy of the cosine.
fn by_cosine(
    words: ArrayView2<'_, f32>,
    dev: &Split<'_>,
    test: &Split<'_>,
) -> Result<(f64, ClusteredMean), ExperimentError> {
    let on_dev = cosines(words, dev)?;
    let samples: Vec<(f64, bool)> = on_dev.into_iter().zip(dev.labels()).collect();
    let chosen = threshold::best(&samples, &threshold::cosine_grid())?;
    let cosines = cosines(words, test)?;
    let accuracy = accuracy(test, |index| {
        (cosines[index] > chosen) == test.pairs[index].same
    });
    Ok((chosen, accuracy))
}

/// The cosine of each pair, with dimensions standardised within batches, separately for each side.
fn cosines(words: ArrayView2<'_, f32>, split: &Split<'_>) -> Result<Vec<f64>, ExperimentError> {
    let mut cosines = Vec::new();
    for batch in split.inputs.chunks(BATCH) {
        let shared = [0, 1].map(|side| {
            let own = batch.iter().map(|inputs| words.row(inputs[side]));
            Anisotropy::fit(own).at(|| format!("{} pairs in a batch of {BATCH}", batch.len()))
        });
        let [first, second] = shared;
        let (first, second) = (first?, second?);
        cosines.extend(batch.iter().map(|inputs| {
            let a = first.remove(words.row(inputs[0]));
            let b = second.remove(words.row(inputs[1]));
            // Words that agree in every dimension have no direction left.
            cosine(a.view(), b.view()).unwrap_or(0.0)
        }));
    }
    Ok(cosines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::{runs, tokenizer};
    use layerwise_schedule::Schedule;
    use layerwise_transformer::Recording;
    use ndarray::s;

    #[test]
    fn inputs_end_with_the_word() {
        let tokenizer = tokenizer();
        let text = "the representatives of the extraordinary people";
        let check = |word: &str, bos: Option<u32>, positions: usize| {
            let start = text.find(word).unwrap();
            let occurrence = Occurrence {
                text: text.to_owned(),
                word: start..start + word.len(),
            };
            let input = Input::new(&tokenizer, bos, &occurrence, positions).unwrap();
            let own = tokenizer.decode(&input.tokens[input.word..]).unwrap();
            assert_eq!(own.trim(), word);
            let all = tokenizer.decode(&input.tokens).unwrap();
            if positions == 64 {
                let before = &text[..start + word.len()];
                assert_eq!(
                    all,
                    if bos.is_some() {
                        format!("<|endoftext|>{before}")
                    } else {
                        before.to_owned()
                    }
                );
            } else {
                assert_eq!(input.tokens.len(), positions);
            }
        };
        check("representatives", None, 64);
        check("representatives", Some(0), 64);
        check("extraordinary", Some(0), 64);
        check("extraordinary", None, 5);
        check("the", None, 64);
    }

    #[test]
    fn vectors_are_means_of_the_residual_streams() {
        let model = Model::random(ModelConfig::tiny(), 4);
        let inputs = [
            Input {
                tokens: vec![3, 9, 12, 40],
                word: 2,
            },
            Input {
                tokens: vec![5, 6],
                word: 1,
            },
            Input {
                tokens: vec![7],
                word: 0,
            },
        ];
        let layers = model.config().layers;
        let measure = |states: Range<usize>| Senses {
            states,
            width: model.config().model,
        };
        let all = measure(0..layers + 1);
        let found = runs(&model, 1).plain(&all, &inputs).unwrap();
        let words: Vec<Array2<f32>> = (0..=layers).map(|at| all.words(&found, at)).collect();
        let plain = Schedule::plain(model.stack()).unwrap();
        for (at, input) in inputs.iter().enumerate() {
            let mut recording =
                Recording::of(model.config(), &[Site::Embed, Site::ResidPost]).unwrap();
            model.run(&input.tokens, &plain, &mut recording).unwrap();
            for (state, mean) in words.iter().map(|words| words.row(at)).enumerate() {
                let stream = match state {
                    0 => recording.get(None, Site::Embed),
                    _ => recording.get(Some(state - 1), Site::ResidPost),
                };
                let stream = stream
                    .unwrap()
                    .view()
                    .into_dimensionality::<ndarray::Ix2>()
                    .unwrap();
                let expected = stream
                    .slice(s![input.word.., ..])
                    .mean_axis(Axis(0))
                    .unwrap();
                for (found, expected) in mean.iter().zip(&expected) {
                    assert!((found - expected).abs() < 1e-6);
                }
            }
        }
        // Neither parts of the states nor threads change a bit.
        for states in [0..1, 0..2, 1..3, 2..layers + 1] {
            let part = measure(states.clone());
            let found = runs(&model, 3).plain(&part, &inputs).unwrap();
            for (at, state) in states.enumerate() {
                assert_eq!(part.words(&found, at), words[state]);
            }
        }
    }

    fn pairs(labels: &[bool]) -> Vec<Pair> {
        let occurrence = Occurrence {
            text: "w".to_owned(),
            word: 0..1,
        };
        let pair = |(index, &same): (usize, &bool)| Pair {
            word: format!("w{}", index / 4),
            part_of_speech: None,
            occurrences: [occurrence.clone(), occurrence.clone()],
            same,
        };
        labels.iter().enumerate().map(pair).collect()
    }

    #[test]
    fn features_are_both_their_difference_and_product() {
        let words = ndarray::array![[1.0_f32, -2.0], [3.0, 5.0]];
        let pairs = pairs(&[true]);
        let split = Split {
            pairs: &pairs,
            inputs: vec![[0, 1]],
        };
        let expected = ndarray::array![[1.0_f32, -2.0, 3.0, 5.0, 2.0, 7.0, 3.0, -10.0]];
        assert_eq!(features(words.view(), &split), expected);
    }

    /// Words in which the sign of the first four dimensions is the sense, with noise; the other dimensions are noise.
    fn senses(count: usize) -> (Array2<f32>, Vec<Pair>, Vec<[usize; 2]>) {
        let mut state = 1_u64;
        let mut noise = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        let words = Array2::from_shape_fn((2 * count, 6), |(word, dimension)| {
            let sign = if (word / 2 + word % 2 * (word / 4)) % 2 == 0 {
                3.0
            } else {
                -3.0
            };
            if dimension < 4 {
                sign + noise()
            } else {
                noise()
            }
        });
        let inputs: Vec<[usize; 2]> = (0..count).map(|pair| [2 * pair, 2 * pair + 1]).collect();
        let labels: Vec<bool> = inputs
            .iter()
            .map(|&[a, b]| (words[(a, 0)] > 0.0) == (words[(b, 0)] > 0.0))
            .collect();
        (words, pairs(&labels), inputs)
    }

    #[test]
    fn senses_that_are_there_are_found() {
        let (words, pairs, inputs) = senses(200);
        let part = |range: Range<usize>| Split {
            pairs: &pairs[range.clone()],
            inputs: inputs[range].to_vec(),
        };
        let (train, dev, test) = (part(0..100), part(100..150), part(150..200));
        assert!(test.labels().contains(&true) && test.labels().contains(&false));
        let model = Model::random(ModelConfig::tiny(), 4);
        let splits = [&train, &dev, &test];
        let (chosen, found) = probe(&runs(&model, 1), words.view(), splits).unwrap();
        assert!(INVERSE_PENALTIES.contains(&chosen));
        assert_eq!(found.mean(), Some(1.0));
        assert_eq!((found.count(), found.clusters().len()), (50, 13));
        let (_, found) = by_cosine(words.view(), &dev, &test).unwrap();
        assert!(found.mean().unwrap() > 0.8, "{found:?}");
    }

    #[test]
    fn cosines_are_of_standardised_words() {
        let words = ndarray::array![[1.0_f32, 10.0], [3.0, 10.0], [1.0, 10.0], [7.0, 10.0]];
        let pairs = pairs(&[true, false]);
        let split = Split {
            pairs: &pairs,
            inputs: vec![[0, 2], [1, 3]],
        };
        // The second dimension is constant; the first is 1, 3 on one side and 1, 7 on the other.
        let check = |split: &Split<'_>, expected: [f64; 2]| {
            let found = cosines(words.view(), split).unwrap();
            let mut near = found.iter().zip(expected);
            let is_near = near.all(|(found, expected)| (found - expected).abs() < 1e-9);
            assert!(is_near, "{found:?}");
        };
        check(&split, [1.0, 1.0]);
        let crossed = Split {
            pairs: &pairs,
            inputs: vec![[0, 3], [1, 2]],
        };
        check(&crossed, [-1.0, -1.0]);
        let alike = Split {
            pairs: &pairs,
            inputs: vec![[0, 2], [2, 0]],
        };
        check(&alike, [0.0, 0.0]);
        let alone = Split {
            pairs: &pairs[..1],
            inputs: vec![[0, 1]],
        };
        let error = cosines(words.view(), &alone).unwrap_err().to_string();
        assert!(error.starts_with("1 pairs in a batch of 30"), "{error}");
    }
}
