//! The keys and values of one head along one path, in pages.

use layerwise_kernels::gemm::{Packed, Precision, SLICE, Scratch, Write, multiply};
use ndarray::{ArrayView2, ArrayViewMut2, Axis, s};
use std::sync::Arc;

/// Positions of a page: a slice of the products with values, so that pages add up to the bits of one product.
const PAGE: usize = SLICE;

/// Keys and values of the positions 0, 1, … of one path, as products read them.
///
/// A fork shares the pages; whichever writes first copies those it writes to.
#[derive(Debug)]
pub(crate) struct Kept {
    head: usize,
    capacity: usize,
    /// All of [`PAGE`] positions but the last, which ends at the capacity.
    pages: Vec<Arc<Page>>,
}

#[derive(Clone, Debug)]
struct Page {
    /// \[head, positions\].
    keys: Packed,
    /// \[positions, head\].
    values: Packed,
}

/// The positions of each page of so many.
fn pages(positions: usize) -> impl Iterator<Item = usize> {
    (0..positions)
        .step_by(PAGE)
        .map(move |first| PAGE.min(positions - first))
}

impl Kept {
    /// Room for so many positions of a head, which is taken page by page.
    pub(crate) fn new(head: usize, capacity: usize) -> Self {
        Self {
            head,
            capacity,
            pages: Vec::with_capacity(capacity.div_ceil(PAGE)),
        }
    }

    /// The same keys and values in the same memory.
    pub(crate) fn fork(&self) -> Self {
        let mut fork = Self::new(self.head, self.capacity);
        fork.pages.extend(self.pages.iter().cloned());
        fork
    }

    /// The most bytes that so many positions of a head take.
    pub(crate) fn most_bytes(head: usize, capacity: usize) -> usize {
        let page = |positions| {
            let counts = 2 * size_of::<usize>();
            let handles = size_of::<Arc<Page>>() + size_of::<Page>() + counts;
            Packed::bytes(head, positions) + Packed::bytes(positions, head) + handles
        };
        pages(capacity).map(page).sum()
    }

    /// Puts keys and values, each \[positions, head\], into the place of those from `first` on.
    pub(crate) fn put(
        &mut self,
        first: usize,
        keys: ArrayView2<'_, f32>,
        values: ArrayView2<'_, f32>,
    ) {
        let last = first + keys.nrows();
        for positions in pages(self.capacity)
            .skip(self.pages.len())
            .take(last.div_ceil(PAGE).saturating_sub(self.pages.len()))
        {
            self.pages.push(Arc::new(Page {
                keys: Packed::zeros(self.head, positions, Precision::F32),
                values: Packed::zeros(positions, self.head, Precision::F32),
            }));
        }
        let mut from = first;
        while from < last {
            let (at, within) = (from / PAGE, from % PAGE);
            let to = last.min((at + 1) * PAGE);
            let rows = s![from - first..to - first, ..];
            let page = Arc::make_mut(&mut self.pages[at]);
            page.keys.put(within, keys.slice(rows).t());
            page.values.put_rows(within, values.slice(rows));
            from = to;
        }
    }

    /// Scores \[queries, seen\] of queries \[queries, head\] with the first `seen` keys.
    pub(crate) fn score(
        &self,
        queries: ArrayView2<'_, f32>,
        mut scores: ArrayViewMut2<'_, f32>,
        scratch: &mut Scratch,
    ) {
        let parts = scores.axis_chunks_iter_mut(Axis(1), PAGE);
        for (page, part) in self.pages.iter().zip(parts) {
            let columns = 0..part.ncols();
            multiply(queries, &page.keys, columns, part, Write::Replace, scratch);
        }
    }

    /// The sums \[queries, head\] of the first `seen` values, by weights \[queries, seen\].
    pub(crate) fn sum(
        &self,
        weights: ArrayView2<'_, f32>,
        mut sums: ArrayViewMut2<'_, f32>,
        scratch: &mut Scratch,
    ) {
        let parts = weights.axis_chunks_iter(Axis(1), PAGE);
        for (at, (page, part)) in self.pages.iter().zip(parts).enumerate() {
            let (sums, write) = match at {
                0 => (sums.view_mut(), Write::Replace),
                _ => (sums.view_mut(), Write::Add),
            };
            multiply(part, &page.values, 0..self.head, sums, write, scratch);
        }
    }

    /// Forgets the pages that hold none of the first `len` positions.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.pages.truncate(len.div_ceil(PAGE));
    }
}
