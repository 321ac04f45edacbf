//! Probes for the ending of the next token: `suffix-probe` (paper B.10 and C.4).
//!
//! An example is 24 tokens of a document and the token after them; its label is whether that token, stripped and in lower
//! case, ends in "ing". Classes are balanced within each document: for its tokens with the ending, the same number of other
//! tokens are taken, evenly spread over those that are letters only. Parts of speech are not distinguished, so the published
//! condition that a verb follows is not met. The features are neurons after the activation, at the last of the 24 tokens.
//!
//! Probes are logistic regressions with C = 1 on standardised features, in five folds by document. On each fold's training
//! part, neurons are ranked by the accuracy of their own probe, and ensembles take the first k. The recorded ranks are those of
//! the accuracies summed over the folds.

use super::chosen::Chosen;
use super::table::Record;
use crate::core::error::ExperimentError;
use crate::core::plain::check_finite;
use crate::core::published::published_name;
use crate::core::sample::Units;
use crate::core::subject::{Runs, Subject};
use crate::core::tables::Tables;
use crate::neurons::Kind;
use crate::suffix_neurons;
use crate::suffix_neurons::measure::{ENDING, endings};
use layerwise_corpus::Tokenizer;
use layerwise_kernels::vocabulary::{self, Summary};
use layerwise_metrics::{
    ClusteredMean, MetricsError, Standardizer, group_folds, logistic_regression,
};
use layerwise_sweep::{Failure, Measure, MeasureId, PlainResults, Reached, WorkBytes};
use layerwise_transformer::{Address, Batch, Model, ModelConfig, Observer, Site};
use ndarray::{Array2, ArrayViewD, Axis};

/// Tokens of an example before the token to predict.
const CONTEXT: usize = 24;
/// Neurons to probe.
const NEURONS: usize = 32;
/// Folds of the cross-validation.
const FOLDS: usize = 5;
/// Scikit-learn's C.
const INVERSE_PENALTY: f64 = 1.0;
/// The most examples of each class (B.10's proposal), and the fewest.
const MOST: usize = 5_000;
const LEAST: usize = 50;

/// The published neurons of GPT-2 XL (C.4): layer, neuron, and whether it suppresses.
const GPT2_XL: [(usize, usize, bool); NEURONS] = [
    (46, 4888, true),
    (47, 1678, true),
    (43, 1157, true),
    (36, 267, true),
    (39, 909, false),
    (36, 2973, false),
    (41, 2155, false),
    (44, 2890, false),
    (45, 1184, false),
    (30, 3370, false),
    (46, 5578, true),
    (33, 1484, false),
    (33, 143, false),
    (29, 2673, false),
    (33, 5111, true),
    (39, 2211, false),
    (42, 1434, true),
    (45, 588, false),
    (37, 3822, false),
    (44, 5139, false),
    (31, 5541, false),
    (33, 5101, false),
    (36, 3273, false),
    (33, 1689, false),
    (33, 2540, false),
    (41, 6359, false),
    (24, 3822, true),
    (41, 2219, false),
    (36, 1912, false),
    (45, 5128, true),
    (31, 2843, false),
    (34, 2122, false),
];

/// A neuron to probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Neuron {
    layer: usize,
    index: usize,
    kind: Kind,
}

/// Where an example ends, and its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    document: usize,
    /// Index of the token to predict.
    token: usize,
    label: bool,
}

/// The examples as numbers.
struct Examples {
    /// Document of each; examples are in the order of documents.
    documents: Vec<usize>,
    labels: Vec<bool>,
    /// \[examples, neurons\].
    features: Array2<f32>,
    /// Whether the model's most probable token has the ending exactly when the true one has.
    model_right: Vec<bool>,
}

