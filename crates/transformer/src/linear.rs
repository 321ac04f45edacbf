//! Weight matrices as the forward pass reads them.

use crate::family::Layout;
use layerwise_kernels::{Write, matmul};
use layerwise_weights::Tensor;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, ShapeBuilder};
use std::sync::Arc;

/// Numbers that are either part of a checkpoint (mapped where they can be) or made here.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    Checkpoint(Tensor),
    Made(Arc<[f32]>),
}

impl Storage {
    pub(crate) fn as_slice(&self) -> &[f32] {
        match self {
            Self::Checkpoint(tensor) => tensor.as_slice(),
            Self::Made(values) => values,
        }
    }
}

impl From<Vec<f32>> for Storage {
    fn from(values: Vec<f32>) -> Self {
        Self::Made(values.into())
    }
}

/// A matrix \[input, output\], a window of some storage in either layout.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    storage: Storage,
    offset: usize,
    inputs: usize,
    outputs: usize,
    strides: (usize, usize),
}

impl Matrix {
    /// The outputs `first..first + outputs` of a stored matrix that has `all_outputs` of them.
    pub(crate) fn window(
        storage: Storage,
        layout: Layout,
        inputs: usize,
        all_outputs: usize,
        first: usize,
        outputs: usize,
    ) -> Self {
        let (offset, strides) = match layout {
            Layout::OutIn => (first * inputs, (1, inputs)),
            Layout::InOut => (first, (all_outputs, 1)),
        };
        Self {
            storage,
            offset,
            inputs,
            outputs,
            strides,
        }
    }

    /// A whole stored matrix.
    pub(crate) fn whole(storage: Storage, layout: Layout, inputs: usize, outputs: usize) -> Self {
        Self::window(storage, layout, inputs, outputs, 0, outputs)
    }

    /// A new matrix, stored \[input, output\].
    pub(crate) fn made(values: Array2<f32>) -> Self {
        let (inputs, outputs) = values.dim();
        let values: Vec<f32> = values.as_standard_layout().iter().copied().collect();
        Self::whole(values.into(), Layout::InOut, inputs, outputs)
    }

    /// \[input, output\].
    pub(crate) fn view(&self) -> ArrayView2<'_, f32> {
        ArrayView2::from_shape(
            (self.inputs, self.outputs).strides(self.strides),
            &self.storage.as_slice()[self.offset..],
        )
        .expect("the window was made from the matrix's own extents")
    }
}

/// x ↦ x·weight + bias.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    pub(crate) weight: Matrix,
    /// \[output\].
    pub(crate) bias: Option<Vec<f32>>,
}

impl Linear {
    /// out \[seq, output\] ← x \[seq, input\] · weight + bias.
    pub(crate) fn apply(&self, x: ArrayView2<'_, f32>, mut out: ArrayViewMut2<'_, f32>) {
        matmul(x, self.weight.view(), out.view_mut(), Write::Replace);
        if let Some(bias) = &self.bias {
            for mut row in out.outer_iter_mut() {
                row.iter_mut()
                    .zip(bias)
                    .for_each(|(value, bias)| *value += bias);
            }
        }
    }
}
