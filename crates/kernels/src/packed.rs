//! Products with a matrix that has been packed once: weights, which never change, and the keys and values of one head.
//!
//! A packed matrix \[inputs, outputs\] is stored in panels of [`PANEL`] output columns, each panel row by row, so that the
//! inner loop reads it straight through.
//! The rows of the other factor are packed a block at a time, and a tile of 12 × [`PANEL`] sums is kept in registers.
//!
//! Every element of the result is a chain of fused multiply-adds over the inner dimension, begun anew every 256 terms, and
//! the chains added up. It depends on its own row and column alone: not on the number of rows,
//! nor on the tile or the instruction set (AVX-512 and AVX2 give the same bits; without FMA each product is rounded).

use crate::Write;
use crate::microkernel::Kernel;
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, s};
use std::ops::Range;

/// Output columns of a panel: two AVX-512 registers.
pub const PANEL: usize = 32;
/// Rows of a tile of sums.
pub(crate) const TILE_ROWS: usize = 12;
/// Terms of one chain of fused multiply-adds, a multiple of [`CHUNK`]: the shorter, the less rounding adds up.
pub(crate) const CHAIN: usize = 256;
/// Terms that are packed together, a multiple of [`CHAIN`].
const INNER_BLOCK: usize = 1024;
/// Terms of a row of the left factor that are packed together.
pub(crate) const CHUNK: usize = 16;
/// Rows that are packed together: the more, the less often the other factor is read again; with [`INNER_BLOCK`] terms they
/// still fit into a second-level cache of 1 MiB.
const ROW_BLOCK: usize = 15 * TILE_ROWS;

/// One row of a panel.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct PanelRow(pub(crate) [f32; PANEL]);

/// Consecutive terms of one row of the left factor: a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Chunk(pub(crate) [f32; CHUNK]);

/// A matrix \[inputs, outputs\], packed for products from the left.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    inputs: usize,
    outputs: usize,
    rows: Vec<PanelRow>,
}

impl Packed {
    /// Packs a matrix \[inputs, outputs\], in any strides.
    pub fn new(matrix: ArrayView2<'_, f32>) -> Self {
        let mut packed = Self {
            inputs: 0,
            outputs: 0,
            rows: Vec::new(),
        };
        packed.repack(matrix);
        packed
    }

    /// Packs another matrix into the same memory.
    pub fn repack(&mut self, matrix: ArrayView2<'_, f32>) {
        (self.inputs, self.outputs) = matrix.dim();
        self.rows.clear();
        self.rows.resize(
            self.inputs * self.outputs.div_ceil(PANEL),
            PanelRow([0.0; PANEL]),
        );
        for (panel, rows) in self.rows.chunks_exact_mut(self.inputs.max(1)).enumerate() {
            let first = panel * PANEL;
            let part = matrix.slice(s![.., first..self.outputs.min(first + PANEL)]);
            if part.strides()[0].unsigned_abs() < part.strides()[1].unsigned_abs() {
                turn_over(part, rows);
            } else {
                for (row, values) in rows.iter_mut().zip(part.outer_iter()) {
                    match values.to_slice() {
                        Some(values) => row.0[..values.len()].copy_from_slice(values),
                        None => row
                            .0
                            .iter_mut()
                            .zip(values)
                            .for_each(|(lane, value)| *lane = *value),
                    }
                }
            }
        }
    }

    /// Memory of a packed matrix \[inputs, outputs\], in bytes.
    pub fn bytes(inputs: usize, outputs: usize) -> usize {
        inputs * outputs.div_ceil(PANEL) * size_of::<PanelRow>()
    }

    /// Rows of the matrix.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Columns of the matrix.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// One column, \[inputs\].
    ///
    /// # Panics
    /// If there is no such column.
    pub fn column(&self, column: usize) -> impl Iterator<Item = f32> + '_ {
        assert!(column < self.outputs, "column {column} of {}", self.outputs);
        let first = column / PANEL * self.inputs;
        self.rows[first..first + self.inputs]
            .iter()
            .map(move |row| row.0[column % PANEL])
    }

    /// The columns `columns` as the rows of another packed matrix, \[columns, inputs\].
    ///
    /// # Panics
    /// If there are no such columns.
    pub fn transposed(&self, columns: Range<usize>) -> Self {
        assert!(
            columns.end <= self.outputs,
            "columns {columns:?} of {}",
            self.outputs
        );
        let (inputs, outputs) = (columns.len(), self.inputs);
        let mut rows = vec![PanelRow([0.0; PANEL]); inputs * outputs.div_ceil(PANEL)];
        for (panel, rows) in rows.chunks_exact_mut(inputs.max(1)).enumerate() {
            let lanes = panel * PANEL..outputs.min((panel + 1) * PANEL);
            for (row, column) in rows.iter_mut().zip(columns.clone()) {
                let source = &self.rows[column / PANEL * self.inputs..][lanes.clone()];
                let values = source.iter().map(|source| source.0[column % PANEL]);
                row.0
                    .iter_mut()
                    .zip(values)
                    .for_each(|(lane, value)| *lane = value);
            }
        }
        Self {
            inputs,
            outputs,
            rows,
        }
    }

    /// The matrix, \[inputs, outputs\].
    pub fn unpack(&self) -> Array2<f32> {
        Array2::from_shape_fn((self.inputs, self.outputs), |(i, o)| {
            self.rows[o / PANEL * self.inputs + i].0[o % PANEL]
        })
    }
}

