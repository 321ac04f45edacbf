//! Attention from the last piece of a word: `subword-heads` (paper B.11).
//!
//! A document is split at white space; words with a digit or a sign of `SIGNS`, and words in capitals, are dropped. A
//! window is 16 words and one more, the target, of lower-case ASCII letters. It counts as *multi* if the target is
//! exactly the last four tokens and as *single* if it is exactly the last one. Multi windows are all those of the first
//! 500 documents, or an even selection of them. Single windows are the first of each of 5,000 documents; if documents are few,
//! then the second of each document searched in full, and so on, until there are as many as multi windows.
//!
//! Words of four tokens are rare, so whole documents are searched, whatever the context. `--tokens` limits the windows that
//! the model runs on, not the text that is searched. If documents are so short that the first 500 contain too few multi
//! windows, all 5,000 are searched in full. A file of one document is searched in pieces of the context's length, which count as
//! documents.

use super::readings::{PIECES, Reading, TOKENS, Window, distinct, means, record_halves, select};
use super::table::{Cell, Record, Selection};
use crate::core::error::ExperimentError;
use crate::core::floats::Floats;
use crate::core::plain::check_finite;
use crate::core::published::published_name;
use crate::core::subject::{Runs, Subject};
use crate::core::tables::Tables;
use layerwise_corpus::{self as corpus, Options, Tokenizer};
use layerwise_sweep::{Counted, Failure, Measure, MeasureId, Reached, WorkBytes};
use layerwise_transformer::{Address, Batch, Model, ModelConfig, Observer, Site};
use ndarray::{Array3, ArrayView3, ArrayViewD};
use std::collections::BTreeSet;

/// Words before the target.
const WORDS: usize = 16;
/// Documents that multi and single windows are taken from.
const MULTI_DOCUMENTS: usize = 500;
const SINGLE_DOCUMENTS: usize = 5_000;
/// The most multi windows; the paper's code found 988.
const MOST_WINDOWS: usize = 1_000;
/// If the first documents contain fewer multi windows than this, later ones are searched, too.
const FEW_WINDOWS: usize = 100;
/// Rows of a heat map.
const ROWS: usize = 10;
/// A word with one of these is dropped. The published list is unknown; this one keeps the signs within and after words.
const SIGNS: &str = "!\"#$%&()*+/:;<=>?@[\\]^_`{|}~";

/// The head of the published figure, for the model it was drawn for (paper 0.3).
const PUBLISHED: (&str, usize, usize) = ("pythia-2.8b", 1, 6);

impl Window {
    /// The most bytes that it takes in a growing list.
    fn bytes(&self) -> usize {
        3 * size_of::<Self>() + self.tokens.capacity() * size_of::<u32>() + 16
    }
}

/// Records every head's attention from the last token, and the maps of one head.
///
/// # Errors
/// The tokenizer is invalid, or the user interrupts.
pub(super) fn measure(
    subject: &Subject<'_>,
    tables: &mut Tables,
) -> Result<Vec<String>, ExperimentError> {
    let empty = |why: &str| Ok(vec![format!("subword-heads is left empty: {why}")]);
    let Some(tokenizer) = subject.tokenizer else {
        return empty("no tokenizer.json to find words with");
    };
    let bos = subject.text.bos;
    let chosen = chosen(subject, tokenizer)?;
    let (windows, single) = &*chosen;
    if *single == 0 {
        return empty("the corpus has no words of one or of four tokens after 16 others");
    }
    let measure = Attention {
        bos,
        config: subject.model.config(),
    };
    let attention = subject.runs.plain(&measure, windows)?;
    let shape = measure.shape();
    let readings: Vec<Reading<'_>> = windows
        .iter()
        .zip(attention.iter())
        .map(|(window, Floats(attention))| Reading {
            window,
            attention: ArrayView3::from_shape(shape, attention).expect("a number a token"),
        })
        .collect();
    let (single, multi) = readings.split_at(*single);
    record(subject, tokenizer, single, multi, tables)?;
    Ok(Vec::new())
}

/// The single windows, then the same number of multi windows, and that number.
fn chosen(
    subject: &Subject<'_>,
    tokenizer: &Tokenizer,
) -> Result<Counted<(Vec<Window>, usize)>, ExperimentError> {
    let runs = &subject.runs;
    let documents = documents(subject, tokenizer)?;
    let found = search(runs, &documents, tokenizer)?;
    let bos = usize::from(subject.text.bos.is_some());
    let (single, multi) = choose(&found, subject.text.most_tokens, bos);
    let chosen = || single.iter().chain(&multi).copied();
    let memory = runs.hold("windows of words", chosen().map(Window::bytes).sum())?;
    let single = if multi.is_empty() { 0 } else { single.len() };
    Ok(Counted::new((chosen().cloned().collect(), single), memory))
}

