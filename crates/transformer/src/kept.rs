//! The keys and values of one head along one path, in pages.

use layerwise_kernels::gemm::{Arena, Packed, Precision, SLICE, Scratch, Write, multiply};
use ndarray::{ArrayView2, ArrayViewMut2, Axis, s};
use std::sync::Arc;

/// Positions of a page. It equals the slice of the products with values, so that summing page by page gives the bits of one
/// product.
const PAGE: usize = SLICE;

/// Keys and values of the positions 0, 1, … of one path, as products read them.
///
/// A fork shares the pages; the first to write copies the pages it writes to.
#[derive(Debug)]
pub(crate) struct Kept {
    head: usize,
    capacity: usize,
    precision: Precision,
    /// The number of pages dropped at the start.
    forgotten: usize,
    /// Every page has [`PAGE`] positions, except the last, which ends at the capacity.
    pages: Vec<Arc<Page>>,
}

#[derive(Clone, Debug)]
struct Page {
    /// \[head, positions\].
    keys: Packed,
    /// \[positions, head\].
    values: Packed,
}

/// The number of positions on each page, for `positions` positions.
fn pages(positions: usize) -> impl Iterator<Item = usize> {
    (0..positions)
        .step_by(PAGE)
        .map(move |first| PAGE.min(positions - first))
}

impl Kept {
    /// Reserves room for `capacity` positions of a head in a number format; memory is taken page by page.
    pub(crate) fn new(head: usize, capacity: usize, precision: Precision) -> Self {
        Self {
            head,
            capacity,
            precision,
            forgotten: 0,
            pages: Vec::with_capacity(capacity.div_ceil(PAGE)),
        }
    }

    /// A second copy that shares the same memory.
    pub(crate) fn fork(&self) -> Self {
        let mut fork = Self::new(self.head, self.capacity, self.precision);
        fork.forgotten = self.forgotten;
        fork.pages.extend(self.pages.iter().cloned());
        fork
    }

    /// The most bytes that `capacity` positions of a head take.
    pub(crate) fn most_bytes(head: usize, capacity: usize, precision: Precision) -> usize {
        let page = |positions| {
            let counts = 2 * size_of::<usize>();
            let handles = size_of::<Arc<Page>>() + size_of::<Page>() + counts;
            Packed::bytes_in(head, positions, precision)
                + Packed::bytes_in(positions, head, precision)
                + handles
        };
        pages(capacity).map(page).sum()
    }

    /// The first position without a page.
    pub(crate) fn end_of_pages(&self) -> usize {
        self.capacity
            .min((self.forgotten + self.pages.len()) * PAGE)
    }

    /// The bytes that [`Kept::add_page`] takes from an arena.
    pub(crate) fn bytes_of_next_page(&self) -> usize {
        let positions = PAGE.min(self.capacity - self.end_of_pages());
        Packed::bytes_in(self.head, positions, self.precision)
            + Packed::bytes_in(positions, self.head, self.precision)
    }

    /// Adds room for the next page of positions.
    pub(crate) fn add_page(&mut self, arena: &mut Arena) {
        let positions = PAGE.min(self.capacity - self.end_of_pages());
        self.pages.push(Arc::new(Page {
            keys: Packed::zeros_in(arena, self.head, positions, self.precision),
            values: Packed::zeros_in(arena, positions, self.head, self.precision),
        }));
    }

    /// Stores keys and values, each \[positions, head\], at the positions from `first` on.
    pub(crate) fn put(
        &mut self,
        first: usize,
        keys: ArrayView2<'_, f32>,
        values: ArrayView2<'_, f32>,
    ) {
        let last = first + keys.nrows();
        while self.end_of_pages() < last {
            self.add_page(&mut Arena::with_capacity(self.bytes_of_next_page()));
        }
        let mut from = first;
        while from < last {
            let (at, within) = (from / PAGE, from % PAGE);
            let to = last.min((at + 1) * PAGE);
            let rows = s![from - first..to - first, ..];
            let page = Arc::make_mut(&mut self.pages[at - self.forgotten]);
            page.keys.put(within, keys.slice(rows).t());
            page.values.put_rows(within, values.slice(rows));
            from = to;
        }
    }

