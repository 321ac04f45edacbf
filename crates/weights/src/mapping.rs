//! The one place where a file is mapped into memory.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Deref;

use memmap2::{Mmap, MmapOptions};

/// A whole file, mapped read-only.
#[derive(Debug)]
pub(crate) struct Mapping(Mmap);

impl Mapping {
    /// Maps the first `len` bytes of a regular file.
    pub(crate) fn new(file: &File, len: usize) -> io::Result<Self> {
        // SAFETY: a mapping is sound as long as the mapped bytes stay as they are.
        // This process never writes to the file: it is opened for reading only, and the mapping is read-only.
        // The caller has checked that it is a regular file of at least `len` bytes, so no page lies past its end.
        // That no other process truncates or rewrites it meanwhile cannot be had from the operating system; it is
        // stated as a condition in the crate's documentation. `OpenOptions::mmap(false)` avoids it for checkpoints, and packed
        // weights are mapped only for who asks for a cache. The bytes are only ever read as `u8`, `u16` or, for the same
        // bits, `f32`, for which every bit pattern is a valid value.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn mapping_shows_the_bytes_of_the_file_and_outlives_its_handle_and_its_name() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        file.write_all(&bytes).unwrap();
        let mapping = Mapping::new(file.as_file(), bytes.len()).unwrap();
        file.close().unwrap();
        assert_eq!(&*mapping, bytes);
    }
}
