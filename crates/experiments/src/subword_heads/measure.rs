//! Attention from the last piece of a word: `subword-heads` (paper B.11).
//!
//! A document is split at white space; words with a digit or a sign of `SIGNS`, and words in capitals, are dropped. A
//! window is 16 words and one more, the target, of lower-case ASCII letters. It counts as *multi* where the target is
//! exactly the last four tokens and as *single* where it is exactly the last one. Multi windows are all those of the first
//! 500 documents, or an even selection of them; single ones the first of each of 5,000 documents, then, where documents are
//! few, the second of each of those searched in full and so on, as many as there are multi ones.
//!
//! Words of four tokens are rare, so they are looked for in whole documents, whatever the context, and `--tokens` limits
//! the windows that the model is run on, not the text that is searched. Where documents are so short that the first 500
//! have too few, all 5,000 are searched in full. A file of one document is searched in pieces of the context's length,
//! which count as documents.

use super::table::{Cell, Record, Selection};
use crate::core::error::ExperimentError;
use crate::core::published::published_name;
use crate::core::subject::{Runs, Subject};
use crate::core::tables::Tables;
use layerwise_corpus::{self as corpus, Options, Tokenizer};
use layerwise_metrics::ClusteredMean;
use layerwise_schedule::Schedule;
use layerwise_transformer::{Address, Model, Observer, Site};
use ndarray::{Array3, ArrayViewD, s};

/// Words before the target.
const WORDS: usize = 16;
/// Tokens whose attention is kept: the last ones of a window.
const TOKENS: usize = 16;
/// Tokens of a target of several tokens.
const PIECES: usize = 4;
/// Documents that multi and single windows are taken from.
const MULTI_DOCUMENTS: usize = 500;
const SINGLE_DOCUMENTS: usize = 5_000;
/// Multi windows at most; the paper's code found 988.
const MOST_WINDOWS: usize = 1_000;
/// Multi windows that the first documents have at least, or later ones are searched too.
const FEW_WINDOWS: usize = 100;
/// Rows of a heat map.
const ROWS: usize = 10;
/// A word with one of these is dropped. The published list is not known; this one keeps what stands within and after words.
const SIGNS: &str = "!\"#$%&()*+/:;<=>?@[\\]^_`{|}~";

/// The filter of the published examples: least attention to the tokens 3, 2 and 1 before the last, and most to the one 5
/// before it.
const FILTER_LEAST: [(usize, f32); 3] = [(3, 0.4), (2, 0.23), (1, 0.1)];
const FILTER_MOST: (usize, f32) = (5, 0.07);

/// The head of the published figure, for the model it was drawn for (paper 0.3).
const PUBLISHED: (&str, usize, usize) = ("pythia-2.8b", 1, 6);

/// A window of words as tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Window {
    document: usize,
    tokens: Vec<u32>,
}

/// A window with what its last token attends to.
struct Reading<'a> {
    window: &'a Window,
    /// \[layers, heads, tokens\]; index t of the last axis is the token t before the last.
    attention: Array3<f32>,
}

/// Records every head's attention from the last token, and the maps of one head.
///
/// # Errors
/// A tokenizer that cannot be accepted, or an interrupt.
pub(super) fn measure(
    subject: &Subject<'_>,
    tables: &mut Tables,
) -> Result<Vec<String>, ExperimentError> {
    let empty = |why: &str| Ok(vec![format!("subword-heads is left empty: {why}")]);
    let Some(tokenizer) = subject.tokenizer else {
        return empty("no tokenizer.json to find words with");
    };
    let documents = documents(subject, tokenizer)?;
    let found = search(&subject.runs, &documents, tokenizer)?;
    let (bos, most_tokens) = (subject.text.bos, subject.text.most_tokens);
    let (single, multi) = choose(found, most_tokens, usize::from(bos.is_some()));
    if single.is_empty() || multi.is_empty() {
        return empty("the corpus has no words of one or of four tokens after 16 others");
    }
    let attend = |windows: &[Window]| {
        subject.runs.over(windows, |_, window| {
            attention(subject.model, bos, &window.tokens)
        })
    };
    let (single_attention, multi_attention) = (attend(&single)?, attend(&multi)?);
    let single = readings(&single, single_attention);
    let multi = readings(&multi, multi_attention);
    record(subject, tokenizer, &single, &multi, tables)?;
    Ok(Vec::new())
}

