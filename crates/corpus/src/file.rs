//! Opening regular files, and hashing them.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::CorpusError;

/// SHA-256 of the bytes of the file at `path`, as 64 lower-case hexadecimal digits.
///
/// # Errors
///
/// The path must lead to a regular file that can be read.
pub fn sha256(path: &Path) -> Result<String, CorpusError> {
    let (mut file, _) = open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(io_error(path))? {
            0 => break,
            length => hash.update(&buffer[..length]),
        }
    }
    let digest = hash.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Opens a regular file for reading, with its length in bytes.
///
/// Anything else is refused before it is opened: opening a pipe would block.
pub(crate) fn open(path: &Path) -> Result<(BufReader<File>, u64), CorpusError> {
    let metadata = fs::metadata(path).map_err(io_error(path))?;
    if !metadata.is_file() {
        return Err(CorpusError::NotRegular {
            path: path.to_owned(),
            found: if metadata.is_dir() {
                "a directory"
            } else {
                "a pipe, socket or device"
            },
        });
    }
    let file = File::open(path).map_err(io_error(path))?;
    Ok((BufReader::new(file), metadata.len()))
}

/// Reads a whole file of at most `limit` bytes.
pub(crate) fn read_whole(path: &Path, limit: u64) -> Result<Vec<u8>, CorpusError> {
    let (file, length) = open(path)?;
    let mut bytes = Vec::new();
    if length <= limit {
        // One byte more shows a file that has grown since.
        let mut file = file.take(limit + 1);
        file.read_to_end(&mut bytes).map_err(io_error(path))?;
    }
    let found = length.max(bytes.len() as u64);
    if found > limit {
        return Err(CorpusError::TooLong {
            path: path.to_owned(),
            item: "file".to_owned(),
            limit,
            found,
        });
    }
    Ok(bytes)
}

/// Turns an I/O error into the crate's.
pub(crate) fn io_error(path: &Path) -> impl Fn(io::Error) -> CorpusError + '_ {
    |source| CorpusError::Io {
        path: path.to_owned(),
        source,
    }
}
