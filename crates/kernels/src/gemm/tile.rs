//! The task of a microkernel: one tile of C, for one slice of the inner dimension.

use super::panel::PanelRow;

/// Rows of sums in memory, by address.
#[derive(Clone, Copy)]
pub(super) struct RowPointer {
    pub(super) first: *mut f32,
    /// Elements from one row to the next.
    pub(super) stride: usize,
}

impl RowPointer {
    /// The rows from `row` on.
    pub(super) fn at_row(self, row: usize) -> Self {
        Self {
            first: self.first.wrapping_add(row * self.stride),
            ..self
        }
    }

    /// The columns from `column` on.
    pub(super) fn at_column(self, column: usize) -> Self {
        Self {
            first: self.first.wrapping_add(column),
            ..self
        }
    }
}

/// The strides of A, in elements.
#[derive(Clone, Copy)]
pub(super) struct Strides {
    /// From one row to the next.
    pub(super) row: usize,
    /// From one chunk of KR terms to the next; the terms of a chunk are contiguous.
    pub(super) chunk: usize,
}

/// A tile of sums, C\[rows, columns\] = start + A · B, over one slice of the inner dimension.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a, T> {
    pub(super) a: *const T,
    pub(super) strides: Strides,
    /// The slice's part of one panel of B.
    pub(super) panel: &'a [PanelRow<T>],
    /// 1..=MR.
    pub(super) rows: usize,
    /// 1..=NR.
    pub(super) columns: usize,
    /// The starting values of the sums; `None` stands for zeros.
    pub(super) start: Option<RowPointer>,
    pub(super) out: RowPointer,
    /// Where the first chunk prefetches the next panel. Each further chunk prefetches KR rows later.
    /// The address need not be valid.
    pub(super) ahead: *const PanelRow<T>,
    /// The cache lines that each chunk prefetches from there: at most 2 · KR.
    pub(super) lines: usize,
}
