//! Word senses by the cosine of states: `lexical-semantics` (Fantastic Semantics, arXiv 2403.01509).
//!
//! Each side of a pair is read in six settings, from at most three texts: the text with the sentence twice serves the settings
//! of the sentence and of its repetition. At every state the cosine of both sides is computed, before and after removing what
//! all words share, and compared with a threshold chosen on the development pairs. Nothing is trained.
//!
//! The states of all development pairs are in memory, because the removal over the whole set needs them. Of the test pairs only
//! 30 at a time are in memory, and their cosines go into a journal.

use super::Template;
use super::data::RatedPairs;
use super::table::{
    Best, Compared, Comparison, Part, Rated, Record, Removal, Setting, is_published,
};
use super::texts::{Reader, Side};
use super::vectors::{places, running_bytes, state, vectors};
use crate::core::error::{ExperimentError, Place};
use crate::core::models::state_depth;
use crate::core::sample::Units;
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use crate::wic::data::{Pair, Pairs, PartOfSpeech};
use layerwise_metrics::{
    Anisotropy, ClusteredMean, Resamples, correlation, cosine, mcnemar, threshold,
};
use layerwise_sweep::{Counted, MeasureId, WorkBytes, cost};
use ndarray::{Array3, Array4, ArrayView1, s};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The number of consecutive pairs within which mean and deviation are removed.
const BATCH: usize = 30;
/// The depth beyond which `repeat` is compared with `base`.
const DEEP: f64 = 0.15;
/// Seed for resampling test pairs.
const SEED: u64 = 0;

/// Consecutive pairs as texts.
struct Chunk {
    /// The number of its first pair, from 1.
    first: usize,
    sides: Vec<[Side; 2]>,
}

/// Cosines of the pairs of a chunk, \[settings, removals, places, pairs\], as bits row by row.
#[derive(Clone, Serialize, Deserialize)]
struct Kept(Vec<u64>);

/// Cosines of pairs, \[settings, removals, places, pairs\].
type Cosines = Array4<f64>;

/// The decisions at one place.
struct Decided {
    threshold: f64,
    dev_accuracy: f64,
    auc: Option<f64>,
    /// For each test pair, whether the decision is right.
    right: Vec<bool>,
}

/// One model's reading of pairs.
pub(super) fn reader<'a>(subject: &'a Subject<'_>) -> Option<Reader<'a>> {
    Some(Reader {
        tokenizer: subject.tokenizer?,
        bos: subject.bos,
        context: subject.model.config().context,
        same_template: subject.data.get::<Template>() == Some(&Template::Same),
    })
}

/// Pairs in chunks of consecutive ones.
fn chunks(
    subject: &Subject<'_>,
    reader: &Reader<'_>,
    pairs: &[Pair],
    name: &str,
) -> Result<Counted<Vec<Chunk>>, ExperimentError> {
    if pairs.len() % BATCH == 1 {
        let expected = format!("at least 2 pairs in each batch of {BATCH}, to compute a deviation");
        let found = format!("1 in the last batch of {} pairs", pairs.len());
        return Err(ExperimentError::unexpected(expected, found)).at(|| name.to_owned());
    }
    let mut memory = subject.runs.hold(name, 0)?;
    let mut chunk = |(number, pairs): (usize, &[Pair])| {
        let first = number * BATCH + 1;
        let sides = pairs.iter().enumerate().map(|(at, pair)| {
            let sides = reader.sides(pair);
            sides.at(|| format!("{name}: pair {} ({:?})", first + at, pair.word))
        });
        let sides: Vec<[Side; 2]> = sides.collect::<Result<_, _>>()?;
        let bytes: usize = sides.iter().flatten().map(Side::bytes).sum();
        memory.grow(&format!("{}: {name}", subject.name), bytes as u64)?;
        Ok::<_, ExperimentError>(Chunk { first, sides })
    };
    let chunks = pairs.chunks(BATCH).enumerate().map(&mut chunk);
    let chunks = chunks.collect::<Result<_, _>>()?;
    Ok(Counted::new(chunks, memory))
}

impl Chunk {
    /// The state of each side in each setting, \[pairs·2·settings, places, model\].
    fn vectors(&self, subject: &Subject<'_>) -> Result<Array3<f32>, ExperimentError> {
        let sides: Vec<&Side> = self.sides.iter().flatten().collect();
        vectors(subject.model, &sides, || subject.runs.go_on())
    }

