//! Groups items that run in one product, and splits observation between them.

use layerwise_transformer::{Address, Model, Observer, Site, Taken};
use ndarray::{ArrayViewD, Axis, Slice};
use std::ops::Range;

/// Short items run together up to this many rows. A product of 16 rows reaches about half of the peak that one of 128 reaches,
/// and more than 256 rows gain little.
pub(crate) const MOST_ROWS: usize = 256;

/// The same for a model whose blocks are read once per group.
const MOST_STREAMED_ROWS: usize = 1024;

/// The largest number of items in a group, if the measure does not say fewer.
pub(crate) const MOST_ITEMS: usize = 32;

/// Groups consecutive items that run together, given the rows of each.
///
/// Each of `threads` threads gets a group before any gets a second. Groups change no bit of any result.
pub(crate) fn groups(
    rows: &[usize],
    most_rows: usize,
    most_items: usize,
    threads: usize,
) -> Vec<Range<usize>> {
    let all: usize = rows.iter().sum();
    let most_rows = most_rows.min(all.div_ceil(threads));
    let most_items = most_items.min(rows.len().div_ceil(threads));
    let mut groups = Vec::new();
    let mut first = 0;
    let mut own = 0;
    for (at, &rows) in rows.iter().enumerate() {
        if at > first && (own + rows > most_rows || at - first == most_items) {
            groups.push(first..at);
            (first, own) = (at, 0);
        }
        own += rows;
    }
    if first < rows.len() {
        groups.push(first..rows.len());
    }
    groups
}

/// The largest number of rows up to which items of a model run together.
pub(crate) fn most_rows(model: &Model) -> usize {
    match model.is_streamed() {
        true => MOST_STREAMED_ROWS,
        false => MOST_ROWS,
    }
}

/// The observers of the items of one batch: each sees the rows of its own item, as if that ran alone.
pub(crate) struct Together<'o, O> {
    pub(crate) observers: Vec<Watching<'o, O>>,
    /// Copies the values that edits take from the plain run, for all items together.
    pub(crate) taken: Taken,
}

/// One observer and the rows that it sees.
pub(crate) struct Watching<'o, O> {
    /// The rows of its item.
    pub(crate) rows: Range<usize>,
    /// The length of its item's longest path, in tokens.
    pub(crate) path: usize,
    pub(crate) observer: &'o mut O,
}

impl<O: Observer> Observer for Together<'_, O> {
    fn wants(&self, address: Address) -> bool {
        let mut observers = self.observers.iter();
        self.taken.wants(address) || observers.any(|watching| watching.observer.wants(address))
    }

    fn observe(&mut self, address: Address, activation: ArrayViewD<'_, f32>) {
        if self.taken.wants(address) {
            self.taken.observe(address, activation.view());
        }
        for Watching {
            rows,
            path,
            observer,
        } in &mut self.observers
        {
            if !observer.wants(address) {
                continue;
            }
            let mut own = activation.view();
            let rows = Slice::from(rows.clone());
            if address.site == Site::AttnPattern {
                // [heads, seq, path]
                own.slice_axis_inplace(Axis(1), rows);
                own.slice_axis_inplace(Axis(2), Slice::from(..*path));
            } else {
                own.slice_axis_inplace(Axis(0), rows);
            }
            observer.observe(address, own);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_items_are_together_and_long_ones_alone() {
        // The ends of consecutive groups.
        let check = |rows: &[usize], threads: usize, expected: &[usize]| {
            let groups = groups(rows, MOST_ROWS, MOST_ITEMS, threads);
            let starts = groups.iter().map(|group| group.start);
            let ends: Vec<usize> = groups.iter().map(|group| group.end).collect();
            assert!(starts.eq([0].into_iter().chain(ends.clone()).take(ends.len())));
            assert_eq!(ends, expected, "{rows:?}");
        };
        check(&[], 1, &[]);
        check(&[0, 0, 0], 1, &[3]);
        check(&[300, 300], 1, &[1, 2]);
        check(&[100, 100, 100, 300, 10], 1, &[2, 3, 4, 5]);
        check(&[16; 4], 2, &[2, 4]);
        check(&[16; 3], 8, &[1, 2, 3]);
        let many = groups(&[1; 100], MOST_ROWS, MOST_ITEMS, 1);
        assert!(many.iter().all(|group| group.len() <= MOST_ITEMS));
        assert_eq!(many.last(), Some(&(96..100)));
        assert_eq!(groups(&[0; 3], MOST_ROWS, 1, 2), [0..1, 1..2, 2..3]);
    }
}
