//! Weight matrices as the forward pass reads them.

use crate::crew::Crew;
use layerwise_architecture::Layout;
use layerwise_kernels::gemm::{Packed, Precision, Scratch, Write, multiply};
use layerwise_weights::Tensor;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, ShapeBuilder};
use std::ops::Range;
use std::sync::Arc;

/// A stored matrix, viewed as \[input, output\] whether it is stored transposed or not.
///
/// # Panics
/// If the slice is shorter than the extents require.
pub(crate) fn as_input_output(
    values: &[f32],
    layout: Layout,
    inputs: usize,
    outputs: usize,
) -> ArrayView2<'_, f32> {
    let strides = match layout {
        Layout::OutIn => (1, inputs),
        Layout::InOut => (outputs, 1),
    };
    ArrayView2::from_shape((inputs, outputs).strides(strides), values)
        .expect("a matrix's extents are those of its tensor")
}

/// A table of vectors, one for each token or position, \[entries, model\].
#[derive(Clone, Debug)]
pub(crate) enum Table {
    /// A tensor of a checkpoint, mapped if possible.
    Checkpoint(Tensor),
    /// Computed, one row per entry.
    Made(Arc<Array2<f32>>),
    /// The columns of the unembedding.
    Unembedding,
}

/// x ↦ x·weight + bias.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    /// \[input, output\].
    pub(crate) weight: Arc<Packed>,
    /// \[output\].
    pub(crate) bias: Option<Vec<f32>>,
}

impl Linear {
    pub(crate) fn new(
        weight: ArrayView2<'_, f32>,
        bias: Option<Vec<f32>>,
        precision: Precision,
    ) -> Self {
        Self {
            weight: Arc::new(Packed::rounded(weight, precision)),
            bias,
        }
    }

    /// out \[seq, output\] ← x \[seq, input\] · weight + bias, on the calling thread.
    pub(crate) fn apply(
        &self,
        x: ArrayView2<'_, f32>,
        out: ArrayViewMut2<'_, f32>,
        scratch: &mut Scratch,
    ) {
        self.apply_to(0..self.weight.outputs(), x, out, scratch);
    }

    /// As [`Linear::apply`], with the columns divided among the hands.
    pub(crate) fn apply_shared(
        &self,
        x: ArrayView2<'_, f32>,
        out: ArrayViewMut2<'_, f32>,
        crew: &mut Crew,
    ) {
        let (mut rest, mut shares) = (out, Vec::new());
        for columns in self.weight.shares(crew.hands.len()) {
            let (own, others) = rest.split_at(Axis(1), columns.len());
            shares.push((columns, own));
            rest = others;
        }
        crew.share(shares, |hand, (columns, out)| {
            self.apply_to(columns, x, out, &mut hand.scratch);
        });
    }

    /// Computes some columns of the output.
    fn apply_to(
        &self,
        columns: Range<usize>,
        x: ArrayView2<'_, f32>,
        out: ArrayViewMut2<'_, f32>,
        scratch: &mut Scratch,
    ) {
        let write = match &self.bias {
            Some(bias) => Write::Biased(&bias[columns.clone()]),
            None => Write::Replace,
        };
        multiply(x, &self.weight, columns, out, write, scratch);
    }
}

/// \[groups, sharing + 2, size\] to \[groups · sharing + 2 · groups, size\]: all queries, then all keys, then all values.
pub(crate) fn by_part(values: &[f32], groups: usize, sharing: usize, size: usize) -> Vec<f32> {
    let queries = (0..groups).flat_map(|group| (0..sharing).map(move |query| (group, query)));
    let keys = (0..groups).map(|group| (group, sharing));
    let values_of = (0..groups).map(|group| (group, sharing + 1));
    queries
        .chain(keys)
        .chain(values_of)
        .map(|(group, part)| (group * (sharing + 2) + part) * size)
        .flat_map(|start| values[start..start + size].iter().copied())
        .collect()
}