/// Records the probes of one model; `results` contains its `suffix_neurons`.
///
/// # Errors
/// The tokenizer is invalid, a probe cannot be fitted, a journal cannot be used, or the user interrupts.
pub(super) fn measure(
    subject: &Subject<'_>,
    tables: &mut Tables,
) -> Result<Vec<String>, ExperimentError> {
    let empty = |why: String| Ok(vec![format!("suffix-probe is left empty: {why}")]);
    let model = subject.model;
    let Some(tokenizer) = subject.tokenizer else {
        return empty(format!(
            "there is no tokenizer.json to tell which tokens end in {ENDING:?}"
        ));
    };
    let neurons = neurons(subject, tables);
    if neurons.is_empty() {
        return empty("suffix-neurons names no neuron".to_owned());
    }
    let ending = endings(tokenizer, model.config().vocab)?;
    let word = words(tokenizer, &ending)?;
    let (sequences, bos) = (subject.text.sequences(), subject.text.bos);
    let places = places(sequences, bos, &ending, &word);
    let (count, documents) = (places.len() / 2, documents(&places));
    if count < LEAST || documents < FOLDS {
        return empty(format!(
            "expected {LEAST} tokens of the corpus that end in {ENDING:?} after {CONTEXT} others, in {FOLDS} documents; \
             found {count} in {documents}"
        ));
    }
    let input = |place: &Place| -> Vec<u32> {
        let tokens = &sequences[place.document][place.token - CONTEXT..place.token];
        let mut input = Vec::with_capacity(CONTEXT + 1);
        input.extend(bos);
        input.extend(tokens);
        input
    };
    let example = size_of::<Vec<u32>>() + (CONTEXT + 1) * size_of::<u32>() + 16;
    let _contexts = subject.runs.hold("contexts", places.len() * example)?;
    let contexts: Vec<Vec<u32>> = places.iter().map(input).collect();
    let measure = Contexts { neurons: &neurons };
    let read = subject.runs.plain(&measure, &contexts)?;
    let _examples = subject
        .runs
        .hold("examples", examples_bytes(places.len(), neurons.len()))?;
    let examples = Examples {
        documents: places.iter().map(|place| place.document).collect(),
        labels: places.iter().map(|place| place.label).collect(),
        features: Array2::from_shape_fn((read.len(), neurons.len()), |(e, n)| {
            f32::from_bits(read[e].0[n])
        }),
        model_right: read
            .iter()
            .zip(&places)
            .map(|((_, argmax), place)| ending.get(*argmax as usize) == Some(&place.label))
            .collect(),
    };
    record(subject, &neurons, &examples, tables)?;
    Ok(Vec::new())
}

/// GPT-2 XL's published neurons, or the first of `suffix_neurons`.
fn neurons(subject: &Subject<'_>, tables: &Tables) -> Vec<Neuron> {
    let config = subject.model.config();
    if published_name(subject.name) == Some("gpt2-xl")
        && (config.layers, config.neurons) == (48, 6400)
    {
        let published = GPT2_XL.iter().map(|&(layer, index, suppresses)| Neuron {
            layer,
            index,
            kind: if suppresses {
                Kind::Suppression
            } else {
                Kind::Prediction
            },
        });
        return published.collect();
    }
    let own = tables.of::<suffix_neurons::Record>().iter();
    own.filter(|record| record.model == subject.name && record.rank <= NEURONS)
        .map(|record| Neuron {
            layer: record.layer,
            index: record.neuron,
            kind: record.kind,
        })
        .collect()
}

/// Tokens that are letters only, except for a space before them, and do not have the ending.
fn words(tokenizer: &Tokenizer, ending: &[bool]) -> Result<Vec<bool>, ExperimentError> {
    let ids = 0..ending.len() as u32;
    ids.zip(ending)
        .map(|(id, &ending)| {
            let text = tokenizer.decode(&[id])?;
            let letters = text.trim();
            let is_word = !letters.is_empty() && letters.bytes().all(|b| b.is_ascii_alphabetic());
            Ok(is_word && !ending)
        })
        .collect()
}

/// Examples of both classes, as many of each in every document, in the order of the corpus.
fn places(sequences: &[Vec<u32>], bos: Option<u32>, ending: &[bool], word: &[bool]) -> Vec<Place> {
    let mut places = Vec::new();
    for (document, tokens) in sequences.iter().enumerate() {
        let begins = bos.is_some() && tokens.first().copied() == bos;
        let first = CONTEXT + usize::from(begins);
        let of = |class: &[bool]| -> Vec<usize> {
            let all = first..tokens.len();
            all.filter(|&token| class[tokens[token] as usize]).collect()
        };
        let (with, without) = (of(ending), of(word));
        let room = MOST - places.len() / 2;
        let count = with.len().min(without.len()).min(room);
        for index in 0..count {
            let place = |tokens: &[usize], label: bool| Place {
                document,
                token: tokens[index * tokens.len() / count],
                label,
            };
            places.extend([place(&with, true), place(&without, false)]);
        }
    }
    places
}

fn documents(places: &[Place]) -> usize {
    places.chunk_by(|a, b| a.document == b.document).count()
}

