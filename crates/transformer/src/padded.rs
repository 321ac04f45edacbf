//! A matrix with padded rows.

use ndarray::{Array2, ArrayView2, ArrayViewMut, ArrayViewMut2, ArrayViewMutD, ShapeBuilder, s};

/// Values added to the length of a buffer's rows, so that rows are not a power of two apart, which would cause cache-set
/// conflicts.
pub(crate) const ROW_PADDING: usize = 16;

/// A matrix with [`ROW_PADDING`] unused values after each row, which can be viewed by head.
#[derive(Debug)]
pub(crate) struct Padded {
    /// \[seq, width + ROW_PADDING\].
    storage: Array2<f32>,
}

impl Padded {
    pub(crate) fn zeros(seq: usize, width: usize) -> Self {
        Self {
            storage: Array2::zeros((seq, width + ROW_PADDING)),
        }
    }

    pub(crate) fn width(&self) -> usize {
        self.storage.ncols() - ROW_PADDING
    }

    /// \[seq, width\].
    pub(crate) fn view(&self) -> ArrayView2<'_, f32> {
        self.storage.slice(s![.., ..self.width()])
    }

    /// \[seq, width\].
    pub(crate) fn view_mut(&mut self) -> ArrayViewMut2<'_, f32> {
        let width = self.width();
        self.storage.slice_mut(s![.., ..width])
    }

    /// Columns from `first` on, by head: \[seq, heads, head\], strided.
    pub(crate) fn by_head(
        &mut self,
        first: usize,
        heads: usize,
        head: usize,
    ) -> ArrayViewMutD<'_, f32> {
        let (seq, stride) = self.storage.dim();
        let shape = (seq, heads, head).strides((stride, head, 1));
        let values = self.storage.as_slice_mut().expect("storage has no gaps");
        ArrayViewMut::from_shape(shape, &mut values[first..])
            .expect("heads lie within a row")
            .into_dyn()
    }
}