/// Packs columns that are stored one after another: blocks of both axes are read along the inputs and written along the
/// outputs, so that memory is passed through in order on either side.
fn turn_over(part: ArrayView2<'_, f32>, rows: &mut [PanelRow]) {
    const BLOCK: usize = 16;
    let columns: Vec<ArrayView1<'_, f32>> = part.columns().into_iter().collect();
    for (first, rows) in (0..).step_by(BLOCK).zip(rows.chunks_mut(BLOCK)) {
        let mut block = [[0.0_f32; BLOCK]; PANEL];
        for (values, column) in block.iter_mut().zip(&columns) {
            let column = column.slice(s![first..first + rows.len()]);
            match column.to_slice() {
                Some(column) => values[..column.len()].copy_from_slice(column),
                None => values
                    .iter_mut()
                    .zip(column)
                    .for_each(|(value, column)| *value = *column),
            }
        }
        for (at, row) in rows.iter_mut().enumerate() {
            for (lane, values) in row.0.iter_mut().zip(&block) {
                *lane = values[at];
            }
        }
    }
}

/// Memory for packed rows, kept between products.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    rows: Vec<Chunk>,
}

impl Scratch {
    /// The most bytes that products of at most `rows` rows and `inner` terms make it take.
    pub fn most_bytes(rows: usize, inner: usize) -> usize {
        let rows = rows.min(ROW_BLOCK).next_multiple_of(TILE_ROWS);
        let chunks = inner.min(INNER_BLOCK).div_ceil(CHUNK);
        // A vector that grows takes up to twice what it needs, beside its old memory.
        3 * rows * chunks * size_of::<Chunk>()
    }
}

/// Computes `out = a · b` or `out += a · b`, for `a` \[rows, inner\], the first `inner` rows and the columns `columns` of `b`,
/// `out` \[rows, columns\].
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
    write: Write,
    scratch: &mut Scratch,
) {
    multiply_with(Kernel::detect(), a, b, columns, out, write, scratch);
}

fn multiply_with(
    kernel: Kernel,
    a: ArrayView2<'_, f32>,
    b: &Packed,
    columns: Range<usize>,
    mut out: ArrayViewMut2<'_, f32>,
    write: Write,
    scratch: &mut Scratch,
) {
    let (rows, inputs) = a.dim();
    assert!(inputs <= b.inputs, "{inputs} columns for {} rows", b.inputs);
    assert!(
        columns.end <= b.outputs && columns.start.is_multiple_of(PANEL),
        "columns {columns:?} of {}",
        b.outputs
    );
    assert_eq!(
        out.dim(),
        (rows, columns.len()),
        "shape of the product's destination"
    );
    if rows == 0 || columns.is_empty() {
        return;
    }
    assert!(
        out.strides()[1] == 1 || columns.len() <= 1,
        "rows of the destination are contiguous"
    );
    if inputs == 0 && write == Write::Replace {
        out.fill(0.0);
    }
    // Few panels do not repay packing the rows of `a`; their strides must then be friendly.
    let pack = columns.len() > 2 * PANEL;
    for first_row in (0..rows).step_by(ROW_BLOCK) {
        let row_block = first_row..rows.min(first_row + ROW_BLOCK);
        for first_input in (0..inputs).step_by(INNER_BLOCK) {
            let inner = first_input..inputs.min(first_input + INNER_BLOCK);
            let block = a.slice(s![row_block.clone(), inner.clone()]);
            if pack {
                pack_rows(block, &mut scratch.rows);
            }
            let add = write == Write::Add || first_input > 0;
            for first_column in columns.clone().step_by(PANEL) {
                let panel = first_column / PANEL * b.inputs;
                let panel = &b.rows[panel + inner.start..panel + inner.end];
                let width = PANEL.min(columns.end - first_column);
                let first_out = first_column - columns.start;
                let out = out.slice_mut(s![row_block.clone(), first_out..first_out + width]);
                if pack {
                    kernel.packed(&scratch.rows, panel, add, out);
                } else {
                    kernel.strided(block, panel, add, out);
                }
            }
        }
    }
}

