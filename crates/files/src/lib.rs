//! Opens untrusted files: checkpoints, tokenizers, texts, data sets, journals.
//!
//! Every crate that reads files from strangers opens them here, so that these guarantees hold for all of them:
//!
//! - Only regular files are opened. A file is inspected, opened without blocking and inspected again, so that a FIFO,
//!   socket or device is refused even when it takes the file's place in between.
//! - A [`Folder`] opens its own files. It follows a link only to another of its files or, in a snapshot of the Hugging Face
//!   cache, to a
//!   blob of the same cache. [`Links::Follow`] allows every link, if the user asks for it.
//! - [`open`] opens a path that the user named; [`Links`] says whether it may be a link.
//! - [`open_to_append`] opens or creates a file to write to, such as a journal, and never follows a link.
//! - [`replace`] writes a file whole or not at all, under a temporary name that nothing else has.
//! - Sizes are compared before and after opening, and reading a whole file has a limit ([`OpenedFile::read_all`]).
//! - A Git LFS pointer in the place of a file is reported as such.
//!
//! ```
//! use layerwise_files::{Folder, Links};
//!
//! let folder = tempfile::tempdir()?;
//! std::fs::write(folder.path().join("config.json"), "{}")?;
//! let file = Folder::open(folder.path(), Links::Refuse)?.file("config.json", "the config of the model")?;
//! assert_eq!(file.read_all(1000)?, b"{}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod folder;
mod hash;
mod json;
mod opened;
mod replacing;

pub use error::FileError;
pub use folder::Folder;
pub use hash::{hexadecimal, sha256};
pub use json::{json_values, python_numbers, with_null_for_nan};
pub use opened::{Links, OpenedFile, open, open_to_append};
pub use replacing::{replace, temporary};
