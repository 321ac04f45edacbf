//! Products with a matrix that has been packed once: weights, which never change, and the keys and values of one head.
//!
//! A packed matrix \[inputs, outputs\] is stored in panels of [`PANEL`] output columns, each panel row by row, so that the
//! inner loop reads it straight through.
//! The rows of the other factor are packed a block at a time, and a tile of 12 × [`PANEL`] sums is kept in registers.
//!
//! A matrix is packed in f32 or in bf16 ([`Precision`]), and the rows that are multiplied with it are rounded likewise as
//! they are packed. In bf16 two consecutive inputs lie in the place of one, and one instruction multiplies and adds both.
//!
//! Every element of the result is a chain of fused multiply-adds over the inner dimension, begun anew every 256 terms (in
//! bf16 every 384, of two inputs each), and the chains added up. It depends on its own row and column alone: not on the
//! number of rows, nor on the tile or the instruction set (AVX-512 and AVX2 give the same bits; without FMA each product is
//! rounded).
//! In bf16 the second input of a pair is added before the first, each with one rounding, and numbers below the normal range
//! of f32 count as zero: as `vdpbf16ps` does, and, slowly, the portable kernel.

use crate::Write;
use crate::elementary::vectorized;
use crate::microkernel::{Destination, GROUP, Kernel, Right, fetch};
use crate::term::{Pair, Term};
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, s};
use std::ops::Range;

pub use crate::term::Precision;

/// Output columns of a panel: two AVX-512 registers.
pub const PANEL: usize = 32;
/// Rows of a tile of sums.
pub(crate) const TILE_ROWS: usize = 12;
/// Terms of a row of the left factor that lie together.
pub(crate) const CHUNK: usize = 16;
/// Rows that are packed together: of so many a chain's part, with the sums of a group of panels, fits into a second-level
/// cache of 1 MiB.
const ROW_BLOCK: usize = 44 * TILE_ROWS;

/// Rows of `rows` that are packed together, so that no block has few of them: whole tiles, at least one.
fn row_block(rows: usize) -> usize {
    let blocks = rows.div_ceil(ROW_BLOCK).max(1);
    rows.div_ceil(blocks).max(1).next_multiple_of(TILE_ROWS)
}

/// One row of a panel.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct PanelRow<T>(pub(crate) [T; PANEL]);

/// Consecutive terms of one row of the left factor: a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Chunk<T>(pub(crate) [T; CHUNK]);

/// A matrix \[inputs, outputs\], packed for products from the left.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    inputs: usize,
    outputs: usize,
    panels: Panels,
}

/// Panel after panel, each with one row for every term of the inputs.
#[derive(Clone, Debug, PartialEq)]
enum Panels {
    F32(Vec<PanelRow<f32>>),
    Bf16(Vec<PanelRow<Pair>>),
}

impl Packed {
    /// Packs a matrix \[inputs, outputs\], in any strides, in f32.
    pub fn new(matrix: ArrayView2<'_, f32>) -> Self {
        Self::rounded(matrix, Precision::F32)
    }

    /// Packs a matrix \[inputs, outputs\], in any strides, rounded to a number format.
    pub fn rounded(matrix: ArrayView2<'_, f32>, precision: Precision) -> Self {
        let mut packed = Self::zeros(matrix.nrows(), matrix.ncols(), precision);
        packed.put(0, matrix);
        packed
    }

    /// A matrix of zeros, to be filled with [`Packed::put`].
    pub fn zeros(inputs: usize, outputs: usize, precision: Precision) -> Self {
        fn rows<T: Term>(inputs: usize, outputs: usize) -> Vec<PanelRow<T>> {
            let rows = inputs.div_ceil(T::INPUTS) * outputs.div_ceil(PANEL);
            vec![PanelRow([T::default(); PANEL]); rows]
        }
        let panels = match precision {
            Precision::F32 => Panels::F32(rows(inputs, outputs)),
            Precision::Bf16 => Panels::Bf16(rows(inputs, outputs)),
        };
        Self {
            inputs,
            outputs,
            panels,
        }
    }