    /// The first position of the page that holds `position`.
    pub(crate) fn start_of_page(position: usize) -> usize {
        position / PAGE * PAGE
    }

    /// Scores \[queries, keys\] of queries \[queries, head\] against the keys from `start` on; `start` begins a page.
    pub(crate) fn score(
        &self,
        queries: ArrayView2<'_, f32>,
        start: usize,
        mut scores: ArrayViewMut2<'_, f32>,
        scratch: &mut Scratch,
    ) {
        let parts = scores.axis_chunks_iter_mut(Axis(1), PAGE);
        let first = start / PAGE - self.forgotten;
        for (page, part) in self.pages[first..].iter().zip(parts) {
            let columns = 0..part.ncols();
            multiply(queries, &page.keys, columns, part, Write::Replace, scratch);
        }
    }

    /// The sums \[queries, head\] of the values from `start` on, weighted by \[queries, values\]; `start` begins a page. The bits
    /// equal those of a sum over all values, if the values before `start` are finite and have the weight 0.
    pub(crate) fn sum(
        &self,
        weights: ArrayView2<'_, f32>,
        start: usize,
        mut sums: ArrayViewMut2<'_, f32>,
        scratch: &mut Scratch,
    ) {
        let mut write = Write::Replace;
        if start > 0 {
            sums.fill(0.0);
            write = Write::Add;
        }
        let parts = weights.axis_chunks_iter(Axis(1), PAGE);
        let first = start / PAGE - self.forgotten;
        for (page, part) in self.pages[first..].iter().zip(parts) {
            let columns = 0..self.head;
            multiply(part, &page.values, columns, sums.view_mut(), write, scratch);
            write = Write::Add;
        }
    }

    /// Drops the pages that hold none of the first `len` positions.
    pub(crate) fn truncate(&mut self, len: usize) {
        let pages = len.div_ceil(PAGE);
        self.pages.truncate(pages.saturating_sub(self.forgotten));
        if len == 0 {
            self.forgotten = 0;
        }
    }

    /// Drops the pages whose positions all come before `position`.
    pub(crate) fn forget_before(&mut self, position: usize) {
        let last = self.forgotten + self.pages.len();
        let first = (position / PAGE).clamp(self.forgotten, last);
        self.pages.drain(..first - self.forgotten);
        self.forgotten = first;
    }

    /// The first position that is held.
    pub(crate) fn first(&self) -> usize {
        self.forgotten * PAGE
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, PAGE, Precision, Scratch};
    use ndarray::{Array2, s};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn pages_of_weight_0_may_be_left_out(
            (head, queries, seen) in (1_usize..9, 1_usize..5, 1_usize..4 * PAGE),
            first in 0.0_f64..1.0,
            seed in 0_u32..1000,
        ) {
            let number = |i: usize, j: usize| (((i * 31 + j * 7) as u32 + seed) as f32).sin();
            let array = |rows, columns| Array2::from_shape_fn((rows, columns), |(i, j)| number(i, j));
            let mut kept = Kept::new(head, seen, Precision::F32);
            kept.put(0, array(seen, head).view(), array(seen, head).mapv(|x| 1.0 - x).view());
            let (own, mut scratch) = (array(queries, head), Scratch::default());
            let first = (first * seen as f64) as usize;
            let start = Kept::start_of_page(first);

            let mut scores = Array2::zeros((queries, seen));
            kept.score(own.view(), 0, scores.view_mut(), &mut scratch);
            let mut late = Array2::zeros((queries, seen - start));
            kept.score(own.view(), start, late.view_mut(), &mut scratch);
            prop_assert_eq!(&late, &scores.slice(s![.., start..]));

            scores.slice_mut(s![.., ..first]).fill(0.0);
            late.slice_mut(s![.., ..first - start]).fill(0.0);
            let mut sums = [Array2::zeros((queries, head)), Array2::ones((queries, head))];
            kept.sum(scores.view(), 0, sums[0].view_mut(), &mut scratch);
            kept.sum(late.view(), start, sums[1].view_mut(), &mut scratch);
            let [all, late] = sums.map(|sums| sums.mapv(f32::to_bits));
            prop_assert_eq!(all, late);
        }
    }
}
