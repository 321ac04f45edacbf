//! Files that the caller names.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use layerwise_files::{FileError, Links, OpenedFile};
use serde_json::Value;

use crate::CorpusError;

/// SHA-256 of the bytes of the file at `path`, as 64 lower-case hexadecimal digits.
///
/// # Errors
///
/// The path must lead to a readable regular file.
pub fn sha256(path: &Path) -> Result<String, CorpusError> {
    Ok(open(path)?.sha256()?)
}

/// Opens a regular file for reading; the path that the caller names may be a link.
pub(crate) fn open(path: &Path) -> Result<OpenedFile, FileError> {
    layerwise_files::open(path, Links::Follow)
}

/// The bytes that begin a gzip stream.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// The bytes of a byte order mark in UTF-8.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Opens a text file: decompresses gzip, and skips a byte order mark.
pub(crate) fn open_text(path: &Path) -> Result<Box<dyn BufRead>, CorpusError> {
    decoded(open(path)?)
}

/// The text of an opened file, as [`open_text`] gives it.
fn decoded(file: OpenedFile) -> Result<Box<dyn BufRead>, CorpusError> {
    let path = file.path().to_owned();
    let length = file.size();
    let mut start = [0; 2];
    if length >= 2 {
        file.read_at(0, &mut start)?;
    }
    let file = BufReader::new(file.into_file()?);
    let mut text: Box<dyn BufRead> = match start {
        GZIP => Box::new(BufReader::new(MultiGzDecoder::new(file))),
        _ => Box::new(file),
    };
    let buffered = text.fill_buf().map_err(read_error(&path))?;
    if buffered.starts_with(BYTE_ORDER_MARK) {
        text.consume(BYTE_ORDER_MARK.len());
    }
    Ok(text)
}

/// The bytes of an opened text file, of which there may be `limit`.
pub(crate) fn read_all_text(file: OpenedFile, limit: u64) -> Result<Vec<u8>, CorpusError> {
    let path = file.path().to_owned();
    let mut bytes = Vec::new();
    // One byte more shows that a file is too long; the size of a compressed file is known only as it is read.
    let mut text = decoded(file)?.take(limit + 1);
    text.read_to_end(&mut bytes).map_err(read_error(&path))?;
    match bytes.len() as u64 {
        found if found > limit => Err(FileError::TooLarge { path, limit, found }.into()),
        _ => Ok(bytes),
    }
}

/// Converts a read error into the crate's error.
pub(crate) fn read_error(path: &Path) -> impl Fn(io::Error) -> CorpusError + '_ {
    |source| FileError::io(path, "read", source).into()
}

/// Names the kind of a JSON value.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A file's bytes as text; an error names the line.
pub(crate) fn document_text<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str, CorpusError> {
    std::str::from_utf8(bytes).or_else(|error| {
        // The faulty line is found again, so that the error can give the position within it.
        let before = &bytes[..error.valid_up_to()];
        let start = before
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |end| end + 1);
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        line_text(path, line, &bytes[start..])
    })
}

/// A line's bytes as text.
pub(crate) fn line_text<'a>(
    path: &Path,
    line: usize,
    bytes: &'a [u8],
) -> Result<&'a str, CorpusError> {
    std::str::from_utf8(bytes).map_err(|error| CorpusError::NotUtf8 {
        path: path.to_owned(),
        line,
        offset: error.valid_up_to(),
        found: bytes[error.valid_up_to()],
    })
}