    /// Everything that the chunk's results depend on.
    fn numbers(&self) -> Vec<u32> {
        let mut numbers = Vec::new();
        for side in self.sides.iter().flatten() {
            for text in &side.texts {
                numbers.extend(text);
            }
            for (text, tokens) in &side.readings {
                numbers.extend([*text, tokens.start, tokens.end].map(|number| number as u32));
            }
        }
        numbers
    }

    fn tokens(&self) -> usize {
        self.lengths().sum()
    }

    /// The tokens of its longest text.
    fn longest(&self) -> usize {
        self.lengths().max().unwrap_or(0)
    }

    fn lengths(&self) -> impl Iterator<Item = usize> {
        let sides = self.sides.iter().flatten();
        sides.flat_map(|side| &side.texts).map(Vec::len)
    }
}

/// The row of a reading in a chunk's vectors.
fn row(pair: usize, side: usize, setting: usize) -> usize {
    (2 * pair + side) * Setting::ALL.len() + setting
}

/// The map of each setting and place over both sides of all pairs.
fn shared(all: &[Arc<Array3<f32>>]) -> Result<Vec<Anisotropy>, ExperimentError> {
    let settings = Setting::ALL.len();
    let places = all.first().map_or(0, |vectors| vectors.dim().1);
    let mut maps = Vec::new();
    for setting in 0..settings {
        for place in 0..places {
            let states = all.iter().flat_map(|vectors| {
                let own = vectors.outer_iter().skip(setting).step_by(settings);
                own.map(move |states| states.index_axis_move(ndarray::Axis(0), place))
            });
            maps.push(Anisotropy::fit(states)?);
        }
    }
    Ok(maps)
}

/// The cosines of a chunk's pairs.
fn cosines(
    chunk: &Chunk,
    vectors: &Array3<f32>,
    shared: &[Anisotropy],
) -> Result<Cosines, ExperimentError> {
    let (pairs, places) = (chunk.sides.len(), vectors.dim().1);
    let (settings, removals) = (Setting::ALL.len(), Removal::ALL.len());
    let mut cosines = Array4::zeros((settings, removals, places, pairs));
    for setting in 0..settings {
        for place in 0..places {
            let of = |side: usize| {
                let rows = (0..pairs).map(move |pair| row(pair, side, setting));
                rows.map(|row| vectors.slice(s![row, place, ..]))
            };
            let of_batch = [Anisotropy::fit(of(0))?, Anisotropy::fit(of(1))?];
            let of_all = &shared[setting * places + place];
            for (pair, (a, b)) in of(0).zip(of(1)).enumerate() {
                let wide = |state: ArrayView1<'_, f32>| state.mapv(f64::from);
                let plain = cosine(wide(a).view(), wide(b).view()).ok_or_else(|| {
                    let name = Setting::ALL[setting].name();
                    let place = format!("pair {}, {name}, place {place}", chunk.first + pair);
                    let fault = ExperimentError::unexpected("states that are not zero", "0");
                    ExperimentError::In {
                        place,
                        source: Box::new(fault),
                    }
                })?;
                // A component that all words share has no direction once it is removed.
                let removed = |first: &Anisotropy, second: &Anisotropy| {
                    cosine(first.remove(a).view(), second.remove(b).view()).unwrap_or(0.0)
                };
                let in_batch = removed(&of_batch[0], &of_batch[1]);
                let each = [plain, in_batch, removed(of_all, of_all)];
                for (removal, cosine) in each.into_iter().enumerate() {
                    cosines[(setting, removal, place, pair)] = cosine;
                }
            }
        }
    }
    Ok(cosines)
}

/// The cosines of all chunks side by side.
fn joined(subject: &Subject<'_>, chunks: &[Cosines]) -> Result<Counted<Cosines>, ExperimentError> {
    let numbers: usize = chunks.iter().map(Array4::len).sum();
    let memory = subject.runs.hold("cosines", numbers * size_of::<f64>())?;
    let views: Vec<_> = chunks.iter().map(|cosines| cosines.view()).collect();
    let joined = ndarray::concatenate(ndarray::Axis(3), &views)
        .map_err(|error| ExperimentError::unexpected("chunks of one shape", error.to_string()))?;
    Ok(Counted::new(joined, memory))
}

