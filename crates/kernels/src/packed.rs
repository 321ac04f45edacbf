//! Products with a matrix that has been packed once: weights, which never change, and the keys and values of one head.
//!
//! A packed matrix \[inputs, outputs\] is stored in panels of [`PANEL`] output columns, each panel row by row, so that the
//! inner loop reads it straight through.
//! The rows of the other factor are packed a block at a time, and a tile of 12 × [`PANEL`] sums is kept in registers.
//!
//! A matrix is packed in f32 or in bf16 ([`Precision`]), and the rows that are multiplied with it are rounded likewise as
//! they are packed. In bf16 two consecutive inputs lie in the place of one, and one instruction multiplies and adds both.
//!
//! Every element of the result is a chain of fused multiply-adds over the inner dimension, begun anew every 256 terms (a
//! term is two inputs in bf16), and the chains added up. It depends on its own row and column alone: not on the number of
//! rows, nor on the tile or the instruction set (AVX-512 and AVX2 give the same bits; without FMA each product is rounded).
//! In bf16 the second input of a pair is added before the first, each with one rounding, and numbers below the normal range
//! of f32 count as zero: as `vdpbf16ps` does, and, slowly, the portable kernel.

use crate::Write;
use crate::microkernel::Kernel;
use crate::term::{Pair, Term};
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, s};
use std::ops::Range;

pub use crate::term::Precision;

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

    /// The columns `columns` as the rows of another packed matrix, \[columns, inputs\], in f32.
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
        fn turn<T: Term>(
            panels: &[PanelRow<T>],
            columns: Range<usize>,
            outputs: usize,
            rows: &mut [PanelRow<f32>],
        ) {
            for (panel, rows) in rows.chunks_exact_mut(columns.len().max(1)).enumerate() {
                let lanes = panel * PANEL..outputs.min((panel + 1) * PANEL);
                for (row, column) in rows.iter_mut().zip(columns.clone()) {
                    let terms = &panels[column / PANEL * outputs.div_ceil(T::INPUTS)..];
                    for (lane, input) in row.0.iter_mut().zip(lanes.clone()) {
                        let term = terms[input / T::INPUTS].0[column % PANEL];
                        *lane = term.value(input % T::INPUTS);
                    }
                }
            }
        }
        match &self.panels {
            Panels::F32(panels) => turn(panels, columns, outputs, &mut rows),
            Panels::Bf16(panels) => turn(panels, columns, outputs, &mut rows),
        }
        Self {
            inputs,
            outputs,
            panels: Panels::F32(rows),
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

/// Packs columns that are stored one after another: blocks of both axes are read along the inputs and written along the
/// outputs, so that memory is passed through in order on either side.
pub(crate) fn turn_over(part: ArrayView2<'_, f32>, rows: &mut [PanelRow<f32>], first_lane: usize) {
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
            for (lane, values) in row.0[first_lane..].iter_mut().zip(&block[..columns.len()]) {
                *lane = values[at];
            }
        }
    }
}

/// Memory for packed rows, kept between products.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    pub(crate) singles: Vec<Chunk<f32>>,
    pub(crate) pairs: Vec<Chunk<Pair>>,
}