/// The texts that are searched for words.
fn documents(
    subject: &Subject<'_>,
    tokenizer: &Tokenizer,
) -> Result<Counted<Vec<String>>, ExperimentError> {
    let (runs, text) = (&subject.runs, &subject.text);
    let one_a_line = matches!(
        corpus::Format::of(text.path)?,
        corpus::Format::Documents | corpus::Format::Table
    );
    let options = Options {
        rows: Some(
            text.options
                .rows
                .unwrap_or(usize::MAX)
                .min(SINGLE_DOCUMENTS),
        ),
        field: text.options.field.clone(),
        memory: runs.runner.budget().left(),
        ..Options::new(
            if one_a_line {
                usize::MAX
            } else {
                text.options.context
            },
            subject.model.config().vocab,
        )
    };
    let read = corpus::read(text.path, Some(tokenizer), &options)?;
    let what = "documents to find words in";
    let _tokens = runs.hold(what, read.bytes())?;
    let mut documents = Vec::with_capacity(read.sequences().len());
    let mut memory = runs.hold(what, documents.capacity() * size_of::<String>())?;
    for tokens in read.sequences() {
        // Rows of token ids may have a BOS of their own.
        let begins = tokens.first().copied() == text.bos && text.bos.is_some();
        let tokens = &tokens[usize::from(begins)..];
        let _decoding = runs.hold(what, Tokenizer::decoding_bytes(tokens.len()))?;
        let mut document = tokenizer.decode(tokens)?;
        document.shrink_to_fit();
        memory.grow(what, document.len() as u64 + 16)?;
        documents.push(document);
    }
    Ok(Counted::new(documents, memory))
}

/// The windows found in one document, in order.
#[derive(Clone, Default)]
struct Found {
    single: Vec<Window>,
    multi: Vec<Window>,
}

/// The windows found in each document: all in the first documents, and in later ones as well if those are few.
fn search(
    runs: &Runs<'_>,
    documents: &[String],
    tokenizer: &Tokenizer,
) -> Result<Vec<Counted<Found>>, ExperimentError> {
    let (early, late) = documents.split_at(documents.len().min(MULTI_DOCUMENTS));
    let longest = documents.iter().map(String::len).max().unwrap_or(0);
    let bytes = WorkBytes {
        reading: reading_bytes(longest),
        // Each document's windows are counted as they are found.
        result: 0,
    };
    let found = runs.over(early, bytes, |document, text| {
        windows(runs, document, text, tokenizer)
    })?;
    let multi: usize = found.iter().map(|found| found.multi.len()).sum();
    let more = runs.over(late, bytes, |index, text| {
        let document = MULTI_DOCUMENTS + index;
        if multi < FEW_WINDOWS {
            windows(runs, document, text, tokenizer)
        } else {
            first_single(runs, document, text, tokenizer)
        }
    })?;
    Ok([found.into_parts().0, more.into_parts().0].concat())
}

/// The most bytes that searching a text of this many bytes takes: its words, in a growing list, and the encoding of a
/// window.
fn reading_bytes(length: usize) -> usize {
    /// Bytes of a window; longer ones are counted when they are encoded.
    const WINDOW: usize = 1 << 10;
    3 * length.div_ceil(2) * size_of::<&str>() + Tokenizer::encoding_bytes(length.min(WINDOW))
}

/// All windows of a document.
fn windows(
    runs: &Runs<'_>,
    document: usize,
    text: &str,
    tokenizer: &Tokenizer,
) -> Result<Counted<Found>, ExperimentError> {
    let what = "windows of words";
    let mut memory = runs.hold(what, 0)?;
    let mut found = Found::default();
    for target in targets(text, tokenizer) {
        runs.go_on()?;
        let (pieces, tokens) = target?;
        let windows = match pieces {
            1 if found.single.len() < MOST_WINDOWS => &mut found.single,
            PIECES => &mut found.multi,
            _ => continue,
        };
        let window = Window { document, tokens };
        // Including its indices in two lists of candidates.
        memory.grow(what, (window.bytes() + 4 * size_of::<&Window>()) as u64)?;
        windows.push(window);
    }
    Ok(Counted::new(found, memory))
}

