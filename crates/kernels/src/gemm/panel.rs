//! The block sizes of a product, and the units that packed factors are made of.

/// Columns of a panel of B: two AVX-512 registers.
pub(super) const NR: usize = 32;

/// Rows of a tile of sums. MR × NR sums take 24 of the 32 AVX-512 registers.
pub(crate) const MR: usize = 12;

/// Terms of one row of A that are contiguous: one cache line.
pub(super) const KR: usize = 16;

/// Rows of A that are packed together: an MC × KC slice of A and its sums with NC columns of B fit into 1 MiB of L2 cache.
pub(super) const MC: usize = 44 * MR;

/// Columns of B that one slice of packed A is multiplied with before the next slice.
pub(super) const NC: usize = 4 * NR;

/// One row of a panel: one term for each of NR columns.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(super) struct PanelRow<T>(pub(super) [T; NR]);

/// KR consecutive terms of one row of A.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Chunk<T>(pub(super) [T; KR]);

/// The number of rows of A, out of `rows`, that are packed together: whole tiles, in blocks of about equal size, so that no block
/// is nearly empty.
pub(super) fn rows_of_block(rows: usize) -> usize {
    let blocks = rows.div_ceil(MC).max(1);
    rows.div_ceil(blocks).max(1).next_multiple_of(MR)
}

/// Rows of a tile of packed A. Fewer than MR rows are packed without gaps, so that the cache holds and fetches nothing else.
pub(super) fn rows_of_tile(rows: usize) -> usize {
    rows.min(MR)
}
