//! The right factor B, packed once.

use super::format::{Format, Pair, Precision};
use super::memory::{Arena, Bytes, Rows};
use super::pack::Pack;
use super::panel::{NR, PanelRow};
use ndarray::{Array2, ArrayView2, Axis, s};
use std::ops::Range;

/// The memory layout of a packed matrix; this text changes when the layout does.
pub const LAYOUT: &str = "panels of 32 columns, a row for each term: 1 input in f32, 2 in bf16";

const _: () = assert!(NR == 32);

/// A matrix B \[inputs, outputs\], packed for products A · B.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    inputs: usize,
    outputs: usize,
    panels: Panels,
}

/// Panel after panel, each with one row for every term of the inputs.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Panels {
    F32(Rows<f32>),
    Bf16(Rows<Pair>),
}

impl Packed {
    /// Packs a matrix \[inputs, outputs\] with any strides, in f32.
    pub fn new(matrix: ArrayView2<'_, f32>) -> Self {
        Self::rounded(matrix, Precision::F32)
    }

    /// Packs a matrix \[inputs, outputs\] with any strides, rounded to a number format.
    pub fn rounded(matrix: ArrayView2<'_, f32>, precision: Precision) -> Self {
        let mut packed = Self::zeros(matrix.nrows(), matrix.ncols(), precision);
        packed.put(0, matrix);
        packed
    }

    /// A matrix \[inputs, outputs\] of zeros, to be filled with [`Packed::put`].
    pub fn zeros(inputs: usize, outputs: usize, precision: Precision) -> Self {
        let bytes = Self::bytes_in(inputs, outputs, precision);
        Self::zeros_in(&mut Arena::with_capacity(bytes), inputs, outputs, precision)
    }

    /// As [`Packed::zeros`], in an allocation shared with other matrices.
    pub fn zeros_in(
        arena: &mut Arena,
        inputs: usize,
        outputs: usize,
        precision: Precision,
    ) -> Self {
        fn rows<T: Format>(arena: &mut Arena, inputs: usize, outputs: usize) -> Rows<T> {
            arena.rows(inputs.div_ceil(T::INPUTS) * outputs.div_ceil(NR))
        }
        let panels = match precision {
            Precision::F32 => Panels::F32(rows(arena, inputs, outputs)),
            Precision::Bf16 => Panels::Bf16(rows(arena, inputs, outputs)),
        };
        Self {
            inputs,
            outputs,
            panels,
        }
    }

    /// A packed matrix \[inputs, outputs\] that borrows existing bytes, as [`Packed::as_bytes`] returns them; `None` if their
    /// number is wrong, or they do not begin at a multiple of 64 bytes.
    pub fn of_bytes(
        bytes: &Bytes,
        range: Range<usize>,
        [inputs, outputs]: [usize; 2],
        precision: Precision,
    ) -> Option<Self> {
        fn rows<T: Format>(
            bytes: &Bytes,
            range: Range<usize>,
            [inputs, outputs]: [usize; 2],
        ) -> Option<Rows<T>> {
            let length = inputs
                .div_ceil(T::INPUTS)
                .checked_mul(outputs.div_ceil(NR))?;
            Rows::of(bytes, range, length)
        }
        let shape = [inputs, outputs];
        let panels = match precision {
            Precision::F32 => Panels::F32(rows(bytes, range, shape)?),
            Precision::Bf16 => Panels::Bf16(rows(bytes, range, shape)?),
        };
        Some(Self {
            inputs,
            outputs,
            panels,
        })
    }

