//! Products A · B of an array and a packed matrix.

use super::format::{Pair, Precision};
use super::macrokernel::{
    Output, PanelView, Write, multiply_in_place, multiply_packed, partial_bytes,
};
use super::microkernel::Microkernel;
use super::pack::{Pack, PackBuffer, packed_bytes};
use super::packed::{Packed, Panels};
use super::panel::{NR, PanelRow, rows_of_block};
use crate::cpu::InstructionSet;
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, s};
use std::ops::Range;

/// Temporary memory for products. One value serves any number of products, one after another.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    a: PackBuffer,
    partial: Vec<PanelRow<f32>>,
}

impl Scratch {
    /// The most bytes that products of at most `rows` rows with at most `inputs` inputs take, in either format.
    pub fn most_bytes(rows: usize, inputs: usize) -> usize {
        let block = rows_of_block(rows);
        let packed = packed_bytes(block, inputs);
        // bf16 has a separate buffer, of half the size.
        packed + packed / 2 + partial_bytes::<f32>(block, inputs)
    }
}

/// Computes a product with some columns of `b`: `c = a · b`, `c = bias + a · b` or `c += a · b`, as `write` says.
///
/// `a` is \[rows, inputs\], `c` is \[rows, columns\]. If `a` has fewer columns than `b` has rows, the first rows of `b` are used.
/// Rows of `a` and of `c` must be contiguous. `columns` must begin at a multiple of 32, the width of a panel;
/// [`Packed::shares`] gives such ranges.
/// The [module](crate::gemm) specifies the bits of the result.
///
/// # Panics
/// If the shapes do not fit.
///
/// ```
/// use layerwise_kernels::gemm::{Packed, Scratch, Write, multiply};
/// use ndarray::{Array2, array};
///
/// let b = Packed::new(array![[1.0, 0.0], [2.0, 1.0]].view());
/// let mut c = Array2::zeros((1, 2));
/// multiply(array![[3.0, 4.0]].view(), &b, 0..2, c.view_mut(), Write::Replace, &mut Scratch::default());
/// assert_eq!(c, array![[11.0, 4.0]]);
/// ```
pub fn multiply(
    a: ArrayView2<'_, f32>,
    b: &Packed,
    columns: Range<usize>,
    c: ArrayViewMut2<'_, f32>,
    write: Write<'_>,
    scratch: &mut Scratch,
) {
    multiply_with(InstructionSet::detect(), a, b, columns, c, write, scratch);
}

/// [`multiply`] on a given instruction set, which the processor must have.
pub(super) fn multiply_with(
    set: InstructionSet,
    a: ArrayView2<'_, f32>,
    b: &Packed,
    columns: Range<usize>,
    c: ArrayViewMut2<'_, f32>,
    write: Write<'_>,
    scratch: &mut Scratch,
) {
    let (rows, inputs) = a.dim();
    assert!(
        inputs <= b.inputs(),
        "{inputs} columns of A for {} rows of B",
        b.inputs()
    );
    check_output(b, &columns, rows, &c, write);
    if c.is_empty() {
        return;
    }
    if inputs == 0 {
        return write_without_terms(c, write);
    }
    match b.panels() {
        Panels::F32(panels) => {
            let panels = view_from(panels, b.inputs(), inputs, columns.start);
            multiply_blocks(set, a, panels, c, write, scratch);
        }
        Panels::Bf16(panels) => {
            let panels = view_from(panels, b.inputs(), inputs, columns.start);
            multiply_blocks(set, a, panels, c, write, scratch);
        }
    }
}

/// A product in blocks of at most MC rows; each block is packed, multiplied and dropped.
fn multiply_blocks<T: Microkernel + Pack>(
    set: InstructionSet,
    a: ArrayView2<'_, f32>,
    b: PanelView<'_, T>,
    mut c: ArrayViewMut2<'_, f32>,
    write: Write<'_>,
    scratch: &mut Scratch,
) {
    // If A is multiplied with at most two panels, packing it costs more than it gains.
    let few_columns = c.ncols() <= 2 * NR;
    let (rows, block) = (a.nrows(), rows_of_block(a.nrows()));
    for first in (0..rows).step_by(block) {
        let rows = first..rows.min(first + block);
        let a = a.slice(s![rows.clone(), ..]);
        let mut output = Output {
            c: c.slice_mut(s![rows, ..]),
            write,
            partial: &mut scratch.partial,
        };
        match T::in_place(a).filter(|_| few_columns) {
            Some(a) => multiply_in_place(set, a, b, &mut output),
            None => {
                T::pack_a(a, &mut scratch.a);
                multiply_packed(set, T::packed(&scratch.a), b, &mut output);
            }
        }
    }
}