/// Fills the tables.
///
/// # Errors
/// A text cannot be encoded, a state is zero, a journal cannot be used, or the user interrupts.
pub(super) fn measure(subject: &Subject<'_>, tables: &mut Tables) -> Result<(), ExperimentError> {
    let (Some(reader), Some(pairs)) = (reader(subject), subject.data.get::<Pairs>()) else {
        return Ok(());
    };
    let layers = subject.model.config().layers;
    let dev = chunks(subject, &reader, &pairs.dev, "development pairs")?;
    let test = chunks(subject, &reader, &pairs.test, "test pairs")?;
    let runs = &subject.runs;
    let longest = dev.iter().chain(test.iter()).map(Chunk::longest).max();
    let bytes = chunk_bytes(subject, longest.unwrap_or(0));
    let dev_vectors = runs.over(&dev, bytes, |_, chunk| {
        Ok(Arc::new(chunk.vectors(subject)?))
    })?;
    let maps = Setting::ALL.len() * places(layers) * subject.model.config().model;
    let _shared = runs.hold("means of states", 2 * maps * size_of::<f64>())?;
    let shared = shared(&dev_vectors)?;
    let of_dev: Vec<(&Chunk, Arc<Array3<f32>>)> =
        dev.iter().zip(dev_vectors.iter().cloned()).collect();
    let of_dev = runs.over(&of_dev, bytes, |_, (chunk, vectors)| {
        cosines(chunk, vectors, &shared)
    })?;
    let of_dev = joined(subject, &of_dev)?;
    // Removal over the development pairs makes every result depend on all of them.
    let dev_numbers: Vec<u32> = dev.iter().flat_map(Chunk::numbers).collect();
    let id = MeasureId::new("lexical-semantics", 1);
    let per_pair = Setting::ALL.len() * Removal::ALL.len() * places(layers);
    // The cosines as numbers, and as the bits that are kept.
    let of_chunk = 2 * BATCH * per_pair * size_of::<u64>();
    let bytes = WorkBytes {
        reading: bytes.reading + of_chunk,
        result: of_chunk,
    };
    let kept = runs.kept(
        id,
        &test,
        bytes,
        |chunk| [chunk.numbers(), dev_numbers.clone()].concat(),
        |Kept(bits)| !bits.is_empty() && bits.len() % per_pair == 0,
        |_, chunk| {
            let cosines = cosines(chunk, &chunk.vectors(subject)?, &shared)?;
            Ok(Kept(
                cosines.iter().map(|cosine| cosine.to_bits()).collect(),
            ))
        },
    )?;
    let of_test = kept.iter().zip(test.iter()).map(|(Kept(bits), chunk)| {
        let shape = (
            Setting::ALL.len(),
            Removal::ALL.len(),
            places(layers),
            chunk.sides.len(),
        );
        let values = bits.iter().copied().map(f64::from_bits).collect();
        Array4::from_shape_vec(shape, values)
            .map_err(|error| ExperimentError::unexpected("cosines of a chunk", error.to_string()))
    });
    let of_test = joined(subject, &of_test.collect::<Result<Vec<_>, _>>()?)?;
    decide(subject, pairs, &of_dev, &of_test, tables)?;
    if let Some(rated) = subject.data.get::<RatedPairs>() {
        rate(subject, &reader, rated, &shared, tables)?;
    }
    Ok(())
}

/// The memory of a chunk's states, and the memory taken while they are collected, for texts of at most this many tokens, or
/// compared.
fn chunk_bytes(subject: &Subject<'_>, longest: usize) -> WorkBytes {
    let config = subject.model.config();
    let readings = BATCH * 2 * Setting::ALL.len();
    let states = readings * places(config.layers) * config.model * size_of::<f32>();
    WorkBytes {
        reading: states + running_bytes(config, longest),
        result: states,
    }
}

/// The most tokens that run, of the development and of the test pairs.
fn tokens(
    subject: &Subject<'_>,
    reader: &Reader<'_>,
    pairs: &Pairs,
) -> Result<usize, ExperimentError> {
    let dev = chunks(subject, reader, &pairs.dev, "development pairs")?;
    let test = chunks(subject, reader, &pairs.test, "test pairs")?;
    Ok(dev.iter().chain(test.iter()).map(Chunk::tokens).sum())
}

/// Multiply-adds of the runs.
///
/// # Errors
/// As for [`announce`].
pub(super) fn work(subject: &Subject<'_>) -> Result<f64, ExperimentError> {
    let (Some(reader), Some(pairs)) = (reader(subject), subject.data.get::<Pairs>()) else {
        return Ok(0.0);
    };
    let tokens = tokens(subject, &reader, pairs)?;
    Ok(cost::of_plain(subject.model, tokens))
}

