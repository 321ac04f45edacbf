//! One opened file of a checkpoint.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::error::WeightsError;
use crate::mapping::Mapping;

/// First line of a Git LFS pointer.
const LFS_START: &[u8] = b"version https://git-lfs.github.com/spec/v1";

/// A file of a checkpoint: `config.json`, the index, or a file of weights.
#[derive(Debug)]
pub struct CheckpointFile {
    path: PathBuf,
    size: u64,
    handle: Mutex<File>,
}

impl CheckpointFile {
    /// Path of the file: the checkpoint folder joined with the file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Size in bytes, at opening.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// SHA-256 of the file's bytes, in lower-case hexadecimal.
    ///
    /// The file is read in pieces each time this is called.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Io`] if it cannot be read, [`WeightsError::SizeChanged`] if its size is not as at opening.
    pub fn sha256(&self) -> Result<String, WeightsError> {
        let mut hash = Sha256::new();
        let mut piece = vec![0; 1 << 20];
        let mut offset = 0;
        while offset < self.size {
            let length = piece
                .len()
                .min(usize::try_from(self.size - offset).unwrap_or(usize::MAX));
            self.read_at(offset, &mut piece[..length])?;
            hash.update(&piece[..length]);
            offset += length as u64;
        }
        self.check_size()?;
        Ok(hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }

    /// Opens the file at `real`, which messages call `path`.
    ///
    /// The size is taken before and after opening, so that what was inspected is what is read.
    pub(crate) fn open(path: PathBuf, real: &Path) -> Result<Self, WeightsError> {
        let size = regular_size(
            &path,
            &fs::metadata(real).map_err(|e| io_error(&path, "inspect", e))?,
        )?;
        Self::open_sized(path, real, size)
    }

    fn open_sized(path: PathBuf, real: &Path, size: u64) -> Result<Self, WeightsError> {
        let file = open_without_blocking(real).map_err(|e| io_error(&path, "open", e))?;
        // The file may have been replaced since it was inspected.
        regular_size(
            &path,
            &file.metadata().map_err(|e| io_error(&path, "inspect", e))?,
        )?;
        let opened = Self {
            path,
            size,
            handle: Mutex::new(file),
        };
        opened.check_size()?;
        opened.refuse_lfs_pointer()?;
        Ok(opened)
    }

    /// Fails if the file's size is not as at opening.
    pub(crate) fn check_size(&self) -> Result<(), WeightsError> {
        let metadata = self.lock().metadata().map_err(|e| self.io("inspect", e))?;
        if metadata.len() == self.size {
            return Ok(());
        }
        Err(WeightsError::SizeChanged {
            path: self.path.clone(),
            expected: self.size,
            found: metadata.len(),
        })
    }

    /// Fills `bytes` from the file, starting `offset` bytes from its start.
    pub(crate) fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<(), WeightsError> {
        let mut file = self.lock();
        file.seek(SeekFrom::Start(offset))
            .map_err(|e| self.io("read", e))?;
        file.read_exact(bytes).map_err(|e| self.io("read", e))
    }

    /// Reads the whole file, which may have at most `limit` bytes.
    pub(crate) fn read_all(&self, limit: u64) -> Result<Vec<u8>, WeightsError> {
        if self.size > limit {
            return Err(WeightsError::TooLarge {
                path: self.path.clone(),
                limit,
                found: self.size,
            });
        }
        let mut bytes = vec![0; self.size_in_memory()?];
        self.read_at(0, &mut bytes)?;
        self.check_size()?;
        Ok(bytes)
    }

    /// Maps the whole file.
    pub(crate) fn map(&self) -> Result<Mapping, WeightsError> {
        let size = self.size_in_memory()?;
        let mapping = Mapping::new(&self.lock(), size).map_err(|e| self.io("map", e))?;
        self.check_size()?;
        Ok(mapping)
    }

    /// The size as a length in memory; a 32-bit host cannot have every file there.
    pub(crate) fn size_in_memory(&self) -> Result<usize, WeightsError> {
        usize::try_from(self.size).map_err(|_| WeightsError::TooLarge {
            path: self.path.clone(),
            limit: usize::MAX as u64,
            found: self.size,
        })
    }

    fn refuse_lfs_pointer(&self) -> Result<(), WeightsError> {
        if self.size < LFS_START.len() as u64 {
            return Ok(());
        }
        let mut start = [0; LFS_START.len()];
        self.read_at(0, &mut start)?;
        if start == LFS_START {
            return Err(WeightsError::LfsPointer {
                path: self.path.clone(),
            });
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, File> {
        // Every read seeks first, so a position left by a panicking thread does no harm.
        self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn io(&self, action: &'static str, source: io::Error) -> WeightsError {
        io_error(&self.path, action, source)
    }
}

pub(crate) fn io_error(path: &Path, action: &'static str, source: io::Error) -> WeightsError {
    WeightsError::Io {
        path: path.to_owned(),
        action,
        source,
    }
}

/// What a thing in a folder is, in words.
pub(crate) fn kind(file: fs::FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if file.is_fifo() {
            return "a FIFO";
        }
        if file.is_socket() {
            return "a socket";
        }
        if file.is_block_device() || file.is_char_device() {
            return "a device";
        }
    }
    if file.is_dir() {
        "a directory"
    } else if file.is_file() {
        "a file"
    } else {
        "something else"
    }
}

fn regular_size(path: &Path, metadata: &fs::Metadata) -> Result<u64, WeightsError> {
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    Err(WeightsError::NotRegular {
        path: path.to_owned(),
        found: kind(metadata.file_type()),
    })
}

/// Opens for reading; on Unix a FIFO put in the file's place after it was inspected does not block either.
fn open_without_blocking(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NONBLOCK);
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(folder: &Path, bytes: &[u8]) -> CheckpointFile {
        let path = folder.join("file");
        fs::write(&path, bytes).unwrap();
        CheckpointFile::open(path.clone(), &path).unwrap()
    }

    /// Case 52 of the bad inputs: the size at inspection is not the size at opening.
    #[test]
    fn a_file_that_changed_size_since_it_was_inspected_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for now in [b"shorter".as_slice(), b"and now longer than before"] {
            fs::write(&path, now).unwrap();
            let error = CheckpointFile::open_sized(path.clone(), &path, 12).unwrap_err();
            assert!(
                matches!(&error, WeightsError::SizeChanged { expected: 12, found, .. } if *found == now.len() as u64),
                "{error}"
            );
        }
    }

    /// Case 41 of the bad inputs: a FIFO that took the file's place after it was inspected.
    #[cfg(unix)]
    #[test]
    fn opening_a_fifo_does_not_block_and_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap();
        assert!(made.success());
        let error = CheckpointFile::open_sized(path.clone(), &path, 12).unwrap_err();
        assert!(
            matches!(
                &error,
                WeightsError::NotRegular {
                    found: "a FIFO",
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn sha256_is_that_of_the_bytes_across_pieces() {
        let folder = tempfile::tempdir().unwrap();
        // The digests of "abc" and of a million times "a" are those of FIPS 180-4's examples.
        for (bytes, digest) in [
            (
                b"abc".to_vec(),
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                vec![b'a'; 1_000_000],
                "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
            ),
        ] {
            assert_eq!(opened(folder.path(), &bytes).sha256().unwrap(), digest);
        }
        let long: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
        let whole: String = Sha256::digest(&long)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(opened(folder.path(), &long).sha256().unwrap(), whole);
    }

    #[test]
    fn sha256_of_a_file_that_changed_size_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = opened(folder.path(), b"some bytes");
        fs::write(file.path(), b"some bytes and more").unwrap();
        let error = file.sha256().unwrap_err();
        assert!(
            matches!(
                &error,
                WeightsError::SizeChanged {
                    expected: 10,
                    found: 19,
                    ..
                }
            ),
            "{error}"
        );
    }
}