/// Only the first single window of a document.
fn first_single(
    runs: &Runs<'_>,
    document: usize,
    text: &str,
    tokenizer: &Tokenizer,
) -> Result<Counted<Found>, ExperimentError> {
    let mut found = Found::default();
    for target in targets(text, tokenizer) {
        runs.go_on()?;
        if let (1, tokens) = target? {
            found.single.push(Window { document, tokens });
            break;
        }
    }
    let bytes = found.single.iter().map(Window::bytes).sum();
    Ok(Counted::new(found, runs.hold("windows of words", bytes)?))
}

/// The windows of a text with an identifiable target: the number of the target's tokens, and all tokens.
fn targets(
    text: &str,
    tokenizer: &Tokenizer,
) -> impl Iterator<Item = Result<(usize, Vec<u32>), ExperimentError>> {
    let words: Vec<&str> = text.split_whitespace().filter(|word| keeps(word)).collect();
    (WORDS..words.len()).filter_map(move |at| {
        let target = words[at];
        if !target.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return None;
        }
        pieces(&words[at - WORDS..=at].join(" "), target.len(), tokenizer).transpose()
    })
}

/// Single and multi windows, the same number of each, in the order of their documents; no more than about `limit` tokens in
/// all, with `bos` tokens before each window.
fn choose(
    found: &[Counted<Found>],
    limit: Option<usize>,
    bos: usize,
) -> (Vec<&Window>, Vec<&Window>) {
    // Boilerplate that documents share would count repeatedly.
    let mut seen = BTreeSet::new();
    let mut multi: Vec<&Window> = found.iter().flat_map(|found| &found.multi).collect();
    multi.retain(|window| seen.insert(&window.tokens));
    let all = multi.len();
    let mut most = MOST_WINDOWS;
    if let Some(limit) = limit {
        let tokens: usize = multi.iter().map(|window| window.tokens.len() + bos).sum();
        // Half for each kind, but at least one window of each.
        most = most.min((limit / 2 * all).checked_div(tokens).unwrap_or(0).max(1));
    }
    if all > most {
        multi = (0..most).map(|i| multi[i * all / most]).collect();
    }
    let single = || found.iter().map(|found| &found.single);
    let deepest = single().map(Vec::len).max().unwrap_or(0);
    let rounds = (0..deepest).flat_map(|round| single().filter_map(move |own| own.get(round)));
    let distinct = rounds.filter(|window| seen.insert(&window.tokens));
    let mut single: Vec<&Window> = distinct.take(multi.len()).collect();
    single.sort_by_key(|window| window.document);
    (single, multi)
}

/// Whether a word is kept: no digit, no sign, not all in capitals.
fn keeps(word: &str) -> bool {
    let capitals = word.chars().any(char::is_uppercase) && !word.chars().any(char::is_lowercase);
    !capitals && !word.contains(|c: char| c.is_numeric() || SIGNS.contains(c))
}

/// The tokens of a text, and how many of them are its last word, of `length` bytes, with the space before it. `None` if a token
/// contains part of the word and of the text before the space, or if the text has fewer tokens than are kept.
fn pieces(
    text: &str,
    length: usize,
    tokenizer: &Tokenizer,
) -> Result<Option<(usize, Vec<u32>)>, ExperimentError> {
    let start = text.len() - length;
    let spans = tokenizer.encode_with_spans(text)?;
    let pieces = spans.iter().filter(|(_, span)| span.end > start).count();
    let tokens: Vec<u32> = spans.into_iter().map(|(id, _)| id).collect();
    // Tokenizers differ in whether spans include spaces, so compare the rest of the word as text.
    let before = tokenizer.decode(&tokens[..tokens.len() - pieces])?;
    let whole = Some(before.as_str()) == text[..start].strip_suffix(' ');
    Ok((whole && tokens.len() >= TOKENS).then_some((pieces, tokens)))
}

/// The attention of a window's last token: [`Attention::shape`] numbers.
struct Attention<'a> {
    bos: Option<u32>,
    config: &'a ModelConfig,
}

impl Attention<'_> {
    /// \[layers, heads, tokens\].
    fn shape(&self) -> [usize; 3] {
        [self.config.layers, self.config.heads, TOKENS]
    }

    fn bytes(&self) -> usize {
        self.shape().iter().product::<usize>() * size_of::<f32>()
    }
}

