//! Tensors in `f32`, borrowed from a mapping or owned.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{ArrayView1, ArrayView2, ArrayViewD};

use crate::error::WeightsError;
use crate::mapping::Mapping;

/// A tensor in `f32`, in row-major order; every value is finite and no dimension is zero.
///
/// It borrows from the mapping if the file holds aligned F32 (no copy), and owns its values otherwise.
/// Cloning is cheap: clones share the values.
///
/// ```
/// use layerwise_weights::Tensor;
/// use ndarray::array;
///
/// let tensor = Tensor::of_array("a vector", array![1.0, 2.0].into_dyn().view())?;
/// assert_eq!((tensor.shape(), tensor.as_slice()), (&[2][..], &[1.0, 2.0][..]));
/// assert!(tensor.view2().is_err()); // no matrix
/// assert!(Tensor::of_array("broken", array![f32::NAN].into_dyn().view()).is_err());
/// # Ok::<(), layerwise_weights::WeightsError>(())
/// ```
#[derive(Clone)]
pub struct Tensor(Arc<Inner>);

struct Inner {
    path: PathBuf,
    name: String,
    shape: Vec<usize>,
    all_zero: bool,
    values: Values,
}

/// The storage of a tensor's values.
pub(crate) enum Values {
    Owned(Vec<f32>),
    Mapped(MappedValues),
}

/// Bytes of a mapping that are known to be aligned `f32`.
pub(crate) struct MappedValues {
    mapping: Arc<Mapping>,
    bytes: Range<usize>,
}

impl Values {
    /// The values at `bytes` of a mapping, if they are aligned.
    pub(crate) fn mapped(mapping: &Arc<Mapping>, bytes: Range<usize>) -> Option<Self> {
        bytemuck::try_cast_slice::<u8, f32>(&mapping[bytes.clone()]).ok()?;
        Some(Self::Mapped(MappedValues {
            mapping: Arc::clone(mapping),
            bytes,
        }))
    }

    fn as_slice(&self) -> &[f32] {
        match self {
            Self::Owned(values) => values,
            Self::Mapped(MappedValues { mapping, bytes }) => bytemuck::try_cast_slice(
                &mapping[bytes.clone()],
            )
            .expect("the alignment was checked in `Values::mapped`, and a mapping does not move"),
        }
    }
}

impl Tensor {
    /// Checks the values of a tensor; `shape` matches their number.
    pub(crate) fn new(
        path: &Path,
        name: &str,
        shape: &[usize],
        values: Values,
    ) -> Result<Self, WeightsError> {
        let slice = values.as_slice();
        if let Some(position) = first_not_finite(slice) {
            return Err(WeightsError::NotFinite {
                path: path.to_owned(),
                tensor: name.to_owned(),
                index: index_of(position, shape),
                found: slice[position],
            });
        }
        let all_zero = slice.iter().all(|value| *value == 0.0);
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            name: name.to_owned(),
            shape: shape.to_owned(),
            all_zero,
            values,
        })))
    }

    /// A tensor of values in memory; `name` appears in messages.
    ///
    /// # Errors
    ///
    /// [`WeightsError::NotFinite`], with the path `memory`.
    ///
    /// # Panics
    ///
    /// If a dimension is zero.
    pub fn of_array(name: &str, array: ArrayViewD<'_, f32>) -> Result<Self, WeightsError> {
        assert!(!array.is_empty(), "tensor `{name}` has a dimension of zero");
        let values = Values::Owned(array.iter().copied().collect());
        Self::new(Path::new("memory"), name, array.shape(), values)
    }

    /// Name of the tensor in the checkpoint.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Length of each dimension; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    /// The values in row-major order.
    pub fn as_slice(&self) -> &[f32] {
        self.0.values.as_slice()
    }

    /// The values as an array of any rank.
    pub fn view(&self) -> ArrayViewD<'_, f32> {
        ArrayViewD::from_shape(self.shape(), self.as_slice())
            .expect("the header's shape was checked against the number of bytes")
    }

    /// The values as a vector.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Rank`] if the rank is not 1.
    pub fn view1(&self) -> Result<ArrayView1<'_, f32>, WeightsError> {
        self.view()
            .into_dimensionality()
            .map_err(|_| self.rank_error("1"))
    }

    /// The values as a matrix.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Rank`] if the rank is not 2.
    pub fn view2(&self) -> Result<ArrayView2<'_, f32>, WeightsError> {
        self.view()
            .into_dimensionality()
            .map_err(|_| self.rank_error("2"))
    }

    /// Whether the values are borrowed from a mapping.
    pub fn is_mapped(&self) -> bool {
        matches!(self.0.values, Values::Mapped(_))
    }

    /// Whether every value is zero.
    pub fn is_all_zero(&self) -> bool {
        self.0.all_zero
    }

    /// The file it comes from.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    fn rank_error(&self, expected: &'static str) -> WeightsError {
        WeightsError::Rank {
            path: self.path().to_owned(),
            tensor: self.name().to_owned(),
            expected,
            found: self.shape().len(),
        }
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tensor")
            .field("path", &self.path())
            .field("name", &self.name())
            .field("shape", &self.shape())
            .field("is_mapped", &self.is_mapped())
            .finish_non_exhaustive()
    }
}

/// Position of the first NaN or infinity.
fn first_not_finite(values: &[f32]) -> Option<usize> {
    /// A block is scanned without branches, which lets the compiler vectorise the scan.
    const BLOCK: usize = 4096;
    let bad = values.chunks(BLOCK).position(|block| {
        !block
            .iter()
            .fold(true, |all, value| all & value.is_finite())
    })?;
    let start = bad * BLOCK;
    values[start..]
        .iter()
        .position(|value| !value.is_finite())
        .map(|position| start + position)
}

/// The index of the element at `position` in row-major order.
fn index_of(mut position: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|dim| {
            let i = position % dim;
            position /= dim;
            i
        })
        .collect();
    index.reverse();
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_not_finite_finds_every_position_and_only_what_is_not_finite() {
        let mut values = vec![f32::MAX; 10_000];
        values[5] = f32::MIN_POSITIVE / 2.0;
        assert_eq!(first_not_finite(&values), None);
        for position in [9_999, 8_192, 8_191, 4_096, 4_095, 1, 0] {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                values[position] = bad;
                assert_eq!(first_not_finite(&values), Some(position));
            }
        }
    }

    #[test]
    fn index_of_counts_the_last_dimension_fastest() {
        let shape = [2, 3, 4];
        let array = ndarray::Array3::<u8>::zeros((2, 3, 4));
        for (position, ((i, j, k), _)) in array.indexed_iter().enumerate() {
            assert_eq!(index_of(position, &shape), [i, j, k]);
        }
        assert_eq!(index_of(0, &[]), [0; 0]);
    }
}
