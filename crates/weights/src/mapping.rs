//! Maps files into memory; no other file does.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Deref;

use memmap2::{Mmap, MmapOptions};

/// The caller's promise that mapped files do not change.
///
/// Mapped memory changes with its file, and touching it after the file shrinks ends the process.
/// No operating system prevents other processes from writing, so the caller must promise it.
///
/// ```
/// use layerwise_weights::{OpenOptions, StableFiles};
///
/// // SAFETY: nobody writes to the checkpoint while this program runs.
/// let stable = unsafe { StableFiles::promise() };
/// assert!(OpenOptions::new().map(Some(stable)).open("no/such/folder".as_ref()).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StableFiles(());

impl StableFiles {
    /// # Safety
    ///
    /// Until everything that was read from a mapped file is dropped, nobody may write to that file or shorten it.
    /// Renaming another file over it is harmless, because the opened file stays.
    pub const unsafe fn promise() -> Self {
        Self(())
    }
}

/// A whole file, mapped read-only.
#[derive(Debug)]
pub(crate) struct Mapping(Mmap);

impl Mapping {
    /// Maps the first `len` bytes of a regular file.
    pub(crate) fn new(file: &File, len: usize, _: StableFiles) -> io::Result<Self> {
        // SAFETY: a mapping is sound as long as the mapped bytes do not change.
        // This process never writes to the file: it is opened for reading only, and the mapping is read-only.
        // The caller has checked that it is a regular file of at least `len` bytes, so every page lies within it.
        // `StableFiles` is the caller's promise that no other process truncates or rewrites the file meanwhile.
        // The bytes are only ever read as `u8`, `u16` or, for the same bits, `f32`, for which every bit pattern is a valid value.
        let map = unsafe { MmapOptions::new().len(len).map(file) }?;
        Ok(Self(map))
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// The promise for files in temporary folders.
#[cfg(test)]
pub(crate) fn stable() -> StableFiles {
    // SAFETY: tests write to their own files alone, and not to those that are mapped.
    unsafe { StableFiles::promise() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn mapping_shows_the_bytes_of_the_file_and_outlives_its_handle_and_its_name() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        file.write_all(&bytes).unwrap();
        let mapping = Mapping::new(file.as_file(), bytes.len(), stable()).unwrap();
        file.close().unwrap();
        assert_eq!(&*mapping, bytes);
    }
}