fn readings(windows: &[Window], attention: Vec<Array3<f32>>) -> Vec<Reading<'_>> {
    let windows = windows.iter().zip(attention);
    windows
        .map(|(window, attention)| Reading { window, attention })
        .collect()
}

/// The texts that words are looked for in.
fn documents(subject: &Subject<'_>, tokenizer: &Tokenizer) -> Result<Vec<String>, ExperimentError> {
    let text = &subject.text;
    let one_a_line = corpus::Format::of(text.path)? == corpus::Format::Documents;
    let options = Options {
        rows: Some(
            text.options
                .rows
                .unwrap_or(usize::MAX)
                .min(SINGLE_DOCUMENTS),
        ),
        field: text.options.field.clone(),
        memory: text.options.memory,
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
    let sequences = read.sequences().iter();
    sequences
        .map(|tokens| {
            // Rows of token ids may have one of their own.
            let begins = tokens.first().copied() == text.bos && text.bos.is_some();
            Ok(tokenizer.decode(&tokens[usize::from(begins)..])?)
        })
        .collect()
}

/// What was found in one document, in its order.
#[derive(Clone, Default)]
struct Found {
    single: Vec<Window>,
    multi: Vec<Window>,
}

/// What is found in each document: in the first ones all there is, and in the later ones too if that is little.
fn search(
    runs: &Runs<'_>,
    documents: &[String],
    tokenizer: &Tokenizer,
) -> Result<Vec<Found>, ExperimentError> {
    let (early, late) = documents.split_at(documents.len().min(MULTI_DOCUMENTS));
    let mut found = runs.over(early, |document, text| windows(document, text, tokenizer))?;
    let multi: usize = found.iter().map(|found| found.multi.len()).sum();
    found.extend(runs.over(late, |index, text| {
        let document = MULTI_DOCUMENTS + index;
        if multi < FEW_WINDOWS {
            windows(document, text, tokenizer)
        } else {
            first_single(document, text, tokenizer)
        }
    })?);
    Ok(found)
}

/// All windows of a document.
fn windows(document: usize, text: &str, tokenizer: &Tokenizer) -> Result<Found, ExperimentError> {
    let mut found = Found::default();
    for target in targets(text, tokenizer) {
        match target? {
            (1, tokens) => found.single.push(Window { document, tokens }),
            (PIECES, tokens) => found.multi.push(Window { document, tokens }),
            _ => {}
        }
    }
    found.single.truncate(MOST_WINDOWS);
    Ok(found)
}

/// The first single window of a document alone.
fn first_single(
    document: usize,
    text: &str,
    tokenizer: &Tokenizer,
) -> Result<Found, ExperimentError> {
    let mut found = Found::default();
    for target in targets(text, tokenizer) {
        if let (1, tokens) = target? {
            found.single.push(Window { document, tokens });
            break;
        }
    }
    Ok(found)
}

/// The windows of a text whose target can be told apart: of how many tokens the target is, and all tokens.
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

/// Single and multi windows, as many of each, in the order of their documents; no more than about `limit` tokens in all,
/// `bos` of them before each window.
fn choose(found: Vec<Found>, limit: Option<usize>, bos: usize) -> (Vec<Window>, Vec<Window>) {
    let (single, multi): (Vec<Vec<Window>>, Vec<Vec<Window>>) = found
        .into_iter()
        .map(|found| (found.single, found.multi))
        .unzip();
    let mut multi: Vec<Window> = multi.into_iter().flatten().collect();
    let all = multi.len();
    let mut most = MOST_WINDOWS;
    if let Some(limit) = limit {
        let tokens: usize = multi.iter().map(|window| window.tokens.len() + bos).sum();
        // Half for each kind, at least a window of each.
        most = most.min((limit / 2 * all).checked_div(tokens).unwrap_or(0).max(1));
    }
    if all > most {
        multi = (0..most).map(|i| multi[i * all / most].clone()).collect();
    }
    let deepest = single.iter().map(Vec::len).max().unwrap_or(0);
    let rounds = (0..deepest).flat_map(|round| single.iter().filter_map(move |own| own.get(round)));
    let mut single: Vec<Window> = rounds.take(multi.len()).cloned().collect();
    single.sort_by_key(|window| window.document);
    (single, multi)
}

/// Whether a word is kept: no digit, no sign, not all in capitals.
fn keeps(word: &str) -> bool {
    let capitals = word.chars().any(char::is_uppercase) && !word.chars().any(char::is_lowercase);
    !capitals && !word.contains(|c: char| c.is_numeric() || SIGNS.contains(c))
}

/// The tokens of a text and how many of them are its last word, of `length` bytes, with the space before it; `None` if a
/// token holds part of the word and of what is before the space, or the text has fewer tokens than are kept.
fn pieces(
    text: &str,
    length: usize,
    tokenizer: &Tokenizer,
) -> Result<Option<(usize, Vec<u32>)>, ExperimentError> {
    let start = text.len() - length;
    let spans = tokenizer.encode_with_spans(text)?;
    let pieces = spans.iter().filter(|(_, span)| span.end > start).count();
    let tokens: Vec<u32> = spans.into_iter().map(|(id, _)| id).collect();
    // Whether spans hold spaces is up to the tokenizer, so that what is left of the word is compared as text.
    let before = tokenizer.decode(&tokens[..tokens.len() - pieces])?;
    let whole = Some(before.as_str()) == text[..start].strip_suffix(' ');
    Ok((whole && tokens.len() >= TOKENS).then_some((pieces, tokens)))
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

/// What the last token attends to, \[layers, heads, tokens\].
fn attention(
    model: &Model,
    bos: Option<u32>,
    tokens: &[u32],
) -> Result<Array3<f32>, ExperimentError> {
    let config = model.config();
    let mut rows = LastRows(Array3::zeros((config.layers, config.heads, TOKENS)));
    let mut input: Vec<u32> = bos.into_iter().chain(tokens.iter().copied()).collect();
    // Words of very many tokens: what the model can see of them.
    let cut = input.len().saturating_sub(config.context);
    input.drain(..cut);
    model.run(&input, &Schedule::plain(model.stack())?, &mut rows)?;
    Ok(rows.0)
}

fn record(
    subject: &Subject<'_>,
    tokenizer: &Tokenizer,
    single: &[Reading<'_>],
    multi: &[Reading<'_>],
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
    let (layer, head) = match published_name(subject.name) == Some(name) {
        true if layer < config.layers && head < config.heads => (layer, head),
        _ => (best.1, best.2),
    };
    for selection in [
        Selection::Single,
        Selection::Multi,
        Selection::MultiFiltered,
    ] {
        let chosen = select(selection, single, multi, layer, head);
        let rows = ROWS.min(chosen.len());
        for sample in 0..rows {
            let reading = chosen[sample * chosen.len() / rows];
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

/// The windows of a selection; the filter looks at one head.
fn select<'a>(
    selection: Selection,
    single: &'a [Reading<'a>],
    multi: &'a [Reading<'a>],
    layer: usize,
    head: usize,
) -> Vec<&'a Reading<'a>> {
    let shown = |reading: &&Reading<'_>| {
        let attention = reading.attention.slice(s![layer, head, ..]);
        FILTER_LEAST
            .iter()
            .all(|&(token, least)| attention[token] > least)
            && attention[FILTER_MOST.0] < FILTER_MOST.1
    };
    match selection {
        Selection::Single => single.iter().collect(),
        Selection::Multi => multi.iter().collect(),
        Selection::MultiFiltered => multi.iter().filter(shown).collect(),
    }
}

/// Mean attention of one head to each token, clustered by document; readings are in the order of their documents.
fn means(readings: &[&Reading<'_>], layer: usize, head: usize) -> Vec<ClusteredMean> {
    let mut means = vec![ClusteredMean::new(); TOKENS];
    for own in readings.chunk_by(|a, b| a.window.document == b.window.document) {
        for (token, mean) in means.iter_mut().enumerate() {
            let values = own.iter();
            let values = values.map(|reading| f64::from(reading.attention[(layer, head, token)]));
            mean.push(values.sum(), own.len() as u64);
        }
    }
    means
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::{documents, runs, tokenizer};
    use layerwise_transformer::{ModelConfig, Recording};

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

    fn found(documents: &[String]) -> Vec<Found> {
        let model = Model::random(ModelConfig::tiny(), 2);
        search(&runs(&model, 1), documents, &tokenizer()).unwrap()
    }

    #[test]
    fn windows_end_in_words_of_one_and_of_four_tokens() {
        let tokenizer = tokenizer();
        let documents = documents();
        let (single, multi) = choose(found(&documents[..12]), None, 0);
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
        let whole = windows(0, &documents[0], &tokenizer()).unwrap();
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
            let (single, multi) = choose(found(&documents[..6]), Some(limit), bos);
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
        assert!(choose(Vec::new(), Some(100), 0).1.is_empty());
    }

    #[test]
    fn attention_is_the_last_row_of_the_pattern() {
        let model = Model::random(ModelConfig::tiny(), 2);
        let tokens: Vec<u32> = (0..20).map(|i| (i * 7 + 1) % 50).collect();
        let found = attention(&model, Some(3), &tokens).unwrap();
        let input: Vec<u32> = [3].into_iter().chain(tokens).collect();
        let mut recording = Recording::of(model.config(), &[Site::AttnPattern]).unwrap();
        model
            .run(
                &input,
                &Schedule::plain(model.stack()).unwrap(),
                &mut recording,
            )
            .unwrap();
        for ((layer, head, token), value) in found.indexed_iter() {
            let pattern = recording.get(Some(layer), Site::AttnPattern).unwrap();
            assert_eq!(*value, pattern[[head, 20, 20 - token]]);
        }
    }

    #[test]
    fn the_filter_and_the_means_follow_one_head() {
        let window = |document: usize| Window {
            document,
            tokens: vec![1; TOKENS],
        };
        let windows = [window(0), window(0), window(3)];
        let reading = |window, values: &[(usize, f32)]| {
            let mut attention = Array3::zeros((2, 2, TOKENS));
            for &(token, value) in values {
                attention[(1, 0, token)] = value;
            }
            Reading { window, attention }
        };
        let multi = [
            reading(&windows[0], &[(3, 0.5), (2, 0.25), (1, 0.2)]),
            reading(&windows[1], &[(3, 0.41), (2, 0.24), (1, 0.11), (5, 0.08)]),
            reading(&windows[2], &[(3, 0.2), (2, 0.25), (1, 0.2)]),
        ];
        let count = |layer, head| select(Selection::MultiFiltered, &[], &multi, layer, head).len();
        assert_eq!((count(1, 0), count(0, 0), count(1, 1)), (1, 0, 0));
        let all = select(Selection::Multi, &[], &multi, 1, 0);
        let means = means(&all, 1, 0);
        assert!((means[3].mean().unwrap() - 1.11 / 3.0).abs() < 1e-6);
        assert_eq!((means[3].count(), means[3].clusters().len()), (3, 2));
        assert_eq!(means[15].mean(), Some(0.0));
    }
}