/// The most bytes that [`Examples`] take.
fn examples_bytes(examples: usize, neurons: usize) -> usize {
    examples * (neurons * size_of::<f32>() + size_of::<usize>() + 2)
}

/// The chosen neurons at the last token of each context, and the most probable next token.
struct Contexts<'a> {
    neurons: &'a [Neuron],
}

impl Measure for Contexts<'_> {
    type Item = Vec<u32>;
    type Observer<'b>
        = Collector<'b>
    where
        Self: 'b;
    type Reference = ();
    /// The neurons as exact bits, since JSON has no number for NaN; and the token.
    type Sums = (Vec<u32>, u32);

    fn id(&self) -> MeasureId {
        MeasureId::new("suffix-probe", 2).with_settings(format!("{:?}", self.neurons))
    }

    fn unit(&self) -> &'static str {
        "context"
    }

    fn batch(&self, tokens: &Vec<u32>) -> Batch {
        tokens.into()
    }

    fn least_tokens(&self) -> usize {
        1
    }

    fn observer<'b>(&'b self, _: &'b Model, _: &'b Vec<u32>) -> Option<Collector<'b>> {
        Some(Collector {
            neurons: self.neurons,
            values: vec![0.0; self.neurons.len()],
        })
    }

    fn plain(
        &self,
        reached: &Reached<'_, Vec<u32>>,
        observed: Option<Collector<'_>>,
    ) -> Result<((), Self::Sums), Failure> {
        let mut read = self
            .plain_of_all(std::slice::from_ref(reached), vec![observed])
            .map_err(|(_, failure)| failure)?;
        Ok(read.remove(0))
    }

    /// Never called: there are no altered schedules.
    fn altered(&self, _: &Reached<'_, Vec<u32>>, (): &()) -> Result<Self::Sums, Failure> {
        Ok(Self::Sums::default())
    }

    /// One pass over the vocabulary serves all contexts.
    fn plain_of_all<'b>(
        &'b self,
        reached: &[Reached<'_, Vec<u32>>],
        observed: Vec<Option<Collector<'b>>>,
    ) -> Result<PlainResults<(), Self::Sums>, (usize, Failure)> {
        let model = reached[0].model;
        let mut last = Array2::zeros((reached.len(), model.config().model));
        for (at, (mut row, reached)) in last.outer_iter_mut().zip(reached).enumerate() {
            check_finite(reached).map_err(|failure| (at, failure))?;
            row.assign(&reached.states.row(reached.states.nrows() - 1));
        }
        let normed = model.final_norm(last.view());
        let summaries = vocabulary::pass(normed.view(), model.unembedding(), &[]);
        let read = observed.into_iter().zip(summaries);
        let read = read.map(|(observed, summary)| {
            let values = observed.into_iter().flat_map(|collector| collector.values);
            ((), (values.map(f32::to_bits).collect(), summary.argmax))
        });
        Ok(read.collect())
    }

    fn fits(&self, (bits, _): &Self::Sums) -> bool {
        bits.len() == self.neurons.len()
    }

    fn kept_bytes(&self, _: &ModelConfig, _: usize, _: usize) -> usize {
        3 * self.neurons.len() * size_of::<f32>()
    }

    /// Last states, before and after the norm, and a tile of logits.
    fn reading_bytes(&self, config: &ModelConfig, seq: usize) -> usize {
        2 * seq * config.model * size_of::<f32>()
            + vocabulary::most_bytes(seq, config.model, config.vocab)
            + 2 * seq * size_of::<Summary>()
    }

    fn result_bytes(&self, _: &ModelConfig, items: &[Vec<u32>], _: usize) -> usize {
        2 * items.len() * self.neurons.len() * size_of::<u32>()
    }
}

/// Keeps the chosen neurons at the last token.
struct Collector<'a> {
    neurons: &'a [Neuron],
    values: Vec<f32>,
}

impl Observer for Collector<'_> {
    fn wants(&self, address: Address) -> bool {
        let here = |neuron: &Neuron| Some(neuron.layer) == address.block;
        address.site == Site::MlpPost && self.neurons.iter().any(here)
    }

    fn observe(&mut self, address: Address, activation: ArrayViewD<'_, f32>) {
        let last = activation.shape()[0] - 1;
        for (neuron, value) in self.neurons.iter().zip(&mut self.values) {
            if Some(neuron.layer) == address.block {
                *value = activation[[last, neuron.index]];
            }
        }
    }
}

