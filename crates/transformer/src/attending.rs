//! Attention of some heads of a segment over the keys and values kept for its path.

use crate::batch::Segment;
use crate::crew::{Crew, Hand};
use crate::kept::Kept;
use crate::scoring::{Hidden, Scoring};
use ndarray::{Array3, ArrayView2, ArrayViewMut2, Axis, s};
use std::ops::Range;

/// Queries of one tile of attention scores.
pub(crate) const QUERY_TILE: usize = 48;

/// One attention sublayer, once its keys and values are in place.
pub(crate) struct Attending<'a> {
    pub(crate) head: usize,
    /// Query heads per KV head.
    pub(crate) sharing: usize,
    pub(crate) scoring: Scoring<'a>,
    /// \[seq, heads · head\].
    pub(crate) queries: ArrayView2<'a, f32>,
    /// The keys that edits hide, by the first row of a segment. A segment without an entry has no hidden keys.
    pub(crate) hidden: Vec<(usize, Hidden)>,
}

impl Attending<'_> {
    /// The largest number of rows of scores that a thread holds, for segments of at most `queries` queries.
    pub(crate) fn most_rows(queries: usize, sharing: usize) -> usize {
        match queries {
            0 => 0,
            1 => sharing,
            _ => queries.min(QUERY_TILE).max(sharing),
        }
    }

    fn hidden(&self, segment: &Segment) -> Option<&Hidden> {
        let mut hidden = self.hidden.iter();
        let own = hidden.find(|(first_row, _)| *first_row == segment.first_row);
        own.map(|(_, hidden)| hidden)
    }

    /// The outputs of some heads, all of one KV head, from attention weights that an edit or observer changed.
    pub(crate) fn sum_by(
        &self,
        pattern: &Array3<f32>,
        path: &Kept,
        segment: &Segment,
        heads: Range<usize>,
        mut out: ArrayViewMut2<'_, f32>,
        hand: &mut Hand,
    ) {
        for (at, h) in heads.enumerate() {
            for first in (0..segment.len).step_by(QUERY_TILE) {
                let last = (first + QUERY_TILE).min(segment.len);
                let rows = segment.first_row + first..segment.first_row + last;
                let seen = segment.position + last;
                let mut weights = hand.scores.slice_mut(s![..last - first, ..seen]);
                weights.assign(&pattern.slice(s![h, rows, ..seen]));
                let own = at * self.head..(at + 1) * self.head;
                let out = out.slice_mut(s![first..last, own]);
                path.sum(weights.view(), 0, out, &mut hand.scratch);
            }
        }
    }

    /// The outputs \[segment, heads · head\] of some heads, all of one KV head, whose keys and values `path` holds.
    ///
    /// A single query is multiplied for all of the heads at once, so that keys and values are read once.
    pub(crate) fn attend(
        &self,
        path: &Kept,
        segment: &Segment,
        heads: Range<usize>,
        mut out: ArrayViewMut2<'_, f32>,
        hand: &mut Hand,
        mut pattern: Option<&mut Array3<f32>>,
    ) {
        let width = self.head;
        if let (1, None) = (segment.len, &pattern) {
            let own = s![
                segment.first_row..segment.first_row + 1,
                heads.start * width..heads.end * width
            ];
            let by_head = (heads.len(), width);
            let queries = self.queries.slice_move(own).into_shape_with_order(by_head);
            let queries = queries.expect("a row of queries is contiguous");
            let start = Kept::start_of_page(self.scoring.first_key(segment.position));
            let seen = segment.end() - start;
            let mut scores = hand.scores.slice_mut(s![..heads.len(), ..seen]);
            path.score(queries, start, scores.view_mut(), &mut hand.scratch);
            for (h, scores) in heads.zip(scores.outer_iter_mut()) {
                let row = scores.insert_axis(Axis(0));
                self.scoring
                    .weigh(row, segment.position, start, h, self.hidden(segment));
            }
            let out = out.into_shape_with_order(by_head);
            let out = out.expect("a row of outputs is contiguous");
            return path.sum(scores.view(), start, out, &mut hand.scratch);
        }
        let first_head = heads.start;
        for h in heads {
            for first in (0..segment.len).step_by(QUERY_TILE) {
                let last = (first + QUERY_TILE).min(segment.len);
                let rows = segment.first_row + first..segment.first_row + last;
                let position = segment.position + first;
                let seen = segment.position + last;
                // Keys on pages before the first query's window have the weight 0 for every query.
                let start = Kept::start_of_page(self.scoring.first_key(position));
                let keys = seen - start;
                let mut scores = hand.scores.slice_mut(s![..last - first, ..keys]);
                let queries = s![rows.clone(), h * width..(h + 1) * width];
                let queries = self.queries.slice(queries);
                path.score(queries, start, scores.view_mut(), &mut hand.scratch);
                let hidden = self.hidden(segment);
                self.scoring
                    .weigh(scores.view_mut(), position, start, h, hidden);
                let own = (h - first_head) * width..(h + 1 - first_head) * width;
                let out = out.slice_mut(s![first..last, own]);
                path.sum(scores.view(), start, out, &mut hand.scratch);
                if let Some(pattern) = &mut pattern {
                    pattern.slice_mut(s![h, rows, start..seen]).assign(&scores);
                }
            }
        }
    }

    /// The outputs \[seq, heads · head\] of all heads, computed by a crew. The segments come in the order of their rows, each
    /// with the keys and values kept for its path, one KV head after another.
    pub(crate) fn share<'k>(
        &self,
        segments: impl ExactSizeIterator<Item = (&'k Segment, &'k [Kept])>,
        out: ArrayViewMut2<'_, f32>,
        crew: &mut Crew,
    ) {
        let heads = out.ncols() / self.head;
        // Heads of a single query are cheap and run together. With more queries or several sequences, each part is one head of
        // one sequence, and each free thread takes the next part.
        let threads = crew.hands.len();
        let for_all = segments.len() >= 2 * threads;
        let (mut rest, mut parts) = (out, Vec::new());
        for (segment, kept) in segments {
            let shares = match segment.len {
                _ if threads == 1 || for_all => 1,
                1 => threads.min(heads),
                _ => heads,
            };
            let (mut own, others) = rest.split_at(Axis(0), segment.len);
            for share in 0..shares {
                let [first, last] = [share, share + 1].map(|share| heads * share / shares);
                let (out, others) = own.split_at(Axis(1), (last - first) * self.head);
                parts.push((segment, kept, first..last, out));
                own = others;
            }
            rest = others;
        }
        crew.share(parts, |hand, (segment, kept, heads, mut rest)| {
            let mut first = heads.start;
            while first < heads.end {
                let group = first / self.sharing;
                let last = heads.end.min((group + 1) * self.sharing);
                let (out, others) = rest.split_at(Axis(1), (last - first) * self.head);
                self.attend(&kept[group], segment, first..last, out, hand, None);
                (first, rest) = (last, others);
            }
        });
    }
}