impl Measure for Attention<'_> {
    type Item = Window;
    type Observer<'b>
        = LastRows
    where
        Self: 'b;
    type Reference = ();
    type Sums = Floats;

    fn id(&self) -> MeasureId {
        MeasureId::new("subword-heads", 1)
    }

    fn unit(&self) -> &'static str {
        "window"
    }

    fn batch(&self, window: &Window) -> Batch {
        let own = window.tokens.iter().copied();
        let mut input: Vec<u32> = self.bos.into_iter().chain(own).collect();
        // Words of very many tokens: keep what fits into the context.
        let cut = input.len().saturating_sub(self.config.context);
        input.drain(..cut);
        Batch::from(&input)
    }

    fn least_tokens(&self) -> usize {
        TOKENS
    }

    fn observer<'b>(&'b self, _: &'b Model, _: &'b Window) -> Option<LastRows> {
        Some(LastRows(Array3::zeros(self.shape())))
    }

    fn plain(
        &self,
        reached: &Reached<'_, Window>,
        observed: Option<LastRows>,
    ) -> Result<((), Floats), Failure> {
        check_finite(reached)?;
        let attention = observed.map(|LastRows(rows)| rows.into_raw_vec_and_offset().0);
        Ok(((), Floats(attention.unwrap_or_default())))
    }

    /// Never called: there are no altered schedules.
    fn altered(&self, _: &Reached<'_, Window>, (): &()) -> Result<Floats, Failure> {
        Ok(Floats::default())
    }

    fn fits(&self, Floats(attention): &Floats) -> bool {
        attention.len() * size_of::<f32>() == self.bytes()
    }

    fn kept_bytes(&self, _: &ModelConfig, _: usize, _: usize) -> usize {
        2 * self.bytes()
    }

    /// The pattern of a whole group.
    fn reading_bytes(&self, config: &ModelConfig, seq: usize) -> usize {
        config.heads * seq * seq * size_of::<f32>()
    }

    fn result_bytes(&self, _: &ModelConfig, items: &[Window], _: usize) -> usize {
        items.len() * (self.bytes() + size_of::<Reading<'_>>())
    }
}

/// Keeps the last row of every attention pattern.
struct LastRows(Array3<f32>);

impl Observer for LastRows {
    fn wants(&self, address: Address) -> bool {
        address.site == Site::AttnPattern
    }

    fn observe(&mut self, address: Address, pattern: ArrayViewD<'_, f32>) {
        let layer = address.block.expect("attention belongs to a block");
        let (heads, seq) = (pattern.shape()[0], pattern.shape()[1]);
        for head in 0..heads {
            for token in 0..TOKENS {
                self.0[(layer, head, token)] = pattern[[head, seq - 1, seq - 1 - token]];
            }
        }
    }
}