/// The sample, with documents as units.
const SAMPLE: &str = "documents with the suffix";

/// The results of one fold.
#[derive(Clone)]
struct Fold {
    /// Examples of the training part that each neuron's probe got right.
    trained: Vec<usize>,
    /// The test examples.
    test: Vec<usize>,
    /// Whether each neuron's probe is right, \[neurons\]\[test\].
    single: Vec<Vec<bool>>,
    /// Whether the probe of the first k is right, \[k − 1\]\[test\].
    ensemble: Vec<Vec<bool>>,
    /// Neurons by their accuracy on the training part.
    ranking: Vec<usize>,
    /// The number of neurons, minus 1, of the ensemble that is best on the training part; of equal ones the first.
    chosen: usize,
}

/// The most bytes that a fold takes: features before and after standardisation, and again for some of the neurons; and whether
/// each probe is right.
fn fold_bytes(examples: usize, neurons: usize) -> WorkBytes {
    let answers = 2 * neurons * examples + 2 * examples * size_of::<usize>();
    WorkBytes {
        reading: examples * neurons * (size_of::<f32>() + 3 * size_of::<f64>())
            + 16 * (examples + neurons) * size_of::<f64>()
            + answers,
        result: answers,
    }
}

/// Trains on the examples outside the fold, tests on those within.
fn fold(
    runs: &Runs<'_>,
    examples: &Examples,
    folds: &[usize],
    fold: usize,
) -> Result<Fold, ExperimentError> {
    let part = |within: bool| -> Vec<usize> {
        let all = 0..folds.len();
        all.filter(|&example| (folds[example] == fold) == within)
            .collect()
    };
    let (train, test) = (part(false), part(true));
    let labels: Vec<bool> = train.iter().map(|&e| examples.labels[e]).collect();
    let raw = examples.features.select(Axis(0), &train);
    let standardizer = Standardizer::fit(raw.view())?;
    let x = standardizer.apply(raw.view())?;
    let test_x = standardizer.apply(examples.features.select(Axis(0), &test).view())?;
    let probe = |columns: &[usize]| -> Result<(Vec<bool>, Vec<bool>), ExperimentError> {
        runs.go_on()?;
        let own = x.select(Axis(1), columns);
        let fit = logistic_regression(own.view(), &labels, INVERSE_PENALTY)?;
        let right = |x: &Array2<f64>, examples_of: &[usize]| -> Result<Vec<bool>, MetricsError> {
            let odds = fit.log_odds(x.select(Axis(1), columns).view())?;
            let answers = odds.iter().zip(examples_of);
            let right = answers.map(|(&odds, &example)| (odds > 0.0) == examples.labels[example]);
            Ok(right.collect())
        };
        Ok((right(&x, &train)?, right(&test_x, &test)?))
    };
    let (mut trained, mut single) = (Vec::new(), Vec::new());
    for neuron in 0..x.ncols() {
        let (on_train, on_test) = probe(&[neuron])?;
        trained.push(on_train.into_iter().filter(|&right| right).count());
        single.push(on_test);
    }
    let mut ranking: Vec<usize> = (0..x.ncols()).collect();
    // The sort is stable: of equal neurons, the one with the larger effect comes first.
    ranking.sort_by_key(|&neuron| usize::MAX - trained[neuron]);
    let (mut chosen, mut most) = (0, 0);
    let mut ensemble = Vec::new();
    for k in 1..=ranking.len() {
        let (on_train, on_test) = probe(&ranking[..k])?;
        let right = on_train.into_iter().filter(|&right| right).count();
        if right > most {
            (chosen, most) = (k - 1, right);
        }
        ensemble.push(on_test);
    }
    Ok(Fold {
        trained,
        test,
        single,
        ensemble,
        ranking,
        chosen,
    })
}

