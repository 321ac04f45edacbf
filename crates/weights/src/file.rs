//! A safetensors file outside a checkpoint.

use std::path::Path;

use layerwise_files::{Links, open};
use ndarray::ArrayD;
use safetensors::Dtype;

use crate::checkpoint::TensorInfo;
use crate::error::WeightsError;
use crate::shard::Shard;
use crate::tensor::Tensor;

/// A safetensors file that the user named, such as activations of a reference or vectors for edits. Its header must follow the
/// same rules as a checkpoint's.
///
/// [`TensorFile::read`] returns values as stored, including NaN; [`TensorFile::tensor`] reads a tensor as a checkpoint's weights
/// are read.
///
/// ```
/// use layerwise_weights::TensorFile;
/// use safetensors::{Dtype, tensor::TensorView};
///
/// let file = tempfile::NamedTempFile::new()?;
/// let bytes: Vec<u8> = [1.0_f32, 2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
/// let tensor = TensorView::new(Dtype::F32, vec![2], &bytes)?;
/// safetensors::serialize_to_file([("v", tensor)], None, file.path())?;
///
/// let tensors = TensorFile::open(file.path())?;
/// assert_eq!(tensors.names(), ["v"]);
/// assert_eq!(tensors.tensor("v")?.unwrap().as_slice(), [1.0, 2.0]);
/// assert!(tensors.tensor("w")?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TensorFile(Shard);

impl TensorFile {
    /// Opens a file, following links, and checks its header.
    ///
    /// # Errors
    /// The file cannot be opened, or its header breaks the format.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        Ok(Self(Shard::open(open(path, Links::Follow)?, None)?))
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        self.0.file.path()
    }

    /// The file's size in bytes.
    pub fn size(&self) -> u64 {
        self.0.file.size()
    }

    /// The names of its tensors, in the order of their data.
    pub fn names(&self) -> Vec<String> {
        self.0.header.tensors.offset_keys()
    }

    /// The type and shape of a tensor; `None` if there is none of this name.
    pub fn info(&self, name: &str) -> Option<TensorInfo<'_>> {
        let info = self.0.header.tensors.info(name)?;
        Some(TensorInfo {
            dtype: info.dtype,
            shape: &info.shape,
            path: self.0.file.path(),
        })
    }

    /// The bytes that [`TensorFile::tensor`] allocates; `None` if there is none of this name.
    pub fn bytes(&self, name: &str) -> Option<u64> {
        let info = self.0.header.tensors.info(name)?;
        let elements = info.shape.iter().map(|length| *length as u64);
        let elements = elements.fold(1, u64::saturating_mul);
        Some(elements.saturating_mul(size_of::<f32>() as u64))
    }

    /// Reads a tensor of F32, F16 or BF16, widened exactly to `f32`; `None` if there is none of this name.
    ///
    /// # Errors
    /// The tensor has another type, a dimension of zero or a value that is not finite, or the file has changed.
    pub fn tensor(&self, name: &str) -> Result<Option<Tensor>, WeightsError> {
        let info = self.0.header.tensors.info(name);
        info.map(|info| self.0.tensor(name, info)).transpose()
    }

    /// Reads a tensor as stored; `None` if there is none of this name.
    ///
    /// # Errors
    /// The tensor has another type or a dimension of zero, or the file cannot be read.
    ///
    /// ```
    /// use layerwise_weights::TensorFile;
    /// use ndarray::array;
    /// use safetensors::{Dtype, tensor::TensorView};
    ///
    /// let file = tempfile::NamedTempFile::new()?;
    /// let bytes = [-3_i64, 7].map(i64::to_le_bytes).concat();
    /// let tensor = TensorView::new(Dtype::I64, vec![2], &bytes)?;
    /// safetensors::serialize_to_file([("ids", tensor)], None, file.path())?;
    ///
    /// let tensors = TensorFile::open(file.path())?;
    /// assert_eq!(tensors.read::<i64>("ids")?, Some(array![-3, 7].into_dyn()));
    /// assert!(tensors.tensor("ids").is_err()); // weights are in floating point
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read<T: Element>(&self, name: &str) -> Result<Option<ArrayD<T>>, WeightsError> {
        let Some(info) = self.0.header.tensors.info(name) else {
            return Ok(None);
        };
        if info.dtype != T::DTYPE {
            return Err(WeightsError::OtherDtype {
                path: self.0.file.path().to_owned(),
                tensor: name.to_owned(),
                expected: T::DTYPE,
                found: info.dtype,
            });
        }
        if info.shape.contains(&0) {
            return Err(WeightsError::ZeroSize {
                path: self.0.file.path().to_owned(),
                tensor: name.to_owned(),
                shape: info.shape.clone(),
            });
        }
        let (begin, end) = info.data_offsets;
        let mut bytes = vec![0; end - begin];
        self.0
            .file
            .read_at((self.0.header.data_start + begin) as u64, &mut bytes)?;
        let values = ArrayD::from_shape_vec(info.shape.as_slice(), T::of(&bytes));
        Ok(Some(values.expect("the header was checked")))
    }
}