fn record<'r>(
    subject: &Subject<'_>,
    tokenizer: &Tokenizer,
    single: &[Reading<'r>],
    multi: &[Reading<'r>],
    tables: &mut Tables,
) -> Result<(), ExperimentError> {
    let config = subject.model.config();
    let family = subject.model_type();
    let mut best = (f64::NEG_INFINITY, 0, 0);
    for layer in 0..config.layers {
        for head in 0..config.heads {
            let mut gains = [0.0; 2];
            for selection in [
                Selection::Single,
                Selection::Multi,
                Selection::MultiFiltered,
            ] {
                let chosen = select(selection, single, multi, layer, head);
                for (token, mean) in means(&chosen, layer, head).iter().enumerate() {
                    let attention = mean.mean().unwrap_or(f64::NAN);
                    if token == PIECES - 1 && selection != Selection::MultiFiltered {
                        gains[usize::from(selection == Selection::Multi)] = attention;
                    }
                    tables.push(Record {
                        model: subject.name.to_owned(),
                        model_type: family.to_owned(),
                        layer,
                        head,
                        layers: config.layers,
                        selection,
                        token,
                        attention,
                        attention_se: mean.standard_error(),
                        windows: mean.count(),
                    });
                }
            }
            let gain = gains[1] - gains[0];
            if gain > best.0 {
                best = (gain, layer, head);
            }
        }
    }
    let (name, layer, head) = PUBLISHED;
    let is_published = published_name(subject.name) == Some(name);
    let published =
        (is_published && layer < config.layers && head < config.heads).then_some((layer, head));
    let (layer, head) = published.unwrap_or((best.1, best.2));
    record_halves(subject, single, multi, published, tables);
    for selection in [
        Selection::Single,
        Selection::Multi,
        Selection::MultiFiltered,
    ] {
        let chosen = select(selection, single, multi, layer, head);
        for (sample, reading) in distinct(&chosen, ROWS).into_iter().enumerate() {
            let tokens = &reading.window.tokens;
            for (position, &id) in tokens[tokens.len() - TOKENS..].iter().enumerate() {
                let token = TOKENS - 1 - position;
                tables.push(Cell {
                    model: subject.name.to_owned(),
                    model_type: family.to_owned(),
                    layer,
                    head,
                    selection,
                    sample: sample + 1,
                    position: position + 1,
                    text: tokenizer.decode(&[id])?,
                    attention: f64::from(reading.attention[(layer, head, token)]),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::{documents, runs, tokenizer};
    use layerwise_schedule::Schedule;
    use layerwise_transformer::Recording;

    #[test]
    fn words_are_kept_as_published() {
        let check = |word: &str, expected: bool| assert_eq!(keeps(word), expected, "{word:?}");
        check("word", true);
        check("Word,", true);
        check("half-way", true);
        check("don't", true);
        check("3rd", false);
        check("NATO", false);
        check("I", false);
        check("(so)", false);
        check("a/b", false);
    }

    fn found(documents: &[String]) -> Vec<Counted<Found>> {
        let model = Model::random(ModelConfig::tiny(), 2);
        search(&runs(&model, 1), documents, &tokenizer()).unwrap()
    }

    #[test]
    fn windows_end_in_words_of_one_and_of_four_tokens() {
        let tokenizer = tokenizer();
        let documents = documents();
        let found = found(&documents[..12]);
        let (single, multi) = choose(&found, None, 0);
        assert!(multi.len() > 20, "{}", multi.len());
        assert_eq!(single.len(), multi.len());
        for (windows, pieces) in [(&single, 1), (&multi, PIECES)] {
            assert!(windows.is_sorted_by_key(|window| window.document));
            for window in windows.iter() {
                let text = tokenizer.decode(&window.tokens).unwrap();
                let words: Vec<&str> = text.split(' ').collect();
                assert_eq!(words.len(), WORDS + 1, "{text}");
                let last = &window.tokens[window.tokens.len() - pieces..];
                assert_eq!(
                    tokenizer.decode(last).unwrap(),
                    format!(" {}", words[WORDS])
                );
            }
        }
        let documents: Vec<usize> = single.iter().map(|window| window.document).collect();
        let of = |document: usize| documents.iter().filter(|d| **d == document).count();
        let counts: Vec<usize> = (0..12).map(of).collect();
        assert!(
            counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1,
            "{counts:?}"
        );
    }

    #[test]
    fn later_documents_are_searched_in_full_where_the_first_have_little() {
        let documents = documents();
        let model = Model::random(ModelConfig::tiny(), 2);
        let whole = windows(&runs(&model, 1), 0, &documents[0], &tokenizer()).unwrap();
        let check = |early: &str, single: usize, multi: usize| {
            let mut all = vec![String::new(); MULTI_DOCUMENTS - 1];
            all.extend([early.to_owned(), documents[0].clone()]);
            let found = found(&all);
            let late = &found[MULTI_DOCUMENTS];
            assert_eq!((late.single.len(), late.multi.len()), (single, multi));
            assert_eq!(late.single[0].document, MULTI_DOCUMENTS);
            assert_eq!(late.single[0].tokens, whole.single[0].tokens);
        };
        assert!(whole.single.len() > 1 && !whole.multi.is_empty());
        check("", whole.single.len(), whole.multi.len());
        check(&documents.join(" "), 1, 0);
    }

    #[test]
    fn a_limit_on_tokens_leaves_windows_of_each_kind() {
        let documents = documents();
        let check = |limit: usize, bos: usize| {
            let found = found(&documents[..6]);
            let (single, multi) = choose(&found, Some(limit), bos);
            let windows = single.iter().chain(&multi);
            let tokens: usize = windows.map(|window| window.tokens.len() + bos).sum();
            assert_eq!(single.len(), multi.len());
            (multi.len(), tokens)
        };
        for (limit, bos) in [(600, 0), (600, 1), (1_000, 0)] {
            let (count, tokens) = check(limit, bos);
            assert!(
                count >= 8 && tokens * 10 <= limit * 11,
                "{limit}: {count}, {tokens}"
            );
        }
        assert_eq!(check(3, 0).0, 1);
        assert!(choose(&[], Some(100), 0).1.is_empty());
    }

    #[test]
    fn attention_is_the_last_row_of_the_pattern() {
        let model = Model::random(ModelConfig::tiny(), 2);
        let window = |document: usize| Window {
            document,
            tokens: (0..20 - document as u32)
                .map(|i| (i * 7 + 1) % 50)
                .collect(),
        };
        let windows: Vec<Window> = (0..5).map(window).collect();
        let measure = Attention {
            bos: Some(3),
            config: model.config(),
        };
        let found = runs(&model, 2).plain(&measure, &windows).unwrap();
        for (window, Floats(found)) in windows.iter().zip(found.iter()) {
            let input: Vec<u32> = [3].into_iter().chain(window.tokens.clone()).collect();
            let last = input.len() - 1;
            let mut recording = Recording::of(model.config(), &[Site::AttnPattern]).unwrap();
            let plain = Schedule::plain(model.stack()).unwrap();
            model.run(&input, &plain, &mut recording).unwrap();
            let found = ArrayView3::from_shape(measure.shape(), found).unwrap();
            for ((layer, head, token), value) in found.indexed_iter() {
                let pattern = recording.get(Some(layer), Site::AttnPattern).unwrap();
                assert_eq!(*value, pattern[[head, last, last - token]]);
            }
        }
    }

    #[test]
    fn rows_of_a_map_show_no_text_twice() {
        let attention = Array3::zeros((1, 1, TOKENS));
        let check = |firsts: &[u32], rows: usize, expected: &[u32]| {
            // Windows of a text in which each token is the one before and 1.
            let windows: Vec<Window> = firsts
                .iter()
                .map(|&first| Window {
                    document: 0,
                    tokens: (first - 2..first + TOKENS as u32).collect(),
                })
                .collect();
            let readings: Vec<Reading<'_>> = windows
                .iter()
                .map(|window| Reading {
                    window,
                    attention: attention.view(),
                })
                .collect();
            let readings: Vec<&Reading<'_>> = readings.iter().collect();
            let shown = distinct(&readings, rows).into_iter();
            let shown: Vec<u32> = shown.map(|reading| reading.window.tokens[2]).collect();
            assert_eq!(shown, expected, "{firsts:?}");
        };
        check(&[100, 200, 300, 400, 500, 600], 3, &[100, 300, 500]);
        check(&[100, 200], 3, &[100, 200]);
        check(&[], 3, &[]);
        // The next that shares no run of twelve tokens stands for one that does, and the first where none is left.
        check(&[100, 200, 101, 400, 500, 600], 3, &[100, 400, 500]);
        check(&[100, 200, 300, 400, 101, 301], 3, &[100, 200, 300]);
        check(&[100, 104, 105], 3, &[100, 105]);
        check(&[100, 101, 102, 103], 3, &[100]);
    }

    #[test]
    fn the_filter_and_the_means_follow_one_head() {
        let window = |document: usize| Window {
            document,
            tokens: vec![1; TOKENS],
        };
        let windows = [window(0), window(0), window(3)];
        let attention = |values: &[(usize, f32)]| {
            let mut attention = Array3::zeros((2, 2, TOKENS));
            for &(token, value) in values {
                attention[(1, 0, token)] = value;
            }
            attention
        };
        let attention = [
            attention(&[(3, 0.5), (2, 0.25), (1, 0.2)]),
            attention(&[(3, 0.41), (2, 0.24), (1, 0.11), (5, 0.08)]),
            attention(&[(3, 0.2), (2, 0.25), (1, 0.2)]),
        ];
        let multi: Vec<Reading<'_>> = windows
            .iter()
            .zip(&attention)
            .map(|(window, attention)| Reading {
                window,
                attention: attention.view(),
            })
            .collect();
        let count = |layer, head| select(Selection::MultiFiltered, &[], &multi, layer, head).len();
        assert_eq!((count(1, 0), count(0, 0), count(1, 1)), (1, 0, 0));
        let all = select(Selection::Multi, &[], &multi, 1, 0);
        let means = means(&all, 1, 0);
        assert!((means[3].mean().unwrap() - 1.11 / 3.0).abs() < 1e-6);
        assert_eq!((means[3].count(), means[3].clusters().len()), (3, 2));
        assert_eq!(means[15].mean(), Some(0.0));
    }
}