/// Describes the runs, in lines for the user.
pub(super) fn announce(subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
    let (Some(reader), Some(pairs)) = (reader(subject), subject.data.get::<Pairs>()) else {
        return Ok(Vec::new());
    };
    let tokens = tokens(subject, &reader, pairs)?;
    let [dev, test] = [&pairs.dev, &pairs.test].map(Vec::len);
    Ok(vec![format!(
        "lexical semantics: {dev} pairs for thresholds, {test} for testing ({}), {tokens} tokens at most",
        pairs.name
    )])
}

fn indices(pairs: &[Pair], part: Part) -> Vec<usize> {
    let wanted = match part {
        Part::All => None,
        Part::Noun => Some(PartOfSpeech::Noun),
        Part::Verb => Some(PartOfSpeech::Verb),
    };
    let own = pairs.iter().enumerate();
    let own = own.filter(|(_, pair)| wanted.is_none() || pair.part_of_speech == wanted);
    own.map(|(index, _)| index).collect()
}

/// The threshold of one place, and its decisions.
fn decided(dev: &[(f64, bool)], test: &[(f64, bool)]) -> Result<Decided, ExperimentError> {
    let threshold = threshold::best(dev, &threshold::cosine_grid())?;
    let dev_accuracy = threshold::accuracy(dev, threshold)?;
    let right = test
        .iter()
        .map(|&(cosine, same)| (cosine > threshold) == same);
    Ok(Decided {
        threshold,
        dev_accuracy: dev_accuracy.mean().unwrap_or(f64::NAN),
        auc: threshold::auc(test)?,
        right: right.collect(),
    })
}

fn share(right: &[bool]) -> f64 {
    right.iter().filter(|right| **right).count() as f64 / right.len() as f64
}

/// The curve of the accuracy with removal within batches by state of the published curves, over test pairs.
pub(super) fn curve_name(pairs_of: &str, setting: Setting) -> String {
    format!("accuracy {} {pairs_of}", setting.name())
}

/// Thresholds, accuracies, comparisons and best states, from the cosines of both parts.
fn decide(
    subject: &Subject<'_>,
    pairs: &Pairs,
    dev: &Cosines,
    test: &Cosines,
    tables: &mut Tables,
) -> Result<(), ExperimentError> {
    let layers = subject.model.config().layers;
    // Of all pairs: [settings][removals][places].
    let mut all: Vec<Vec<Vec<Decided>>> = Vec::new();
    for (at, setting) in Setting::ALL.into_iter().enumerate() {
        let mut of_setting = Vec::new();
        for (by, aniso) in Removal::ALL.into_iter().enumerate() {
            subject.runs.go_on()?;
            let mut of_removal = Vec::new();
            for pos in [Part::All, Part::Noun, Part::Verb] {
                let [on_dev, on_test] = [&pairs.dev, &pairs.test].map(|pairs| indices(pairs, pos));
                if on_dev.is_empty() || on_test.is_empty() {
                    continue;
                }
                for place in 0..places(layers) {
                    let samples = |cosines: &Cosines, pairs: &[Pair], own: &[usize]| {
                        let sample =
                            |&pair: &usize| (cosines[(at, by, place, pair)], pairs[pair].same);
                        own.iter().map(sample).collect::<Vec<_>>()
                    };
                    let decided = decided(
                        &samples(dev, &pairs.dev, &on_dev),
                        &samples(test, &pairs.test, &on_test),
                    )?;
                    let (state, normed) = state(place, layers);
                    let (accuracy, items) = (share(&decided.right), decided.right.len() as u64);
                    tables.push(Record {
                        model: subject.name.to_owned(),
                        model_type: subject.model_type().to_owned(),
                        pairs_of: pairs.name.to_owned(),
                        setting,
                        aniso,
                        pos,
                        state,
                        normed,
                        layers,
                        relative_depth: state_depth(state, layers),
                        threshold: decided.threshold,
                        dev_accuracy: decided.dev_accuracy,
                        test_accuracy: accuracy,
                        test_accuracy_se: (accuracy * (1.0 - accuracy) / items as f64).sqrt(),
                        auc: decided.auc,
                        dev_items: on_dev.len() as u64,
                        items,
                    });
                    if pos == Part::All {
                        if aniso == Removal::Batch && is_published(state, normed, layers) {
                            let mut mean = ClusteredMean::new();
                            decided
                                .right
                                .iter()
                                .for_each(|right| mean.push(f64::from(*right), 1));
                            let curve = curve_name(pairs.name, setting);
                            let sample = format!("test pairs of {}", pairs.name);
                            let units = Units::of(subject.name, &curve, &sample, state, &mean);
                            tables.push(units);
                        }
                        of_removal.push(decided);
                    }
                }
            }
            let best = best(subject, pairs, (setting, aniso), &of_removal);
            best.into_iter().for_each(|best| tables.push(best));
            of_setting.push(of_removal);
        }
        all.push(of_setting);
    }
    for compared in compare(subject, pairs, &all) {
        tables.push(compared);
    }
    Ok(())
}

