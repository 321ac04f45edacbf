//! The attention of windows' last tokens, and its summary by selection of windows and by halves of the documents.

use super::table::Selection;
use crate::core::sample::Units;
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_metrics::ClusteredMean;
use ndarray::{ArrayView3, s};
use std::collections::BTreeSet;

/// Tokens whose attention is kept: the last ones of a window.
pub(super) const TOKENS: usize = 16;
/// Tokens of a target of several tokens.
pub(super) const PIECES: usize = 4;

/// The filter of the published examples: least attention to the tokens 3, 2 and 1 before the last, and most attention to the one
/// 5 before it.
const FILTER_LEAST: [(usize, f32); 3] = [(3, 0.4), (2, 0.23), (1, 0.1)];
const FILTER_MOST: (usize, f32) = (5, 0.07);

/// A window of words as tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) document: usize,
    pub(super) tokens: Vec<u32>,
}

/// A window with the attention of its last token.
pub(super) struct Reading<'a> {
    pub(super) window: &'a Window,
    /// \[layers, heads, tokens\]; index t of the last axis is the token t before the last.
    pub(super) attention: ArrayView3<'a, f32>,
}

/// The curve of the attention to each token before the last, in one half of the documents, for the head chosen on the other
/// half or published; and the sample, with documents as units.
pub(super) fn curve_name(selection: Selection, half: usize) -> String {
    format!("pieces {selection:?} half {half}")
}

/// The readings of every second document.
fn half_of<'a, 'r>(readings: &'a [Reading<'r>], half: usize) -> Vec<&'a Reading<'r>> {
    let own = readings.iter();
    own.filter(|reading| reading.window.document % 2 == half)
        .collect()
}

/// Records for each half of the documents the attention of the head that is best on the other half.
pub(super) fn record_halves<'r>(
    subject: &Subject<'_>,
    single: &[Reading<'r>],
    multi: &[Reading<'r>],
    published: Option<(usize, usize)>,
    tables: &mut Tables,
) {
    let config = subject.model.config();
    let heads = (0..config.layers).flat_map(|l| (0..config.heads).map(move |h| (l, h)));
    for at in [0, 1] {
        let half = |half| [half_of(single, half), half_of(multi, half)];
        let others = half(1 - at);
        let gain = |&(layer, head): &(usize, usize)| {
            let [single, multi] = others.each_ref().map(|readings| {
                let first = &means(readings, layer, head)[PIECES - 1];
                first.mean().unwrap_or(f64::NAN)
            });
            multi - single
        };
        let chosen = heads.clone().map(|head| (gain(&head), head));
        let chosen = chosen
            .filter(|(gain, _)| gain.is_finite())
            .reduce(|best, next| if next.0 > best.0 { next } else { best });
        let Some((layer, head)) = published.or(chosen.map(|(_, head)| head)) else {
            continue;
        };
        for (selection, own) in [Selection::Single, Selection::Multi]
            .into_iter()
            .zip(half(at))
        {
            let curve = curve_name(selection, at);
            for (token, mean) in means(&own, layer, head).iter().enumerate().take(PIECES) {
                if mean.count() > 0 && token > 0 {
                    tables.push(Units::of(subject.name, &curve, &curve, token, mean));
                }
            }
        }
    }
}

/// The windows of a selection; the filter applies to one head.
pub(super) fn select<'a, 'r>(
    selection: Selection,
    single: &'a [Reading<'r>],
    multi: &'a [Reading<'r>],
    layer: usize,
    head: usize,
) -> Vec<&'a Reading<'r>> {
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

/// At most `rows` of the readings, in their order and evenly from all. No two of them show the same text but for a word of
/// [`PIECES`] tokens, as windows of one sentence do, and of what documents have in common.
pub(super) fn distinct<'a, 'r>(readings: &[&'a Reading<'r>], rows: usize) -> Vec<&'a Reading<'r>> {
    let runs = |at: usize| {
        let tokens = &readings[at].window.tokens;
        tokens[tokens.len() - TOKENS..].windows(TOKENS - PIECES)
    };
    let rows = rows.min(readings.len());
    let mut seen = BTreeSet::new();
    let mut shown = Vec::with_capacity(rows);
    for row in 0..rows {
        let start = row * readings.len() / rows;
        let mut places = (start..readings.len()).chain(0..start);
        if let Some(at) = places.find(|&at| runs(at).all(|run| !seen.contains(run))) {
            seen.extend(runs(at));
            shown.push(at);
        }
    }
    shown.sort_unstable();
    shown.into_iter().map(|at| readings[at]).collect()
}

/// Mean attention of one head to each token, clustered by document; readings are in the order of their documents.
pub(super) fn means(readings: &[&Reading<'_>], layer: usize, head: usize) -> Vec<ClusteredMean> {
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