    /// Puts a matrix \[inputs, columns\], in any strides, in the place of the columns from `first_column` on.
    ///
    /// # Panics
    /// If it has not as many rows, or columns past the last one.
    pub fn put(&mut self, first_column: usize, matrix: ArrayView2<'_, f32>) {
        assert_eq!(matrix.nrows(), self.inputs, "rows of a part");
        let columns = first_column..first_column + matrix.ncols();
        assert!(
            columns.end <= self.outputs,
            "columns {columns:?} of {}",
            self.outputs
        );
        fn fill<T: Term>(
            panels: &mut [PanelRow<T>],
            columns: Range<usize>,
            matrix: ArrayView2<'_, f32>,
        ) {
            let terms = matrix.nrows().div_ceil(T::INPUTS);
            if terms == 0 {
                return;
            }
            let mut first = columns.start;
            for rows in panels.chunks_exact_mut(terms).skip(first / PANEL) {
                let last = columns.end.min((first / PANEL + 1) * PANEL);
                let part = s![.., first - columns.start..last - columns.start];
                T::fill(matrix.slice(part), rows, first % PANEL);
                first = last;
                if first == columns.end {
                    return;
                }
            }
        }
        match &mut self.panels {
            Panels::F32(panels) => fill(panels, columns, matrix),
            Panels::Bf16(panels) => fill(panels, columns, matrix),
        }
    }

    /// Packs another matrix into the same memory, in f32.
    pub fn repack(&mut self, matrix: ArrayView2<'_, f32>) {
        if (self.inputs, self.outputs, self.precision())
            == (matrix.nrows(), matrix.ncols(), Precision::F32)
        {
            return self.put(0, matrix);
        }
        let mut rows = match std::mem::replace(&mut self.panels, Panels::F32(Vec::new())) {
            Panels::F32(rows) => rows,
            Panels::Bf16(_) => Vec::new(),
        };
        (self.inputs, self.outputs) = matrix.dim();
        rows.clear();
        rows.resize(
            self.inputs * self.outputs.div_ceil(PANEL),
            PanelRow([0.0; PANEL]),
        );
        self.panels = Panels::F32(rows);
        self.put(0, matrix);
    }

    /// Memory of a matrix \[inputs, outputs\] packed in f32, in bytes; in bf16 it is half of that.
    pub fn bytes(inputs: usize, outputs: usize) -> usize {
        inputs * outputs.div_ceil(PANEL) * size_of::<PanelRow<f32>>()
    }

    /// Rows of the matrix.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Columns of the matrix.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The number format it is packed in.
    pub fn precision(&self) -> Precision {
        match self.panels {
            Panels::F32(_) => Precision::F32,
            Panels::Bf16(_) => Precision::Bf16,
        }
    }

    /// One column, \[inputs\].
    ///
    /// # Panics
    /// If there is no such column.
    pub fn column(&self, column: usize) -> impl Iterator<Item = f32> + '_ {
        assert!(column < self.outputs, "column {column} of {}", self.outputs);
        let inputs = self.inputs;
        (0..inputs).map(move |input| match &self.panels {
            Panels::F32(panels) => element(panels, inputs, input, column),
            Panels::Bf16(panels) => element(panels, inputs, input, column),
        })
    }

    /// The columns `columns` as the rows of another packed matrix, \[columns, inputs\], in the same number format.
    ///
    /// # Panics
    /// If there are no such columns, or the first does not begin a panel of [`PANEL`].
    pub fn transposed(&self, columns: Range<usize>) -> Self {
        assert!(
            columns.end <= self.outputs && columns.start.is_multiple_of(PANEL),
            "columns {columns:?} of {}",
            self.outputs
        );
        fn turn<T: Term>(
            panels: &[PanelRow<T>],
            columns: Range<usize>,
            outputs: usize,
            rows: &mut [PanelRow<T>],
        ) {
            let (terms, height) = (
                outputs.div_ceil(T::INPUTS),
                columns.len().div_ceil(T::INPUTS),
            );
            for first in (columns.start..columns.end).step_by(PANEL) {
                let lanes = 0..PANEL.min(columns.end - first);
                for input in 0..outputs {
                    let row = &panels[first / PANEL * terms + input / T::INPUTS].0;
                    let turned = &mut rows[input / PANEL * height..][..height];
                    for (at, term) in (first - columns.start..).zip(&row[lanes.clone()]) {
                        turned[at / T::INPUTS].0[input % PANEL].set(
                            at % T::INPUTS,
                            *term,
                            input % T::INPUTS,
                        );
                    }
                }
            }
        }
        let mut turned = Self::zeros(columns.len(), self.inputs, self.precision());
        match (&self.panels, &mut turned.panels) {
            (Panels::F32(panels), Panels::F32(rows)) => turn(panels, columns, self.inputs, rows),
            (Panels::Bf16(panels), Panels::Bf16(rows)) => turn(panels, columns, self.inputs, rows),
            _ => unreachable!("zeros are in the format that was asked for"),
        }
        turned
    }

    /// Checks that a product of `rows` rows with the columns `columns` fits its destination.
    fn check(
        &self,
        columns: &Range<usize>,
        rows: usize,
        out: &ArrayViewMut2<'_, f32>,
        write: Write<'_>,
    ) {
        assert!(
            columns.end <= self.outputs && columns.start.is_multiple_of(PANEL),
            "columns {columns:?} of {}",
            self.outputs
        );
        assert_eq!(
            out.dim(),
            (rows, columns.len()),
            "shape of the product's destination"
        );
        assert!(
            out.strides()[1] == 1 || columns.len() <= 1 || rows == 0,
            "rows of the destination are contiguous"
        );
        if let Write::Biased(bias) = write {
            assert_eq!(bias.len(), columns.len(), "length of the bias");
        }
    }

    /// The matrix, \[inputs, outputs\].
    pub fn unpack(&self) -> Array2<f32> {
        let mut matrix = Array2::zeros((self.inputs, self.outputs));
        for (column, mut values) in matrix.columns_mut().into_iter().enumerate() {
            values
                .iter_mut()
                .zip(self.column(column))
                .for_each(|(value, packed)| *value = packed);
        }
        matrix
    }
}

