//! The loops around the microkernel: columns in groups of NC, the inner dimension in slices of KC, rows in tiles of MR.
#![allow(
    unsafe_code,
    reason = "tiles are addressed by pointers, after the shapes are checked"
)]

use super::microkernel::Microkernel;
use super::pack::{PackedShape, grow};
use super::panel::{Chunk, KR, MR, NC, NR, PanelRow, rows_of_tile};
use super::tile::{RowPointer, Strides, Tile};
use crate::cpu::InstructionSet;
use ndarray::{ArrayView2, ArrayViewMut2};

/// What a product does with its destination.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Write<'a> {
    /// The product overwrites the destination, whose old values are not read.
    Replace,
    /// The product plus a bias, \[columns\], in every row overwrites the destination.
    Biased(&'a [f32]),
    /// The product is added to the destination.
    Add,
}

/// Some columns of B, the first of which begins a panel.
#[derive(Clone, Copy)]
pub(super) struct PanelView<'a, T> {
    /// Panel after panel.
    pub(super) rows: &'a [PanelRow<T>],
    /// Rows of a panel.
    pub(super) stride: usize,
    /// How many of a panel's rows are multiplied, from the first on.
    pub(super) terms: usize,
}

impl<'a, T: Microkernel> PanelView<'a, T> {
    /// One slice of KC terms of one panel. The last slice may be shorter.
    fn slice(self, panel: usize, slice: usize) -> &'a [PanelRow<T>] {
        let first = panel * self.stride;
        let terms = slice * T::KC..self.terms.min((slice + 1) * T::KC);
        &self.rows[first + terms.start..first + terms.end]
    }

    /// Where a slice begins. The address need not be valid.
    fn address(self, panel: usize, slice: usize) -> *const PanelRow<T> {
        self.rows
            .as_ptr()
            .wrapping_add(panel * self.stride + slice * T::KC)
    }
}

/// Where a product goes.
pub(super) struct Output<'a> {
    /// \[rows, columns\].
    pub(super) c: ArrayViewMut2<'a, f32>,
    pub(super) write: Write<'a>,
    /// Memory for the sums of NC columns between two slices.
    /// They are not kept in C itself: if its rows are a power of two apart, they map to the same cache sets and evict each other.
    pub(super) partial: &'a mut Vec<PanelRow<f32>>,
}

/// How the tiles of one panel share the prefetching of the next panel.
#[derive(Clone, Copy)]
struct Ahead {
    /// The cache lines that each tile prefetches for each chunk of KR panel rows.
    lines: usize,
    /// Whether these prefetches are spread over the chunk's terms. If not, they are issued together, and prefetch lines of C as
    /// well.
    spread: bool,
}

impl Ahead {
    fn new(rows: usize) -> Self {
        let tiles = rows.div_ceil(MR);
        Self {
            lines: match rows {
                // Memory-bound: the hardware prefetches the panel by itself, and one line in 2 KiB makes the processor look up
                // the next page in time.
                0..=4 => 2,
                // The tiles together prefetch every row once. Tiles from the KR-th on repeat rows, at no cost.
                _ => 2 * KR.div_ceil(tiles),
            },
            spread: tiles < KR,
        }
    }

    /// The row of a chunk that a tile prefetches first. A panel row is two lines.
    fn first_row(self, tile: usize) -> usize {
        tile * (self.lines / 2) % KR
    }
}

/// The bytes that `rows` rows of sums take between slices. A product of one slice needs none.
pub(super) fn partial_bytes<T: Microkernel>(rows: usize, terms: usize) -> usize {
    match terms {
        terms if terms <= T::KC => 0,
        _ => NC / NR * rows * size_of::<PanelRow<f32>>(),
    }
}

/// The product of packed A with panels.
pub(super) fn multiply_packed<T: Microkernel>(
    set: InstructionSet,
    a: &[Chunk<T>],
    b: PanelView<'_, T>,
    output: &mut Output<'_>,
) {
    let rows = output.c.nrows();
    assert!(
        a.len() >= PackedShape::new(rows, b.terms).len(),
        "packed A has the rows of C and the terms of B"
    );
    let strides = Strides {
        row: KR,
        chunk: rows_of_tile(rows) * KR,
    };
    // SAFETY: the slice holds the chunks of every tile at the places given by `PackedShape`, and the strides are those of packed
    // A.
    unsafe { run::<T, true>(set, a.as_ptr().cast(), strides, b, output) }
}