    /// The bytes of the packed matrix. Another program reads them as the same matrix if its [`LAYOUT`] and byte order are the
    /// same.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.panels {
            Panels::F32(panels) => panels.bytes(),
            Panels::Bf16(panels) => panels.bytes(),
        }
    }

    /// Overwrites the columns from `first_column` on with a matrix \[inputs, columns\] with any strides.
    ///
    /// A matrix that is stored in several parts is packed part by part, without being assembled first.
    ///
    /// # Panics
    /// If the part has another number of rows, or reaches past the last column.
    pub fn put(&mut self, first_column: usize, part: ArrayView2<'_, f32>) {
        assert_eq!(part.nrows(), self.inputs, "rows of a part");
        let columns = first_column..first_column + part.ncols();
        assert!(
            columns.end <= self.outputs,
            "columns {columns:?} of {}",
            self.outputs
        );
        fn fill<T: Pack>(
            panels: &mut [PanelRow<T>],
            columns: Range<usize>,
            part: ArrayView2<'_, f32>,
        ) {
            let terms = part.nrows().div_ceil(T::INPUTS);
            if terms == 0 {
                return;
            }
            let mut first = columns.start;
            for panel in panels.chunks_exact_mut(terms).skip(first / NR) {
                let last = columns.end.min((first / NR + 1) * NR);
                let own = s![.., first - columns.start..last - columns.start];
                T::fill_panel(part.slice(own), panel, first % NR);
                first = last;
                if first == columns.end {
                    return;
                }
            }
        }
        match &mut self.panels {
            Panels::F32(panels) => fill(panels, columns, part),
            Panels::Bf16(panels) => fill(panels, columns, part),
        }
    }

    /// Overwrites the rows from `first_row` on with a matrix \[rows, outputs\] with any strides.
    ///
    /// # Panics
    /// If the part has another number of columns, or reaches past the last row.
    pub fn put_rows(&mut self, first_row: usize, part: ArrayView2<'_, f32>) {
        assert_eq!(part.ncols(), self.outputs, "columns of a part");
        let rows = first_row..first_row + part.nrows();
        assert!(rows.end <= self.inputs, "rows {rows:?} of {}", self.inputs);
        fn fill<T: Pack>(
            panels: &mut [PanelRow<T>],
            inputs: usize,
            rows: Range<usize>,
            part: ArrayView2<'_, f32>,
        ) {
            if rows.is_empty() {
                return;
            }
            let terms = rows.start / T::INPUTS..rows.end.div_ceil(T::INPUTS);
            // The second input of a pair whose first is already there.
            let second = rows.start % T::INPUTS;
            let panels = panels.chunks_exact_mut(inputs.div_ceil(T::INPUTS));
            for (panel, own) in panels.zip(part.axis_chunks_iter(Axis(1), NR)) {
                let (divided, whole) = own.split_at(Axis(0), second);
                let (first, panel) = panel[terms.clone()].split_at_mut(second);
                for row in first {
                    let mut single = [PanelRow([T::default(); NR])];
                    T::fill_panel(divided, &mut single, 0);
                    for (lane, value) in row.0.iter_mut().zip(single[0].0).take(own.ncols()) {
                        lane.set(second, value, 0);
                    }
                }
                if !panel.is_empty() {
                    T::fill_panel(whole, panel, 0);
                }
            }
        }
        match &mut self.panels {
            Panels::F32(panels) => fill(panels, self.inputs, rows, part),
            Panels::Bf16(panels) => fill(panels, self.inputs, rows, part),
        }
    }

    /// The bytes of a matrix \[inputs, outputs\] packed in f32; in bf16 half of that.
    pub fn bytes(inputs: usize, outputs: usize) -> usize {
        Self::bytes_in(inputs, outputs, Precision::F32)
    }

    /// The bytes of a matrix \[inputs, outputs\] packed in a number format.
    pub fn bytes_in(inputs: usize, outputs: usize, precision: Precision) -> usize {
        let (terms, row) = match precision {
            Precision::F32 => (inputs, size_of::<PanelRow<f32>>()),
            Precision::Bf16 => (inputs.div_ceil(Pair::INPUTS), size_of::<PanelRow<Pair>>()),
        };
        terms * outputs.div_ceil(NR) * row
    }

    /// Rows of the matrix: the inner dimension of a product.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Columns of the matrix.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The columns in up to `parts` ranges of about equal size, each of which [`multiply`](super::multiply) accepts.
    ///
    /// Threads that share a product along its columns take one range each. The bits of the product stay the same.
    pub fn shares(&self, parts: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let (outputs, panels) = (self.outputs, self.outputs.div_ceil(NR));
        let parts = parts.min(panels);
        (0..parts).map(move |part| {
            let [first, last] = [part, part + 1].map(|part| panels * part / parts * NR);
            first..last.min(outputs)
        })
    }

    /// The number format that the matrix is packed in.
    pub fn precision(&self) -> Precision {
        match self.panels {
            Panels::F32(_) => Precision::F32,
            Panels::Bf16(_) => Precision::Bf16,
        }
    }

    pub(super) fn panels(&self) -> &Panels {
        &self.panels
    }

    /// One column, \[inputs\].
    ///
    /// # Panics
    /// If the column is out of range.
    pub fn column(&self, column: usize) -> impl Iterator<Item = f32> + '_ {
        assert!(column < self.outputs, "column {column} of {}", self.outputs);
        let inputs = self.inputs;
        (0..inputs).map(move |input| match &self.panels {
            Panels::F32(panels) => element(panels, inputs, input, column),
            Panels::Bf16(panels) => element(panels, inputs, input, column),
        })
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

    /// Some columns as the rows of another packed matrix, \[columns, inputs\], in the same number format.
    ///
    /// # Panics
    /// If the columns are out of range, or the first does not begin a panel.
    pub(crate) fn transposed(&self, columns: Range<usize>) -> Self {
        assert!(
            columns.end <= self.outputs && columns.start.is_multiple_of(NR),
            "columns {columns:?} of {}",
            self.outputs
        );
        fn transpose<T: Format>(
            panels: &[PanelRow<T>],
            columns: Range<usize>,
            outputs: usize,
            rows: &mut [PanelRow<T>],
        ) {
            let (terms, height) = (
                outputs.div_ceil(T::INPUTS),
                columns.len().div_ceil(T::INPUTS),
            );
            for first in (columns.start..columns.end).step_by(NR) {
                let lanes = 0..NR.min(columns.end - first);
                for input in 0..outputs {
                    let row = &panels[first / NR * terms + input / T::INPUTS].0;
                    let panel = &mut rows[input / NR * height..][..height];
                    for (at, term) in (first - columns.start..).zip(&row[lanes.clone()]) {
                        panel[at / T::INPUTS].0[input % NR].set(
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
            (Panels::F32(panels), Panels::F32(rows)) => {
                transpose(panels, columns, self.inputs, rows);
            }
            (Panels::Bf16(panels), Panels::Bf16(rows)) => {
                transpose(panels, columns, self.inputs, rows);
            }
            _ => unreachable!("zeros are in the format that was asked for"),
        }
        turned
    }
}

/// One element of a matrix with `inputs` inputs.
#[inline(always)]
fn element<T: Format>(panels: &[PanelRow<T>], inputs: usize, input: usize, output: usize) -> f32 {
    let panel = output / NR * inputs.div_ceil(T::INPUTS);
    panels[panel + input / T::INPUTS].0[output % NR].value(input % T::INPUTS)
}