/// One element of a matrix with so many inputs.
#[inline(always)]
fn element<T: Term>(panels: &[PanelRow<T>], inputs: usize, input: usize, output: usize) -> f32 {
    let panel = output / PANEL * inputs.div_ceil(T::INPUTS);
    panels[panel + input / T::INPUTS].0[output % PANEL].value(input % T::INPUTS)
}

vectorized! {
    /// Packs columns that are stored one after another: blocks of both axes are read along the inputs and written along the
    /// outputs, so that memory is passed through in order on either side.
    pub(crate) fn turn_over(part: ArrayView2<'_, f32>, rows: &mut [PanelRow<f32>], first_lane: usize) {
        const BLOCK: usize = 16;
        let mut columns = [[].as_slice(); PANEL];
        let count = part.ncols();
        for (slice, column) in columns.iter_mut().zip(part.columns()) {
            match column.to_slice() {
                Some(column) => *slice = column,
                None => return copy(part, rows, first_lane),
            }
        }
        for (first, rows) in (0..).step_by(BLOCK).zip(rows.chunks_mut(BLOCK)) {
            let mut block = [[0.0_f32; PANEL]; BLOCK];
            for (lane, column) in columns[..count].iter().enumerate() {
                let values = &column[first..first + rows.len()];
                match <&[f32; BLOCK]>::try_from(values) {
                    Ok(values) => (0..BLOCK).for_each(|at| block[at][lane] = values[at]),
                    Err(_) => values.iter().zip(&mut block).for_each(|(value, row)| row[lane] = *value),
                }
            }
            for (row, values) in rows.iter_mut().zip(&block) {
                match count {
                    PANEL => row.0 = *values,
                    _ => row.0[first_lane..first_lane + count].copy_from_slice(&values[..count]),
                }
            }
        }
    }
}

/// Packs columns that lie in any strides.
fn copy(part: ArrayView2<'_, f32>, rows: &mut [PanelRow<f32>], first_lane: usize) {
    for (row, values) in rows.iter_mut().zip(part.outer_iter()) {
        for (lane, value) in row.0[first_lane..].iter_mut().zip(values) {
            *lane = *value;
        }
    }
}

/// Packed rows of a left factor, in one of the number formats.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub(crate) singles: Vec<Chunk<f32>>,
    pub(crate) pairs: Vec<Chunk<Pair>>,
}

/// Memory for products, kept between them.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    rows: Rows,
    /// The sums of a group of panels, for every row.
    strip: Vec<PanelRow<f32>>,
}

impl Scratch {
    /// The most bytes that products of at most `rows` rows and `inner` terms make it take.
    pub fn most_bytes(rows: usize, inner: usize) -> usize {
        let packed = PackedRows::bytes(row_block(rows), inner);
        // Pairs of bf16 have a vector of their own, and take half.
        packed + packed / 2 + strip_bytes(row_block(rows), inner)
    }
}

/// The sums of a group of panels for so many rows, in bytes: of one chain they need no memory.
fn strip_bytes(rows: usize, inner: usize) -> usize {
    match inner {
        ..=f32::CHAIN => 0,
        _ => GROUP * rows * size_of::<PanelRow<f32>>(),
    }
}

/// Makes a vector at least so long, without holding its old values beside the new ones.
pub(crate) fn lengthen<T: Copy>(values: &mut Vec<T>, length: usize, value: T) {
    if values.len() < length {
        values.clear();
        values.shrink_to_fit();
        values.reserve_exact(length);
        values.resize(length, value);
    }
}

