//! Packing: from rows and columns in memory to the order in which the microkernel reads them.

use super::format::{Format, Pair, to_bf16};
use super::panel::{Chunk, KR, MR, NR, PanelRow, rows_of_tile};
use crate::cpu::{prefetch, vectorized};
use ndarray::{ArrayView2, Axis, s};

/// Rows of A packed in one of the formats. Each format has a vector, so that memory is reused whichever is needed.
#[derive(Clone, Debug, Default)]
pub(super) struct PackBuffer {
    singles: Vec<Chunk<f32>>,
    pairs: Vec<Chunk<Pair>>,
}

/// How a number format is packed.
pub(super) trait Pack: Format {
    /// Puts columns \[inputs, columns\] into the lanes of one panel of B from `first_lane` on.
    fn fill_panel(part: ArrayView2<'_, f32>, panel: &mut [PanelRow<Self>], first_lane: usize);

    /// Fills one chunk of A. Only the last chunk of a row has fewer than KR terms.
    fn fill_chunk(chunk: &mut [Self; KR], values: &[f32]);

    /// Packs rows \[rows, inputs\] of A.
    fn pack_a(block: ArrayView2<'_, f32>, buffer: &mut PackBuffer);

    /// The packed rows in this format.
    fn packed(buffer: &PackBuffer) -> &[Chunk<Self>];

    /// Rows of A that the microkernel may read without packing, if the array is in this format.
    fn in_place(block: ArrayView2<'_, f32>) -> Option<ArrayView2<'_, Self>>;
}

impl Pack for f32 {
    fn fill_panel(part: ArrayView2<'_, f32>, panel: &mut [PanelRow<Self>], first_lane: usize) {
        if part.strides()[0].unsigned_abs() < part.strides()[1].unsigned_abs() {
            return fill_panel_by_columns(part, panel, first_lane);
        }
        for (row, values) in panel.iter_mut().zip(part.outer_iter()) {
            let lanes = &mut row.0[first_lane..first_lane + values.len()];
            match values.to_slice() {
                Some(values) => lanes.copy_from_slice(values),
                None => lanes
                    .iter_mut()
                    .zip(values)
                    .for_each(|(lane, value)| *lane = *value),
            }
        }
    }

    #[inline(always)]
    fn fill_chunk(chunk: &mut [Self; KR], values: &[f32]) {
        match <&[f32; KR]>::try_from(values) {
            Ok(values) => *chunk = *values,
            Err(_) => chunk[..values.len()].copy_from_slice(values),
        }
    }

    fn pack_a(block: ArrayView2<'_, f32>, buffer: &mut PackBuffer) {
        pack_singles(block, &mut buffer.singles);
    }

    fn packed(buffer: &PackBuffer) -> &[Chunk<Self>] {
        &buffer.singles
    }

    fn in_place(block: ArrayView2<'_, f32>) -> Option<ArrayView2<'_, Self>> {
        Some(block)
    }
}

impl Pack for Pair {
    fn fill_panel(part: ArrayView2<'_, f32>, panel: &mut [PanelRow<Self>], first_lane: usize) {
        const BLOCK: usize = 16;
        let lanes = first_lane..first_lane + part.ncols();
        let mut singles = [PanelRow([0.0_f32; NR]); 2 * BLOCK];
        for (first, rows) in (0..).step_by(2 * BLOCK).zip(panel.chunks_mut(BLOCK)) {
            let inputs = first..part.nrows().min(first + 2 * BLOCK);
            let count = inputs.len();
            f32::fill_panel(
                part.slice(s![inputs, ..]),
                &mut singles[..count],
                first_lane,
            );
            singles[count..].fill(PanelRow([0.0; NR]));
            for (row, [first, second]) in rows.iter_mut().zip(singles.as_chunks().0) {
                for lane in lanes.clone() {
                    row.0[lane] = Self([to_bf16(first.0[lane]), to_bf16(second.0[lane])]);
                }
            }
        }
    }

    #[inline(always)]
    fn fill_chunk(chunk: &mut [Self; KR], values: &[f32]) {
        if let Ok(values) = <&[f32; 2 * KR]>::try_from(values) {
            let mut halves = [0; 2 * KR];
            for (half, value) in halves.iter_mut().zip(values) {
                *half = to_bf16(*value);
            }
            for (pair, halves) in chunk.iter_mut().zip(halves.as_chunks().0) {
                *pair = Self(*halves);
            }
        } else {
            // The second half of an odd last pair is multiplied with zero, so it must not keep an old value that may be NaN.
            chunk.fill(Self::default());
            for (pair, values) in chunk.iter_mut().zip(values.chunks(2)) {
                for (half, value) in pair.0.iter_mut().zip(values) {
                    *half = to_bf16(*value);
                }
            }
        }
    }

    fn pack_a(block: ArrayView2<'_, f32>, buffer: &mut PackBuffer) {
        pack_pairs(block, &mut buffer.pairs);
    }

    fn packed(buffer: &PackBuffer) -> &[Chunk<Self>] {
        &buffer.pairs
    }

    fn in_place(_: ArrayView2<'_, f32>) -> Option<ArrayView2<'_, Self>> {
        None
    }
}

/// The bytes of `rows` packed rows of A with `inputs` inputs, in f32; in bf16 half of that.
pub(super) fn packed_bytes(rows: usize, inputs: usize) -> usize {
    rows.next_multiple_of(MR) * inputs.next_multiple_of(KR) * size_of::<f32>()
}

/// The number of rows and chunks of packed A, which decide where each chunk lies.
#[derive(Clone, Copy)]
pub(super) struct PackedShape {
    tiles: usize,
    /// Rows of a tile.
    height: usize,
    /// Chunks of a row.
    chunks: usize,
}

impl PackedShape {
    pub(super) fn new(rows: usize, terms: usize) -> Self {
        Self {
            tiles: rows.div_ceil(MR),
            height: rows_of_tile(rows),
            chunks: terms.div_ceil(KR),
        }
    }

    /// Chunks in all.
    pub(super) fn len(self) -> usize {
        self.tiles * self.height * self.chunks
    }

    /// The index of a tile's first row, for one chunk of the inner dimension.
    ///
    /// Packed A is ordered \[slice of KC terms\]\[tile\]\[chunk of the slice\]\[row of the tile\]: the data multiplied with one
    /// panel slice is contiguous.
    pub(super) fn index<T: Format>(self, tile: usize, chunk: usize) -> usize {
        let slice = T::KC / KR;
        let first = chunk / slice * slice;
        let in_slice = slice.min(self.chunks - first);
        (first * self.tiles + tile * in_slice + chunk - first) * self.height
    }
}

vectorized! {
    fn pack_singles(block: ArrayView2<'_, f32>, packed: &mut Vec<Chunk<f32>>) {
        pack_rows(block, packed);
    }

    fn pack_pairs(block: ArrayView2<'_, f32>, packed: &mut Vec<Chunk<Pair>>) {
        pack_rows(block, packed);
    }

    /// Packs columns that are contiguous in memory into the lanes of a panel.
    ///
    /// Blocks of 16 inputs are read along the columns and written along the lanes, so that both sides pass through memory in
    /// order.
    fn fill_panel_by_columns(part: ArrayView2<'_, f32>, panel: &mut [PanelRow<f32>], first_lane: usize) {
        const BLOCK: usize = 16;
        let mut columns = [[].as_slice(); NR];
        let count = part.ncols();
        for (slice, column) in columns.iter_mut().zip(part.columns()) {
            match column.to_slice() {
                Some(column) => *slice = column,
                None => return fill_panel_by_elements(part, panel, first_lane),
            }
        }
        for (first, rows) in (0..).step_by(BLOCK).zip(panel.chunks_mut(BLOCK)) {
            let mut block = [[0.0_f32; NR]; BLOCK];
            for (lane, column) in columns[..count].iter().enumerate() {
                let values = &column[first..first + rows.len()];
                match <&[f32; BLOCK]>::try_from(values) {
                    Ok(values) => (0..BLOCK).for_each(|at| block[at][lane] = values[at]),
                    Err(_) => values.iter().zip(&mut block).for_each(|(value, row)| row[lane] = *value),
                }
            }
            for (row, values) in rows.iter_mut().zip(&block) {
                match count {
                    NR => row.0 = *values,
                    _ => row.0[first_lane..first_lane + count].copy_from_slice(&values[..count]),
                }
            }
        }
    }
}

/// Packs columns with any strides into the lanes of a panel.
fn fill_panel_by_elements(
    part: ArrayView2<'_, f32>,
    panel: &mut [PanelRow<f32>],
    first_lane: usize,
) {
    for (row, values) in panel.iter_mut().zip(part.outer_iter()) {
        for (lane, value) in row.0[first_lane..].iter_mut().zip(values) {
            *lane = *value;
        }
    }
}

/// Packs rows \[rows, inputs\] of A in the order of [`PackedShape::index`].
///
/// The missing rows of the last tile, and the missing terms of the last chunk of each row, keep old values; nothing reads them.
#[inline(always)]
fn pack_rows<T: Pack>(block: ArrayView2<'_, f32>, packed: &mut Vec<Chunk<T>>) {
    /// How far ahead of the packed values a row is prefetched, in values.
    const AHEAD: usize = 128;
    let (rows, inputs) = block.dim();
    let shape = PackedShape::new(rows, inputs.div_ceil(T::INPUTS));
    grow(packed, shape.len(), Chunk([T::default(); KR]));
    for (tile, rows) in block.axis_chunks_iter(Axis(0), MR).enumerate() {
        let mut values = [[].as_slice(); MR];
        for (values, row) in values.iter_mut().zip(rows.outer_iter()) {
            *values = row.to_slice().expect("rows of A are contiguous");
        }
        let values = &values[..rows.nrows()];
        for chunk in 0..shape.chunks {
            let places = &mut packed[shape.index::<T>(tile, chunk)..][..shape.height];
            let first = chunk * KR * T::INPUTS;
            let last = inputs.min(first + KR * T::INPUTS);
            for (place, values) in places.iter_mut().zip(values) {
                for line in 0..T::INPUTS {
                    prefetch(values, first + AHEAD + line * KR);
                }
                T::fill_chunk(&mut place.0, &values[first..last]);
            }
        }
    }
}

/// Makes a vector at least `length` long. The old values are dropped first, so that they never exist next to the new ones.
pub(super) fn grow<T: Copy>(values: &mut Vec<T>, length: usize, value: T) {
    if values.len() < length {
        values.clear();
        values.shrink_to_fit();
        values.reserve_exact(length);
        values.resize(length, value);
    }
}