impl Scratch {
    /// The most bytes that products of at most `rows` rows and `inner` terms make it take.
    pub fn most_bytes(rows: usize, inner: usize) -> usize {
        let rows = rows.min(ROW_BLOCK).next_multiple_of(TILE_ROWS);
        let chunks = inner.min(INNER_BLOCK).div_ceil(CHUNK);
        // A vector that grows takes up to twice what it needs, beside its old memory.
        // Pairs of bf16, where there are any, are half as many.
        3 * rows
            * (chunks * size_of::<Chunk<f32>>() + chunks.div_ceil(2) * size_of::<Chunk<Pair>>())
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
    write: Write,
    scratch: &mut Scratch,
) {
    let (rows, inputs) = a.dim();
    let (terms, panel_terms) = (inputs.div_ceil(T::INPUTS), panel_inputs.div_ceil(T::INPUTS));
    // Few panels do not repay packing the rows of `a`, where they need not be rounded; their strides must then be friendly.
    let few = columns.len() <= 2 * PANEL;
    for first_row in (0..rows).step_by(ROW_BLOCK) {
        let row_block = first_row..rows.min(first_row + ROW_BLOCK);
        for first_term in (0..terms).step_by(INNER_BLOCK) {
            let inner = first_term..terms.min(first_term + INNER_BLOCK);
            let inner_inputs = inner.start * T::INPUTS..inputs.min(inner.end * T::INPUTS);
            let block = a.slice(s![row_block.clone(), inner_inputs]);
            let unpacked = T::unpacked(block).filter(|_| few);
            if unpacked.is_none() {
                T::pack(block, scratch);
            }
            let add = write == Write::Add || first_term > 0;
            for first_column in columns.clone().step_by(PANEL) {
                let panel = first_column / PANEL * panel_terms;
                let panel = &panels[panel + inner.start..panel + inner.end];
                let width = PANEL.min(columns.end - first_column);
                let first_out = first_column - columns.start;
                let out = out.slice_mut(s![row_block.clone(), first_out..first_out + width]);
                match unpacked {
                    Some(rows) => kernel.strided(rows, panel, add, out),
                    None => kernel.packed(T::packed(scratch), panel, add, out),
                }
            }
        }
    }
}

/// \[rows, inner\] to tiles of [`TILE_ROWS`] rows, each \[terms / CHUNK, TILE_ROWS, CHUNK\]: whole cache lines are written,
/// and a tile is read straight through. What a last chunk with fewer values does not fill, and the missing rows of a last
/// tile, are leftovers that are not read.
#[inline(always)]
pub(crate) fn pack_rows<T: Term>(block: ArrayView2<'_, f32>, packed: &mut Vec<Chunk<T>>) {
    let (rows, inner) = block.dim();
    let chunks = inner.div_ceil(CHUNK * T::INPUTS);
    packed.resize(
        rows.div_ceil(TILE_ROWS) * TILE_ROWS * chunks,
        Chunk([T::default(); CHUNK]),
    );
    for (row, values) in block.outer_iter().enumerate() {
        let values = values
            .to_slice()
            .expect("rows of the left factor are contiguous");
        let start = row / TILE_ROWS * TILE_ROWS * chunks + row % TILE_ROWS;
        let places = packed[start..].iter_mut().step_by(TILE_ROWS);
        let whole = values.chunks_exact(CHUNK * T::INPUTS);
        let rest = whole.remainder();
        let count = whole.len();
        for (place, values) in places.zip(whole) {
            T::put(&mut place.0, values);
        }
        if !rest.is_empty() {
            T::put(&mut packed[start + count * TILE_ROWS].0, rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;
    use proptest::prelude::*;

    /// The chain that every element is, written as plainly as can be.
    fn reference(
        a: &Array2<f32>,
        b: &Array2<f32>,
        start: Option<&Array2<f32>>,
        precision: Precision,
    ) -> Array2<f32> {
        let term = match precision {
            Precision::F32 => 1,
            Precision::Bf16 => 2,
        };
        Array2::from_shape_fn((a.nrows(), b.ncols()), |(row, column)| {
            let mut total = start.map(|start| start[(row, column)]);
            let inputs: Vec<usize> = (0..a.ncols()).collect();
            for chain in inputs.chunks(CHAIN * term) {
                let order = chain.chunks(term).flat_map(|term| term.iter().rev());
                let chain = order.fold(0.0_f32, |sum, &k| {
                    let (x, y) = (a[(row, k)], b[(k, column)]);
                    precision.round(x).mul_add(precision.round(y), sum)
                });
                total = Some(total.map_or(chain, |total| total + chain));
            }
            total.unwrap_or(0.0)
        })
    }

    /// Whether a kernel's products give the reference bit for bit.
    fn is_exact(kernel: Kernel, precision: Precision) -> bool {
        precision == Precision::Bf16 || kernel.is_fused()
    }

    const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::Bf16];

    #[test]
    fn packing_is_undone() {
        for (inputs, outputs) in [(1, 1), (3, 32), (5, 33), (7, 100), (0, 4), (70, 40)] {
            for precision in PRECISIONS {
                let round = |matrix: Array2<f32>| matrix.mapv(|value| precision.round(value));
                let matrix = noise(inputs, outputs, 1);
                let packed = Packed::rounded(matrix.view(), precision);
                assert_eq!(packed.precision(), precision);
                let matrix = round(matrix);
                assert_eq!(packed.unpack(), matrix);
                let turned = noise(outputs, inputs, 2);
                let lying = Packed::rounded(turned.t(), precision);
                assert_eq!(lying.unpack(), round(turned).t());
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
    }

    #[test]
    fn parts_lie_side_by_side() {
        let parts = [3, 32, 61, 1, 0, 40].map(|columns| noise(columns, 35, columns as u64));
        let views: Vec<_> = parts.iter().map(|part| part.t()).collect();
        let whole = ndarray::concatenate(ndarray::Axis(1), &views).unwrap();
        for precision in PRECISIONS {
            let mut packed = Packed::zeros(35, whole.ncols(), precision);
            let mut first = 0;
            for view in &views {
                packed.put(first, *view);
                first += view.ncols();
            }
            assert_eq!(packed, Packed::rounded(whole.view(), precision));
        }
    }

    #[test]
    fn memory_is_packed_anew() {
        let mut packed = Packed::rounded(noise(9, 70, 3).view(), Precision::Bf16);
        for (inputs, outputs) in [(4, 33), (20, 100), (2, 5)] {
            let matrix = noise(inputs, outputs, 4);
            packed.repack(matrix.view());
            assert_eq!(packed, Packed::new(matrix.view()));
        }
    }

    #[test]
    fn long_inner_dimensions_are_summed_in_chains() {
        let inner = 4 * INNER_BLOCK + CHAIN + 5;
        let (a, b) = (noise(14, inner, 1), noise(inner, 70, 2));
        for precision in PRECISIONS {
            let packed = Packed::rounded(b.view(), precision);
            for kernel in Kernel::available() {
                if !is_exact(kernel, precision) {
                    continue;
                }
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
                assert_eq!(out, reference(&a, &b, None, precision), "{kernel:?}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_stays_so() {
        for value in [f32::NAN, f32::INFINITY] {
            for place in [0, 32, 34] {
                let mut a = noise(3, 35, 1);
                a[(1, place)] = value;
                let b = noise(35, 80, 2);
                for precision in PRECISIONS {
                    for kernel in Kernel::available() {
                        let mut out = Array2::zeros((3, 80));
                        let packed = Packed::rounded(b.view(), precision);
                        let scratch = &mut Scratch::default();
                        multiply_with(
                            kernel,
                            a.view(),
                            &packed,
                            0..80,
                            out.view_mut(),
                            Write::Replace,
                            scratch,
                        );
                        assert!(out.row(1).iter().all(|value| !value.is_finite()));
                        // The same memory then serves shorter rows, which must not meet what was left there.
                        let mut short = Array2::zeros((3, 80));
                        multiply_with(
                            kernel,
                            a.slice(s![.., ..33]).map(|_| 1.0).view(),
                            &packed,
                            0..80,
                            short.view_mut(),
                            Write::Replace,
                            scratch,
                        );
                        assert!(short.iter().all(|value| value.is_finite()), "{kernel:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn numbers_below_the_normal_range_count_as_zero_in_bf16() {
        let tiny = f32::MIN_POSITIVE / 4.0;
        let b = ndarray::arr2(&[[1.0], [tiny], [1e-30]]);
        let b = Packed::rounded(b.view(), Precision::Bf16);
        for kernel in Kernel::available() {
            let mut out = Array2::from_elem((2, 1), 7.0);
            let a = ndarray::arr2(&[[tiny, 1.0, 0.0], [0.0, 0.0, 1e-30]]);
            let scratch = &mut Scratch::default();
            multiply_with(
                kernel,
                a.view(),
                &b,
                0..1,
                out.view_mut(),
                Write::Replace,
                scratch,
            );
            assert_eq!(out, Array2::<f32>::zeros((2, 1)), "{kernel:?}");
        }
    }

    proptest! {
        #[test]
        fn every_kernel_gives_the_chain_bit_for_bit(rows in 0usize..30, inner in 0usize..80, unused in 0usize..3, outputs in 1usize..140, first in 0usize..3, add: bool, bf16: bool, seed: u64) {
            let precision = PRECISIONS[usize::from(bf16)];
            let (a, b) = (noise(rows, inner, seed), noise(inner + unused, outputs, seed ^ 7));
            let packed = Packed::rounded(b.view(), precision);
            let b = b.slice(s![..inner, ..]).to_owned();
            let first = (first * PANEL).min((outputs - 1) / PANEL * PANEL);
            let start = noise(rows, outputs - first, seed ^ 99);
            let part = b.slice(s![.., first..]).to_owned();
            let expected = reference(&a, &part, add.then_some(&start), precision);
            let exact = a.mapv(|value| f64::from(precision.round(value))).dot(&part.mapv(|value| f64::from(precision.round(value))));
            for kernel in Kernel::available() {
                // A destination that is a window of a wider array, as the heads of an attention are.
                let mut wide = Array2::from_elem((rows, outputs - first + 3), 7.0);
                let mut out = wide.slice_mut(s![.., ..outputs - first]);
                out.assign(&start);
                let write = if add { Write::Add } else { Write::Replace };
                multiply_with(kernel, a.view(), &packed, first..outputs, out.view_mut(), write, &mut Scratch::default());
                if is_exact(kernel, precision) {
                    prop_assert_eq!(&out, &expected, "{:?}", kernel);
                }
                for ((got, exact), start) in out.iter().zip(&exact).zip(&start) {
                    let expected = exact + if add { f64::from(*start) } else { 0.0 };
                    prop_assert!((f64::from(*got) - expected).abs() <= 1e-6 * (1.0 + inner as f64), "{:?}", kernel);
                }
                prop_assert!(wide.slice(s![.., outputs - first..]).iter().all(|value| *value == 7.0), "nothing is written beside the destination");
            }
        }

        #[test]
        fn a_row_depends_on_itself_alone(rows in 1usize..200, inner in 1usize..70, outputs in 1usize..100, some in 1usize..200, bf16: bool, seed: u64) {
            let (a, b) = (noise(rows, inner, seed), noise(inner, outputs, seed ^ 7));
            let packed = Packed::rounded(b.view(), PRECISIONS[usize::from(bf16)]);
            let some = some.min(rows);
            let product = |rows: usize| {
                let mut out = Array2::zeros((rows, outputs));
                multiply(a.slice(s![..rows, ..]), &packed, 0..outputs, out.view_mut(), Write::Replace, &mut Scratch::default());
                out
            };
            let all = product(rows);
            prop_assert_eq!(all.slice(s![..some, ..]), product(some));
        }
    }
}