/// Computes `out = a · b`, `out = bias + a · b` or `out += a · b`, for `a` \[rows, inner\], the first `inner` rows and the
/// columns `columns` of `b`, `out` \[rows, columns\].
///
/// Rows of `a` and of `out` must be contiguous. `columns` must begin at a multiple of [`PANEL`].
///
/// # Panics
/// If the shapes do not fit.
///
/// ```
/// use layerwise_kernels::Write;
/// use layerwise_kernels::packed::{Packed, Scratch, multiply};
/// use ndarray::{Array2, array};
///
/// let b = Packed::new(array![[1.0, 0.0], [2.0, 1.0]].view());
/// let mut out = Array2::zeros((1, 2));
/// multiply(array![[3.0, 4.0]].view(), &b, 0..2, out.view_mut(), Write::Replace, &mut Scratch::default());
/// assert_eq!(out, array![[11.0, 4.0]]);
/// ```
pub fn multiply(
    a: ArrayView2<'_, f32>,
    b: &Packed,
    columns: Range<usize>,
    out: ArrayViewMut2<'_, f32>,
    write: Write<'_>,
    scratch: &mut Scratch,
) {
    multiply_with(Kernel::detect(), a, b, columns, out, write, scratch);
}

fn multiply_with(
    kernel: Kernel,
    a: ArrayView2<'_, f32>,
    b: &Packed,
    columns: Range<usize>,
    out: ArrayViewMut2<'_, f32>,
    write: Write<'_>,
    scratch: &mut Scratch,
) {
    let (rows, inputs) = a.dim();
    assert!(inputs <= b.inputs, "{inputs} columns for {} rows", b.inputs);
    b.check(&columns, rows, &out, write);
    if out.is_empty() {
        return;
    }
    if inputs == 0 {
        return fill(out, write);
    }
    match &b.panels {
        Panels::F32(panels) => {
            multiply_panels(kernel, a, panels, b.inputs, columns, out, write, scratch);
        }
        Panels::Bf16(panels) => {
            multiply_panels(kernel, a, panels, b.inputs, columns, out, write, scratch);
        }
    }
}

#[allow(
    clippy::too_many_arguments,
    reason = "those of `multiply_with`, with the panels of its matrix"
)]
fn multiply_panels<T: Term>(
    kernel: Kernel,
    a: ArrayView2<'_, f32>,
    panels: &[PanelRow<T>],
    panel_inputs: usize,
    columns: Range<usize>,
    mut out: ArrayViewMut2<'_, f32>,
    write: Write<'_>,
    scratch: &mut Scratch,
) {
    let (rows, inputs) = a.dim();
    let right = of_columns(panels, panel_inputs, inputs, columns.start);
    // Few panels do not repay packing the rows of `a`, where they need not be rounded; their strides must then be friendly.
    let few = columns.len() <= 2 * PANEL;
    let block = row_block(rows);
    for first in (0..rows).step_by(block) {
        let rows = first..rows.min(first + block);
        let a = a.slice(s![rows.clone(), ..]);
        let mut destination = Destination {
            out: out.slice_mut(s![rows, ..]),
            write,
            strip: &mut scratch.strip,
        };
        match T::unpacked(a).filter(|_| few) {
            Some(a) => kernel.strided(a, right, &mut destination),
            None => {
                T::pack(a, &mut scratch.rows);
                kernel.packed(T::packed(&scratch.rows), right, &mut destination);
            }
        }
    }
}

/// The panels of a matrix from a column on, for products with its first `inputs` rows.
fn of_columns<T: Term>(
    panels: &[PanelRow<T>],
    panel_inputs: usize,
    inputs: usize,
    first_column: usize,
) -> Right<'_, T> {
    let stride = panel_inputs.div_ceil(T::INPUTS);
    Right {
        rows: &panels[first_column / PANEL * stride..],
        stride,
        terms: inputs.div_ceil(T::INPUTS),
    }
}

/// Writes a product without terms.
fn fill(mut out: ArrayViewMut2<'_, f32>, write: Write<'_>) {
    match write {
        Write::Replace => out.fill(0.0),
        Write::Biased(bias) => out
            .outer_iter_mut()
            .for_each(|mut row| row.assign(&ArrayView1::from(bias))),
        Write::Add => {}
    }
}

/// Rows of a left factor, \[rows, inner\], packed once for products with many parts of a matrix.
#[derive(Clone, Debug)]
pub(crate) struct PackedRows {
    rows: usize,
    inputs: usize,
    precision: Precision,
    packed: Rows,
}