fn record(
    subject: &Subject<'_>,
    neurons: &[Neuron],
    examples: &Examples,
    tables: &mut Tables,
) -> Result<(), ExperimentError> {
    let assigned = group_folds(&examples.documents, FOLDS)?;
    let numbers: Vec<usize> = (0..FOLDS).collect();
    let bytes = fold_bytes(examples.labels.len(), neurons.len());
    let folds = subject.runs.over(&numbers, bytes, |_, &number| {
        fold(&subject.runs, examples, &assigned, number)
    })?;
    let folds: &[Fold] = &folds;
    let mut ranking: Vec<usize> = (0..neurons.len()).collect();
    ranking.sort_by_key(|&neuron| {
        usize::MAX - folds.iter().map(|fold| fold.trained[neuron]).sum::<usize>()
    });
    // Test answers of all folds, in the order of the examples.
    let gather = |answers: &dyn Fn(&Fold) -> Vec<bool>| {
        let mut all = vec![false; examples.labels.len()];
        for fold in folds {
            for (&example, right) in fold.test.iter().zip(answers(fold)) {
                all[example] = right;
            }
        }
        accuracy(&examples.documents, &all)
    };
    let model_line = accuracy(&examples.documents, &examples.model_right);
    let first = |fold: &Fold, counts: &dyn Fn(Kind) -> bool| -> Option<usize> {
        let ranking = fold.ranking.iter();
        ranking
            .copied()
            .find(|&neuron| counts(neurons[neuron].kind))
    };
    let is_suppressing = |kind: Kind| kind == Kind::Suppression;
    type Answers<'a> = &'a dyn Fn(&Fold) -> Option<Vec<bool>>;
    let chosen: [(Chosen, Answers<'_>); 4] = [
        (Chosen::Single, &|fold| {
            Some(fold.single[first(fold, &|_| true)?].clone())
        }),
        (Chosen::Suppression, &|fold| {
            Some(fold.single[first(fold, &is_suppressing)?].clone())
        }),
        (Chosen::Other, &|fold| {
            Some(fold.single[first(fold, &|kind| !is_suppressing(kind))?].clone())
        }),
        (Chosen::Ensemble, &|fold| {
            Some(fold.ensemble.get(fold.chosen)?.clone())
        }),
    ];
    let mut chosen: Vec<(Chosen, ClusteredMean)> = chosen
        .into_iter()
        .filter(|(_, answers)| folds.iter().all(|fold| answers(fold).is_some()))
        .map(|(what, answers)| (what, gather(&|fold| answers(fold).unwrap_or_default())))
        .collect();
    chosen.push((Chosen::Model, model_line.clone()));
    for (what, accuracy) in &chosen {
        let curve = what.curve();
        tables.push(Units::of(subject.name, curve, SAMPLE, 0, accuracy));
    }
    let config = subject.model.config();
    for (at, &index) in ranking.iter().enumerate() {
        let single = gather(&|fold| fold.single[index].clone());
        let ensemble = gather(&|fold| fold.ensemble[at].clone());
        let mean = |accuracy: &ClusteredMean| accuracy.mean().unwrap_or(f64::NAN);
        tables.push(Record {
            model: subject.name.to_owned(),
            model_type: subject.model_type().to_owned(),
            rank: at + 1,
            layer: neurons[index].layer,
            layers: config.layers,
            neuron: neurons[index].index,
            kind: neurons[index].kind,
            single_accuracy: mean(&single),
            single_accuracy_se: single.standard_error(),
            ensemble_accuracy: mean(&ensemble),
            ensemble_accuracy_se: ensemble.standard_error(),
            model_accuracy: mean(&model_line),
            model_accuracy_se: model_line.standard_error(),
            examples: examples.labels.len() as u64,
        });
    }
    Ok(())
}

/// Mean over examples, clustered by document.
fn accuracy(documents: &[usize], right: &[bool]) -> ClusteredMean {
    let mut accuracy = ClusteredMean::new();
    let mut start = 0;
    for own in documents.chunk_by(|a, b| a == b) {
        let rights = right[start..start + own.len()].iter();
        accuracy.push(
            rights.filter(|&&right| right).count() as f64,
            own.len() as u64,
        );
        start += own.len();
    }
    accuracy
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::runs;
    use layerwise_schedule::Schedule;
    use layerwise_transformer::Recording;

    #[test]
    fn the_published_neurons_are_those_of_the_specification() {
        let suppression = GPT2_XL.iter().filter(|neuron| neuron.2).count();
        assert_eq!((suppression, GPT2_XL.len() - suppression), (9, 23));
        assert!(
            GPT2_XL
                .iter()
                .all(|neuron| neuron.0 < 48 && neuron.1 < 6400)
        );
        let distinct: std::collections::BTreeSet<_> = GPT2_XL.iter().collect();
        assert_eq!(distinct.len(), NEURONS);
    }

    #[test]
    fn classes_are_balanced_within_each_document() {
        // Token 0 is BOS, 1 has the ending, 2 is a word, 3 is neither.
        let (ending, word) = ([false, true, false, false], [false, false, true, false]);
        let document = |tokens: &[u32]| {
            let mut all = vec![0];
            all.extend([1; 12]);
            all.extend([2; 12]);
            all.extend(tokens);
            all
        };
        let sequences = [
            document(&[1, 3, 2, 2, 1, 2, 2]),
            document(&[1, 1, 1]),
            vec![0, 1, 2],
            document(&[2, 1, 1]),
        ];
        let found = places(&sequences, Some(0), &ending, &word);
        let expected = [
            (0, 25, true),
            (0, 27, false),
            (0, 29, true),
            (0, 30, false),
            (3, 26, true),
            (3, 25, false),
        ];
        let expected = expected.map(|(document, token, label)| Place {
            document,
            token,
            label,
        });
        assert_eq!(found, expected);
        assert_eq!(documents(&found), 2);
        // Without BOS the context begins at the first token.
        let found = places(&sequences[3..], None, &ending, &word);
        assert_eq!(found.len(), 4);
        assert_eq!(found[1].token, 24);
    }

    #[test]
    fn features_are_the_neurons_after_the_last_context_token() {
        let model = Model::random(ModelConfig::tiny(), 6);
        let neuron = |layer, index| Neuron {
            layer,
            index,
            kind: Kind::Other,
        };
        let neurons = [neuron(2, 5), neuron(0, 1), neuron(2, 0)];
        let context = |first: u32| (0..10).map(|i| (i * 11 + first) % 50).collect();
        let contexts: Vec<Vec<u32>> = (2..9).map(context).collect();
        let measure = Contexts { neurons: &neurons };
        let found = runs(&model, 2).plain(&measure, &contexts).unwrap();
        let plain = Schedule::plain(model.stack()).unwrap();
        for (tokens, (bits, argmax)) in contexts.iter().zip(found.iter()) {
            let mut recording =
                Recording::of(model.config(), &[Site::MlpPost, Site::Logits]).unwrap();
            let logits = model
                .observed_logits(tokens, &plain, &mut recording)
                .unwrap();
            for (neuron, bits) in neurons.iter().zip(bits) {
                let post = recording.get(Some(neuron.layer), Site::MlpPost).unwrap();
                assert_eq!(*bits, post[[9, neuron.index]].to_bits());
            }
            let row = logits.row(9);
            let best = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert!(row[*argmax as usize] >= best - 1e-5);
        }
    }

    fn examples() -> Examples {
        let mut state = 5_u64;
        let mut noise = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        let labels: Vec<bool> = (0..200).map(|e| e % 2 == 0).collect();
        // The first neuron carries no information, the second half of it, the third all.
        let features = Array2::from_shape_fn((200, 3), |(e, n)| {
            let sign = if e % 2 == 0 { 1.0 } else { -1.0 };
            match n {
                0 => noise(),
                1 => sign * 0.3 + noise(),
                _ => sign * 3.0 + noise(),
            }
        });
        Examples {
            documents: (0..200).map(|e| e / 10).collect(),
            labels,
            features,
            model_right: vec![true; 200],
        }
    }

    #[test]
    fn neurons_are_ranked_by_what_they_know() {
        let model = Model::random(ModelConfig::tiny(), 6);
        let examples = examples();
        let folds = group_folds(&examples.documents, FOLDS).unwrap();
        let mut tested = vec![0; 200];
        for number in 0..FOLDS {
            let fold = fold(&runs(&model, 1), &examples, &folds, number).unwrap();
            assert!(fold.trained.is_sorted(), "{:?}", fold.trained);
            assert!(fold.single[2].iter().all(|right| *right));
            assert_eq!(fold.single[2], fold.ensemble[0]);
            assert_eq!(fold.ensemble.len(), 3);
            for &example in &fold.test {
                tested[example] += 1;
                let own = |other: &usize| examples.documents[*other] == examples.documents[example];
                let of_document = (0..200).filter(own).count();
                let within = fold.test.iter().filter(|e| own(e)).count();
                assert_eq!(of_document, within, "a document is on one side");
            }
        }
        assert_eq!(tested, vec![1; 200]);
    }

    #[test]
    fn accuracies_are_clustered_by_document() {
        let found = accuracy(&[0, 0, 4, 4], &[true, true, true, false]);
        assert_eq!(
            (found.mean(), found.count(), found.clusters().len()),
            (Some(0.75), 4, 2)
        );
        assert!((found.standard_error().unwrap() - 0.25).abs() < 1e-12);
    }
}
