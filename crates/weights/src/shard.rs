//! One safetensors file, and reading its tensors.

use std::ops::Range;
use std::sync::Arc;

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorInfo;

use crate::error::WeightsError;
use crate::header::Header;
use crate::mapping::{Mapping, StableFiles};
use crate::tensor::{Tensor, Values};
use layerwise_files::{FileError, OpenedFile};

/// 16-bit elements that are read and widened at a time; 32-bit elements take the place of two.
const PIECE: usize = 1 << 15;

/// One file of weights: `model.safetensors` or a shard.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) file: OpenedFile,
    pub(crate) header: Header,
    /// With this promise tensors are read through a mapping of the file, otherwise from the file.
    map: Option<StableFiles>,
}

impl Shard {
    pub(crate) fn open(file: OpenedFile, map: Option<StableFiles>) -> Result<Self, WeightsError> {
        let header = Header::read(&file)?;
        Ok(Self { file, header, map })
    }

    /// Maps the whole file.
    fn mapping(&self, stable: StableFiles) -> Result<Mapping, FileError> {
        let size = self.file.size_in_memory()?;
        let mapping = Mapping::new(&self.file.handle(), size, stable);
        let mapping = mapping.map_err(|e| FileError::io(self.file.path(), "map", e))?;
        self.file.check_size()?;
        Ok(mapping)
    }

    /// Sum of the tensors' sizes, in bytes.
    pub(crate) fn data_bytes(&self) -> u64 {
        self.header.tensors.data_len() as u64
    }

    /// Reads the tensor `name`, whose entry in this shard's header is `info`.
    pub(crate) fn tensor(&self, name: &str, info: &TensorInfo) -> Result<Tensor, WeightsError> {
        let path = self.file.path();
        if !matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(WeightsError::UnsupportedDtype {
                path: path.to_owned(),
                tensor: name.to_owned(),
                found: info.dtype,
            });
        }
        if info.shape.contains(&0) {
            return Err(WeightsError::ZeroSize {
                path: path.to_owned(),
                tensor: name.to_owned(),
                shape: info.shape.clone(),
            });
        }
        self.file.check_size()?;
        let (begin, end) = info.data_offsets;
        let bytes = self.header.data_start + begin..self.header.data_start + end;
        // Each tensor has a separate mapping, so that its pages are released once nothing borrows from them.
        let mapping = match self.map {
            Some(stable) => Some(Arc::new(self.mapping(stable)?)),
            None => None,
        };
        let values = match borrowed(mapping.as_ref(), info.dtype, bytes.clone()) {
            Some(values) => values,
            None => Values::Owned(self.widened(mapping.as_deref(), name, info.dtype, bytes)?),
        };
        Tensor::new(path, name, &info.shape, values)
    }

    /// The values as `f32`, in separate memory.
    fn widened(
        &self,
        mapping: Option<&Mapping>,
        name: &str,
        dtype: Dtype,
        bytes: Range<usize>,
    ) -> Result<Vec<f32>, WeightsError> {
        let count = bytes.len() / (dtype.bitsize() / 8);
        let mut values = Vec::new();
        values
            .try_reserve_exact(count)
            .map_err(|_| WeightsError::OutOfMemory {
                path: self.file.path().to_owned(),
                tensor: name.to_owned(),
                bytes: count.saturating_mul(size_of::<f32>()),
            })?;
        let mut halves = vec![0_u16; PIECE.min(bytes.len() / 2)];
        let mut wide = vec![0.0_f32; halves.len()];
        for start in bytes.clone().step_by(2 * PIECE) {
            let length = PIECE.min((bytes.end - start) / 2);
            let (halves, wide) = (&mut halves[..length], &mut wide[..length]);
            self.copy(mapping, start, bytemuck::cast_slice_mut(halves))?;
            if dtype == Dtype::F32 {
                let (words, _) = bytemuck::cast_slice::<u16, u8>(halves).as_chunks();
                values.extend(words.iter().map(|word| f32::from_le_bytes(*word)));
                continue;
            }
            for half in halves.iter_mut() {
                *half = u16::from_le(*half);
            }
            if dtype == Dtype::F16 {
                halves.reinterpret_cast::<f16>().convert_to_f32_slice(wide);
            } else {
                halves.reinterpret_cast::<bf16>().convert_to_f32_slice(wide);
            }
            values.extend_from_slice(wide);
        }
        Ok(values)
    }

    /// Fills `bytes` from the mapping or the file, starting `offset` bytes from its start.
    fn copy(
        &self,
        mapping: Option<&Mapping>,
        offset: usize,
        bytes: &mut [u8],
    ) -> Result<(), WeightsError> {
        match mapping {
            Some(mapping) => {
                bytes.copy_from_slice(&mapping[offset..offset + bytes.len()]);
                Ok(())
            }
            None => Ok(self.file.read_at(offset as u64, bytes)?),
        }
    }
}

/// The values borrowed from the mapping, if they are stored there as `f32`.
fn borrowed(mapping: Option<&Arc<Mapping>>, dtype: Dtype, bytes: Range<usize>) -> Option<Values> {
    if dtype != Dtype::F32 || cfg!(target_endian = "big") {
        return None;
    }
    Values::mapped(mapping?, bytes)
}