impl PackedRows {
    /// Packs rows for products with matrices that are packed in `precision`.
    pub(crate) fn new(a: ArrayView2<'_, f32>, precision: Precision) -> Self {
        let mut packed = Rows::default();
        match precision {
            Precision::F32 => f32::pack(a, &mut packed),
            Precision::Bf16 => Pair::pack(a, &mut packed),
        }
        Self {
            rows: a.nrows(),
            inputs: a.ncols(),
            precision,
            packed,
        }
    }

    /// The bytes that so many rows of `inner` terms take, packed at once.
    fn bytes(rows: usize, inner: usize) -> usize {
        rows.next_multiple_of(TILE_ROWS) * inner.next_multiple_of(CHUNK) * size_of::<f32>()
    }

    /// The most bytes that packed rows of `inner` terms take, in parts of whole tiles, and products with one of them.
    pub(crate) fn most_bytes(rows: usize, inner: usize) -> usize {
        Self::bytes(rows, inner) + strip_bytes(rows, inner)
    }

    /// Does what [`multiply`] does with rows as they were, to the bit.
    ///
    /// # Panics
    /// As [`multiply`], and if `b` has other inputs or is packed in another precision.
    pub(crate) fn multiply(
        &self,
        b: &Packed,
        columns: Range<usize>,
        out: ArrayViewMut2<'_, f32>,
        write: Write<'_>,
        scratch: &mut Scratch,
    ) {
        assert_eq!(
            (self.inputs, self.precision),
            (b.inputs, b.precision()),
            "factors fit"
        );
        b.check(&columns, self.rows, &out, write);
        if out.is_empty() {
            return;
        }
        if self.inputs == 0 {
            return fill(out, write);
        }
        let (kernel, first) = (Kernel::detect(), columns.start);
        let mut destination = Destination {
            out,
            write,
            strip: &mut scratch.strip,
        };
        match &b.panels {
            Panels::F32(panels) => {
                let right = of_columns(panels, b.inputs, b.inputs, first);
                kernel.packed(f32::packed(&self.packed), right, &mut destination);
            }
            Panels::Bf16(panels) => {
                let right = of_columns(panels, b.inputs, b.inputs, first);
                kernel.packed(Pair::packed(&self.packed), right, &mut destination);
            }
        }
    }
}

/// Where the chunks of a tile's rows begin, in chunks, for one chunk of the terms.
///
/// Packed rows are \[chain\]\[tile\]\[chunk of the chain\]\[row of the tile\]: what is multiplied with one panel's part lies together.
pub(crate) fn chunk_at<T: Term>(tiles: usize, chunks: usize, tile: usize, chunk: usize) -> usize {
    let chain = T::CHAIN / CHUNK;
    let first = chunk / chain * chain;
    let in_chain = chain.min(chunks - first);
    (first * tiles + tile * in_chain + chunk - first) * TILE_ROWS
}

/// \[rows, inner\] to tiles of [`TILE_ROWS`] rows, placed by [`chunk_at`]. What a last chunk with fewer values does not fill,
/// and the missing rows of a last tile, are leftovers that are not read.
#[inline(always)]
pub(crate) fn pack_rows<T: Term>(block: ArrayView2<'_, f32>, packed: &mut Vec<Chunk<T>>) {
    /// Values of a row that are fetched ahead of those that are packed.
    const AHEAD: usize = 128;
    let (rows, inner) = block.dim();
    let (tiles, chunks) = (rows.div_ceil(TILE_ROWS), inner.div_ceil(CHUNK * T::INPUTS));
    let length = tiles * TILE_ROWS * chunks;
    lengthen(packed, length, Chunk([T::default(); CHUNK]));
    for (tile, rows) in block.axis_chunks_iter(Axis(0), TILE_ROWS).enumerate() {
        let mut values = [[].as_slice(); TILE_ROWS];
        for (values, row) in values.iter_mut().zip(rows.outer_iter()) {
            *values = row
                .to_slice()
                .expect("rows of the left factor are contiguous");
        }
        let values = &values[..rows.nrows()];
        for chunk in 0..chunks {
            let places = &mut packed[chunk_at::<T>(tiles, chunks, tile, chunk)..][..TILE_ROWS];
            let first = chunk * CHUNK * T::INPUTS;
            let last = inner.min(first + CHUNK * T::INPUTS);
            for (place, values) in places.iter_mut().zip(values) {
                for line in 0..T::INPUTS {
                    fetch(values, first + AHEAD + line * CHUNK);
                }
                T::put(&mut place.0, &values[first..last]);
            }
        }
    }
}

#[cfg(test)]
mod tests;