/// The product of rows \[rows, terms\] of A, read in place, with panels.
pub(super) fn multiply_in_place<T: Microkernel>(
    set: InstructionSet,
    a: ArrayView2<'_, T>,
    b: PanelView<'_, T>,
    output: &mut Output<'_>,
) {
    assert_eq!(
        a.dim(),
        (output.c.nrows(), b.terms),
        "A has the rows of C and the terms of B"
    );
    assert!(
        a.strides()[1] == 1 || b.terms <= 1,
        "rows of A are contiguous"
    );
    assert!(a.strides()[0] >= 0, "rows of A lie in order");
    let strides = Strides {
        row: a.strides()[0].unsigned_abs(),
        chunk: KR,
    };
    // SAFETY: the view has as many rows as C, each of `b.terms` contiguous values, at the row stride.
    unsafe { run::<T, false>(set, a.as_ptr(), strides, b, output) }
}

/// # Safety
/// The processor has the instructions of `set`.
/// If `PACKED`, `a` are chunks ordered by [`PackedShape::index`] for every row of C and each of `b.terms` terms, and `strides`
/// are those of packed A.
/// If not, `a` may be read at `r · strides.row + k` for every row `r` of C and each of `b.terms` terms `k`, and `strides.chunk`
/// is KR.
unsafe fn run<T: Microkernel, const PACKED: bool>(
    set: InstructionSet,
    a: *const T,
    strides: Strides,
    b: PanelView<'_, T>,
    output: &mut Output<'_>,
) {
    let Output { c, write, partial } = output;
    let (height, width) = c.dim();
    assert!(
        (c.strides()[1] == 1 || width <= 1) && c.strides()[0] >= 0,
        "rows of C are contiguous and lie in order"
    );
    if let Write::Biased(bias) = write {
        assert_eq!(bias.len(), width, "length of the bias");
    }
    let c = RowPointer {
        stride: c.strides()[0].unsigned_abs(),
        first: c.as_mut_ptr(),
    };
    let (tiles, shape) = (height.div_ceil(MR), PackedShape::new(height, b.terms));
    let (panels, slices) = (width.div_ceil(NR), b.terms.div_ceil(T::KC));
    let ahead = Ahead::new(height);
    // One tile of A stays in the cache anyway, so panels are read one after another, in memory order.
    let panels_of_group = if tiles == 1 { 1 } else { NC / NR };
    if slices > 1 {
        grow(
            partial,
            panels_of_group.min(panels) * height,
            PanelRow([0.0; NR]),
        );
    }
    for group in (0..panels).step_by(panels_of_group) {
        let group = group..panels.min(group + panels_of_group);
        for (slice, panel) in
            (0..slices).flat_map(|slice| group.clone().map(move |panel| (slice, panel)))
        {
            // The next operand, which is prefetched meanwhile.
            let (next_panel, next_slice) = if panel + 1 < group.end {
                (panel + 1, slice)
            } else if slice + 1 < slices {
                (group.start, slice + 1)
            } else {
                (group.end, 0)
            };
            let columns = panel * NR..width.min((panel + 1) * NR);
            let c = c.at_column(columns.start);
            let partial = RowPointer {
                stride: NR,
                first: partial
                    .as_mut_ptr()
                    .wrapping_add((panel - group.start) * height)
                    .cast(),
            };
            let start = match write {
                _ if slice > 0 => Some(partial),
                Write::Replace => None,
                Write::Add => Some(c),
                // With a stride of 0 every row starts from the bias, which is only read.
                Write::Biased(bias) => Some(RowPointer {
                    stride: 0,
                    first: bias[columns.clone()].as_ptr().cast_mut(),
                }),
            };
            let out = if slice + 1 == slices { c } else { partial };
            for tile in 0..tiles {
                let first = tile * MR;
                let offset = match PACKED {
                    true => KR * shape.index::<T>(tile, slice * T::KC / KR),
                    false => first * strides.row + slice * T::KC,
                };
                // SAFETY: the caller guarantees A at every row and term, and a slice begins with a whole chunk. C was checked
                // above: from row `first` on it has `rows` rows of `columns` contiguous elements, `stride` apart, and the bias
                // has as many columns. The partial sums have NR elements for every row and every panel of the group, and each
                // slice but the last writes them before the next one reads them.
                unsafe {
                    let tile = Tile {
                        a: a.add(offset),
                        strides,
                        panel: b.slice(panel, slice),
                        rows: MR.min(height - first),
                        columns: columns.len(),
                        start: start.map(|start| start.at_row(first)),
                        out: out.at_row(first),
                        ahead: b
                            .address(next_panel, next_slice)
                            .wrapping_add(ahead.first_row(tile)),
                        lines: ahead.lines,
                    };
                    if ahead.spread {
                        T::compute::<PACKED, true>(set, tile);
                    } else {
                        T::compute::<PACKED, false>(set, tile);
                    }
                }
            }
        }
    }
}