/// The panels of a matrix from a column on, for products with its first `inputs` rows.
fn view_from<T: Microkernel>(
    panels: &[PanelRow<T>],
    panel_inputs: usize,
    inputs: usize,
    first_column: usize,
) -> PanelView<'_, T> {
    let stride = panel_inputs.div_ceil(T::INPUTS);
    PanelView {
        rows: &panels[first_column / NR * stride..],
        stride,
        terms: inputs.div_ceil(T::INPUTS),
    }
}

/// Checks that a product of `rows` rows with some columns of `b` fits its destination.
fn check_output(
    b: &Packed,
    columns: &Range<usize>,
    rows: usize,
    c: &ArrayViewMut2<'_, f32>,
    write: Write<'_>,
) {
    assert!(
        columns.end <= b.outputs() && columns.start.is_multiple_of(NR),
        "columns {columns:?} of {}",
        b.outputs()
    );
    assert_eq!(c.dim(), (rows, columns.len()), "shape of C");
    assert!(
        c.strides()[1] == 1 || columns.len() <= 1 || rows == 0,
        "rows of C are contiguous"
    );
    if let Write::Biased(bias) = write {
        assert_eq!(bias.len(), columns.len(), "length of the bias");
    }
}

/// Writes a product over no inputs.
fn write_without_terms(mut c: ArrayViewMut2<'_, f32>, write: Write<'_>) {
    match write {
        Write::Replace => c.fill(0.0),
        Write::Biased(bias) => c
            .outer_iter_mut()
            .for_each(|mut row| row.assign(&ArrayView1::from(bias))),
        Write::Add => {}
    }
}

/// Rows A \[rows, inputs\], packed once for products with several parts of a matrix.
#[derive(Clone, Debug)]
pub(crate) struct PackedA {
    rows: usize,
    inputs: usize,
    precision: Precision,
    buffer: PackBuffer,
}

impl PackedA {
    /// Packs rows for products with matrices that are packed in `precision`.
    pub(crate) fn new(a: ArrayView2<'_, f32>, precision: Precision) -> Self {
        let mut buffer = PackBuffer::default();
        match precision {
            Precision::F32 => f32::pack_a(a, &mut buffer),
            Precision::Bf16 => Pair::pack_a(a, &mut buffer),
        }
        Self {
            rows: a.nrows(),
            inputs: a.ncols(),
            precision,
            buffer,
        }
    }

    /// The most bytes that `rows` rows, packed in parts of whole tiles, and a product with one part take.
    pub(crate) fn most_bytes(rows: usize, inputs: usize) -> usize {
        packed_bytes(rows, inputs) + partial_bytes::<f32>(rows, inputs)
    }

    /// Does what [`multiply`] does with the unpacked rows, to the bit.
    ///
    /// # Panics
    /// As [`multiply`], and if `b` has another number of inputs or is packed in another precision.
    pub(crate) fn multiply(
        &self,
        b: &Packed,
        columns: Range<usize>,
        c: ArrayViewMut2<'_, f32>,
        write: Write<'_>,
        scratch: &mut Scratch,
    ) {
        assert_eq!(
            (self.inputs, self.precision),
            (b.inputs(), b.precision()),
            "inputs and precision of A and B"
        );
        check_output(b, &columns, self.rows, &c, write);
        if c.is_empty() {
            return;
        }
        if self.inputs == 0 {
            return write_without_terms(c, write);
        }
        let (set, first) = (InstructionSet::detect(), columns.start);
        let mut output = Output {
            c,
            write,
            partial: &mut scratch.partial,
        };
        match b.panels() {
            Panels::F32(panels) => {
                let panels = view_from(panels, b.inputs(), b.inputs(), first);
                multiply_packed(set, f32::packed(&self.buffer), panels, &mut output);
            }
            Panels::Bf16(panels) => {
                let panels = view_from(panels, b.inputs(), b.inputs(), first);
                multiply_packed(set, Pair::packed(&self.buffer), panels, &mut output);
            }
        }
    }
}