/// The place of the highest accuracy, the first of equals, among those that count.
fn peak(accuracies: &[f64], counts: impl Fn(usize) -> bool) -> usize {
    let places = (0..accuracies.len()).filter(|place| counts(*place));
    let best = places.reduce(|best, next| match accuracies[next] > accuracies[best] {
        true => next,
        false => best,
    });
    best.unwrap_or(0)
}

/// The best state, and where it lies when the test pairs are drawn again; thresholds stay. `None` with too few test pairs.
fn best(
    subject: &Subject<'_>,
    pairs: &Pairs,
    (setting, aniso): (Setting, Removal),
    decided: &[Decided],
) -> Option<Best> {
    let layers = subject.model.config().layers;
    let items = pairs.test.len();
    let accuracies: Vec<f64> = decided
        .iter()
        .map(|decided| share(&decided.right))
        .collect();
    let mut bests = Vec::new();
    let interval = Resamples::of(items, SEED).and_then(|resamples| {
        resamples.interval(|times| {
            let hits = decided.iter().map(|decided| {
                let own = decided.right.iter().zip(times);
                let hits: u32 = own.map(|(right, times)| u32::from(*right) * times).sum();
                f64::from(hits)
            });
            let best = peak(&hits.collect::<Vec<f64>>(), |_| true);
            bests.push(best);
            Some(best as f64)
        })
    });
    let interval = interval.ok()?;
    // Where each pair comes once, all are as they are.
    let (&found, drawn) = bests.split_first()?;
    let same = drawn.iter().filter(|best| **best == found).count();
    let (state_of, normed) = state(found, layers);
    Some(Best {
        model: subject.name.to_owned(),
        pairs_of: pairs.name.to_owned(),
        setting,
        aniso,
        state: state_of,
        normed,
        test_accuracy: accuracies[found],
        state_low: state(interval.low as usize, layers).0,
        state_high: state(interval.high as usize, layers).0,
        same_state: same as f64 / drawn.len() as f64,
        replicates: drawn.len() as u64,
        items: items as u64,
    })
}