mod sealed {
    /// Prevents implementations outside this file.
    pub trait Sealed {}
}

/// An element type of a [`TensorFile`].
pub trait Element: sealed::Sealed + Sized {
    /// The type's name in the format.
    const DTYPE: Dtype;

    /// Decodes elements from little-endian bytes.
    fn of(bytes: &[u8]) -> Vec<Self>;
}

macro_rules! elements {
    ($($element:ty: $dtype:ident),*) => {
        $(
            impl sealed::Sealed for $element {}

            impl Element for $element {
                const DTYPE: Dtype = Dtype::$dtype;

                fn of(bytes: &[u8]) -> Vec<Self> {
                    let (elements, _) = bytes.as_chunks();
                    elements.iter().map(|element| Self::from_le_bytes(*element)).collect()
                }
            }
        )*
    };
}

elements!(f32: F32, f64: F64, i32: I32, i64: I64);

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use safetensors::tensor::{TensorView, serialize_to_file};

    #[test]
    fn tensors_are_read_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let (floats, ids) = ([1.5_f32, f32::INFINITY], [-3_i64, 7]);
        let floats = floats.map(f32::to_le_bytes).concat();
        let ids = ids.map(i64::to_le_bytes).concat();
        let tensors = [
            (
                "a",
                TensorView::new(Dtype::F32, vec![1, 2], &floats).unwrap(),
            ),
            ("b", TensorView::new(Dtype::I64, vec![2], &ids).unwrap()),
            // No element, but an overflow without the zero.
            (
                "none",
                TensorView::new(Dtype::F32, vec![0, usize::MAX / 2, usize::MAX / 2], &[]).unwrap(),
            ),
        ];
        serialize_to_file(tensors, None, &path).unwrap();
        let file = TensorFile::open(&path).unwrap();
        let mut names = file.names();
        names.sort();
        assert_eq!(names, ["a", "b", "none"]);
        let error = file.read::<f32>("none").unwrap_err();
        assert!(matches!(error, WeightsError::ZeroSize { .. }), "{error}");
        let read = file.read::<f32>("a").unwrap();
        assert_eq!(read, Some(array![[1.5, f32::INFINITY]].into_dyn()));
        assert_eq!(
            file.read::<i64>("b").unwrap(),
            Some(array![-3, 7].into_dyn())
        );
        assert_eq!(file.read::<i64>("c").unwrap(), None);
        assert_eq!(file.info("b").map(|info| info.shape), Some(&[2][..]));
        let error = file.read::<f64>("a").unwrap_err().to_string();
        assert!(
            error.ends_with("tensor \"a\": expected F64, found F32"),
            "{error}"
        );
    }
}
