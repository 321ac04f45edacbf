//! Checkpoint folders in the Hugging Face layout: safetensors files, read or mapped, and validated, and `config.json`.
//!
//! # Why the header is checked twice
//!
//! A checkpoint comes from strangers, and the numbers computed from it are published under our name.
//! The safetensors crate accepts some files that must be mistakes, such as a header that names one tensor twice, and it overflows
//! on sizes near `usize::MAX`.
//! So this crate first reads the header itself, strictly, and then hands the result to [`safetensors`] for its own validation.
//! Every refusal is a [`WeightsError`] that names the file, the item, what was expected and what was found.
//!
//! ```
//! use layerwise_weights::Checkpoint;
//! use safetensors::{Dtype, tensor::TensorView};
//!
//! let folder = tempfile::tempdir()?;
//! std::fs::write(folder.path().join("config.json"), r#"{"model_type": "gpt2"}"#)?;
//! let bytes: Vec<u8> = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0].iter().flat_map(|x| x.to_le_bytes()).collect();
//! let tensor = TensorView::new(Dtype::F32, vec![2, 3], &bytes)?;
//! let file = folder.path().join("model.safetensors");
//! safetensors::serialize_to_file([("wte.weight", tensor)], None, &file)?;
//!
//! let checkpoint = Checkpoint::open(folder.path())?;
//! assert_eq!(checkpoint.config()["model_type"], "gpt2");
//! let embedding = checkpoint.tensor("wte.weight")?;
//! assert_eq!(embedding.shape(), [2, 3]);
//! assert_eq!(embedding.view2()?[[1, 0]], 4.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is loaded
//!
//! `config.json`, and either `model.safetensors` or the shards that `model.safetensors.index.json` names.
//! Pickle files (`.bin`, `.pth`) are never opened.
//! A tensor of F32, F16 or BF16 becomes `f32` when it is requested; widening is exact.
//! If files are mapped, an aligned F32 tensor is borrowed from the mapping and takes no memory of its own.
//! The file may hold tensors of other types, which are refused only when they are read.
//!
//! # Security
//!
//! A hostile folder cannot cause undefined behaviour, run code, block on a FIFO, or make this crate read a file outside the
//! folder. One exception is the blob of a hub cache that a snapshot links to; [`OpenOptions::links`] allows more.
//! It can cost time and memory within these limits: a header of [`MAX_HEADER_BYTES`], an index of [`MAX_INDEX_BYTES`], a config
//! of [`MAX_CONFIG_BYTES`], a small multiple of those in memory during parsing, and four bytes for every element of the F16 and
//! BF16 tensors that are read.
//!
//! Each tensor is read into memory when it is requested: a shrunken file is an error, and checked values stay as they are.
//!
//! **With [`OpenOptions::map`] there is no protection against another process that changes a file.**
//! If the file shrinks, touching the lost pages ends the process with a signal (`SIGBUS` on Unix).
//! If its bytes are overwritten in place, the numbers change after they were checked.
//! Every read of a tensor compares the file's size with its size at opening. This turns the common accident into an error, but
//! cannot close the gap, so the caller promises that it does not happen ([`StableFiles`]).
//! Replacing a file by renaming another over it is harmless in both modes, because the opened file stays.

mod checkpoint;
mod end_tokens;
mod error;
mod file;
mod header;
mod index;
mod json;
mod mapping;
mod packs;
mod shard;
mod tensor;

pub use checkpoint::{Checkpoint, OpenOptions, TensorInfo, config};
pub use end_tokens::end_tokens;
pub use error::{Warning, WeightsError};
pub use file::{Element, TensorFile};
pub use layerwise_files::{FileError, Folder, Links, OpenedFile};
pub use mapping::StableFiles;
pub use packs::{PackCache, Packs};
pub use safetensors::Dtype;
pub use tensor::Tensor;

/// The largest accepted `config.json`, in bytes.
pub const MAX_CONFIG_BYTES: u64 = 1_000_000;
/// The largest accepted `model.safetensors.index.json`, in bytes.
pub const MAX_INDEX_BYTES: u64 = 16_000_000;
/// The largest accepted header of a safetensors file, in bytes; the safetensors crate has the same limit.
pub const MAX_HEADER_BYTES: u64 = 100_000_000;
/// The longest accepted tensor name, in bytes.
pub const MAX_NAME_BYTES: usize = 512;
/// The largest accepted rank of a tensor.
pub const MAX_RANK: usize = 4;