/// Comparisons on the same test pairs.
fn compare(subject: &Subject<'_>, pairs: &Pairs, all: &[Vec<Vec<Decided>>]) -> Vec<Compared> {
    let layers = subject.model.config().layers;
    let published = |place: usize| {
        let (state, normed) = state(place, layers);
        is_published(state, normed, layers)
    };
    let depth = |place: usize| state_depth(state(place, layers).0, layers);
    let by = |removal: Removal| {
        Removal::ALL
            .iter()
            .position(|own| *own == removal)
            .unwrap_or(0)
    };
    let decided = |setting: Setting, removal: Removal| {
        let at = Setting::ALL.iter().position(|own| *own == setting);
        &all[at.unwrap_or(0)][by(removal)]
    };
    // Of each item, the mean over places of how often a setting is right.
    let means = |setting: Setting, counts: &dyn Fn(usize) -> bool| -> Vec<f64> {
        let own: Vec<&Decided> = decided(setting, Removal::Batch)
            .iter()
            .enumerate()
            .filter(|(place, _)| published(*place) && counts(*place))
            .map(|(_, decided)| decided)
            .collect();
        let mean = |item: usize| {
            let right = own.iter().filter(|decided| decided.right[item]).count();
            right as f64 / own.len() as f64
        };
        (0..pairs.test.len()).map(mean).collect()
    };
    let line = |comparison, setting, other, differences: Vec<f64>| {
        let mut mean = ClusteredMean::new();
        differences
            .into_iter()
            .for_each(|difference| mean.push(difference, 1));
        Compared {
            model: subject.name.to_owned(),
            pairs_of: pairs.name.to_owned(),
            comparison,
            setting,
            other,
            difference: mean.mean().unwrap_or(f64::NAN),
            difference_se: mean.standard_error(),
            only_first: None,
            only_second: None,
            p_value: None,
            items: pairs.test.len() as u64,
        }
    };
    let less = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f64>>();
    let deep = |place: usize| depth(place) > DEEP;
    let first = |place: usize| place > 0 && depth(place) <= 0.5;
    let second = |place: usize| depth(place) > 0.5;
    let (base, repeat, previous) = (Setting::Base, Setting::Repeat, Setting::RepeatPrev);
    let mut compared = vec![line(
        Comparison::Deep,
        repeat,
        base,
        less(&means(repeat, &deep), &means(base, &deep)),
    )];
    let early = less(&means(repeat, &first), &means(previous, &first));
    let late = less(&means(repeat, &second), &means(previous, &second));
    let halves = less(&early, &late);
    for (comparison, differences) in [
        (Comparison::FirstHalf, early),
        (Comparison::SecondHalf, late),
        (Comparison::Halves, halves),
    ] {
        compared.push(line(comparison, repeat, previous, differences));
    }
    let at_best = |setting, removal| {
        let decided = decided(setting, removal);
        let accuracies: Vec<f64> = decided
            .iter()
            .map(|decided| share(&decided.right))
            .collect();
        &decided[peak(&accuracies, published)].right
    };
    let against = |comparison, setting, other, a: &[bool], b: &[bool]| {
        let differences = a.iter().zip(b).map(|(&a, &b)| f64::from(a) - f64::from(b));
        let only = |own: &[bool], others: &[bool]| {
            own.iter()
                .zip(others)
                .filter(|(own, other)| **own && !**other)
                .count() as u64
        };
        let (only_first, only_second) = (only(a, b), only(b, a));
        Compared {
            only_first: Some(only_first),
            only_second: Some(only_second),
            p_value: Some(mcnemar(only_first, only_second)),
            ..line(comparison, setting, other, differences.collect())
        }
    };
    for (at, setting) in Setting::ALL.into_iter().enumerate() {
        for other in &Setting::ALL[..at] {
            let (own, others) = (
                at_best(setting, Removal::Batch),
                at_best(*other, Removal::Batch),
            );
            compared.push(against(Comparison::Best, setting, *other, own, others));
        }
        let (with, without) = (
            at_best(setting, Removal::Batch),
            at_best(setting, Removal::None),
        );
        compared.push(against(
            Comparison::Removal,
            setting,
            setting,
            with,
            without,
        ));
    }
    compared
}

/// The cosine against relatedness as people judged it.
fn rate(
    subject: &Subject<'_>,
    reader: &Reader<'_>,
    rated: &RatedPairs,
    shared: &[Anisotropy],
    tables: &mut Tables,
) -> Result<(), ExperimentError> {
    let chunks = chunks(subject, reader, &rated.pairs, "rated pairs")?;
    let longest = chunks.iter().map(Chunk::longest).max().unwrap_or(0);
    let bytes = chunk_bytes(subject, longest);
    let each = subject.runs.over(&chunks, bytes, |_, chunk| {
        cosines(chunk, &chunk.vectors(subject)?, shared)
    })?;
    let cosines = joined(subject, &each)?;
    let layers = subject.model.config().layers;
    for (at, setting) in Setting::ALL.into_iter().enumerate() {
        for (by, aniso) in Removal::ALL.into_iter().enumerate() {
            for place in 0..places(layers) {
                let own = cosines.slice(s![at, by, place, ..]);
                let both: Vec<(f64, f64)> = own
                    .iter()
                    .copied()
                    .zip(rated.ratings.iter().copied())
                    .collect();
                let (state, normed) = state(place, layers);
                tables.push(Rated {
                    model: subject.name.to_owned(),
                    setting,
                    aniso,
                    state,
                    normed,
                    spearman: correlation::spearman(&both),
                    items: both.len() as u64,
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_is_zero_is_named_with_its_pair() {
        let side = Side {
            texts: Vec::new(),
            readings: Vec::new(),
        };
        let chunk = Chunk {
            first: 31,
            sides: vec![[side.clone(), side.clone()], [side.clone(), side]],
        };
        let settings = Setting::ALL.len();
        let mut states = Array3::from_elem((4 * settings, 1, 2), 1.0);
        states
            .slice_mut(s![row(1, 0, settings - 1), .., ..])
            .fill(0.0);
        let all = [Arc::new(states.clone())];
        let error = cosines(&chunk, &states, &shared(&all).unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "pair 32, prompt2, place 0: expected states that are not zero, found 0"
        );
    }
}