/// \[rows, inner\] to tiles of [`TILE_ROWS`] rows, each \[inner / CHUNK, TILE_ROWS, CHUNK\]: whole cache lines are copied,
/// and a tile is read straight through. A last tile with fewer rows, and a last chunk with fewer terms, hold leftovers
/// that are not read.
fn pack_rows(block: ArrayView2<'_, f32>, packed: &mut Vec<Chunk>) {
    let (rows, inner) = block.dim();
    let chunks = inner.div_ceil(CHUNK);
    packed.resize(
        rows.div_ceil(TILE_ROWS) * TILE_ROWS * chunks,
        Chunk([0.0; CHUNK]),
    );
    for (row, values) in block.outer_iter().enumerate() {
        let values = values
            .to_slice()
            .expect("rows of the left factor are contiguous");
        let start = row / TILE_ROWS * TILE_ROWS * chunks + row % TILE_ROWS;
        let places = packed[start..].iter_mut().step_by(TILE_ROWS);
        let (whole, rest) = values.as_chunks::<CHUNK>();
        for (place, values) in places.zip(whole) {
            place.0 = *values;
        }
        if !rest.is_empty() {
            packed[start + whole.len() * TILE_ROWS].0[..rest.len()].copy_from_slice(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(rows: usize, columns: usize, seed: u64) -> Array2<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Array2::from_shape_simple_fn((rows, columns), || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
    }

    /// The chain of fused multiply-adds that every element is, written as plainly as can be.
    fn reference(a: &Array2<f32>, b: &Array2<f32>, start: Option<&Array2<f32>>) -> Array2<f32> {
        Array2::from_shape_fn((a.nrows(), b.ncols()), |(row, column)| {
            let mut total = start.map(|start| start[(row, column)]);
            for first in (0..a.ncols()).step_by(CHAIN) {
                let inner = first..a.ncols().min(first + CHAIN);
                let chain = inner.fold(0.0_f32, |sum, k| a[(row, k)].mul_add(b[(k, column)], sum));
                total = Some(total.map_or(chain, |total| total + chain));
            }
            total.unwrap_or(0.0)
        })
    }

    #[test]
    fn packing_is_undone() {
        for (inputs, outputs) in [(1, 1), (3, 32), (5, 33), (7, 100), (0, 4)] {
            let matrix = noise(inputs, outputs, 1);
            let packed = Packed::new(matrix.view());
            assert_eq!(packed.unpack(), matrix);
            assert_eq!(
                Packed::new(noise(outputs, inputs, 2).t()).unpack(),
                noise(outputs, inputs, 2).t()
            );
            let part = outputs / 3..outputs;
            let turned = packed.transposed(part.clone());
            assert_eq!(turned, Packed::new(matrix.slice(s![.., part]).t()));
            for column in 0..outputs {
                assert!(
                    packed
                        .column(column)
                        .eq(matrix.column(column).iter().copied())
                );
            }
        }
    }

    #[test]
    fn long_inner_dimensions_are_summed_in_chains() {
        let (a, b) = (
            noise(14, 2 * INNER_BLOCK + CHAIN + 5, 1),
            noise(2 * INNER_BLOCK + CHAIN + 5, 70, 2),
        );
        let packed = Packed::new(b.view());
        for kernel in Kernel::available()
            .into_iter()
            .filter(|kernel| kernel.is_fused())
        {
            let mut out = Array2::zeros((14, 70));
            multiply_with(
                kernel,
                a.view(),
                &packed,
                0..70,
                out.view_mut(),
                Write::Replace,
                &mut Scratch::default(),
            );
            assert_eq!(out, reference(&a, &b, None), "{kernel:?}");
        }
    }

    proptest! {
        #[test]
        fn every_kernel_gives_the_chain_bit_for_bit(rows in 0usize..30, inner in 0usize..80, unused in 0usize..3, outputs in 1usize..140, first in 0usize..3, add: bool, seed: u64) {
            let (a, b) = (noise(rows, inner, seed), noise(inner + unused, outputs, seed ^ 7));
            let packed = Packed::new(b.view());
            let b = b.slice(s![..inner, ..]).to_owned();
            let first = (first * PANEL).min((outputs - 1) / PANEL * PANEL);
            let start = noise(rows, outputs - first, seed ^ 99);
            let part = b.slice(s![.., first..]).to_owned();
            let expected = reference(&a, &part, add.then_some(&start));
            for kernel in Kernel::available() {
                // A destination that is a window of a wider array, as the heads of an attention are.
                let mut wide = Array2::from_elem((rows, outputs - first + 3), 7.0);
                let mut out = wide.slice_mut(s![.., ..outputs - first]);
                out.assign(&start);
                let write = if add { Write::Add } else { Write::Replace };
                multiply_with(kernel, a.view(), &packed, first..outputs, out.view_mut(), write, &mut Scratch::default());
                if kernel.is_fused() {
                    prop_assert_eq!(&out, &expected, "{:?}", kernel);
                } else {
                    for (got, expected) in out.iter().zip(&expected) {
                        prop_assert!((got - expected).abs() <= 1e-6 * (1.0 + inner as f32));
                    }
                }
                prop_assert!(wide.slice(s![.., outputs - first..]).iter().all(|value| *value == 7.0), "nothing is written beside the destination");
            }
        }
    }
}
