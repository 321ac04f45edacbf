//! Files that the caller names.

use std::io;
use std::path::Path;

use layerwise_files::{FileError, Links, OpenedFile};
use serde_json::Value;

use crate::CorpusError;

/// SHA-256 of the bytes of the file at `path`, as 64 lower-case hexadecimal digits.
///
/// # Errors
///
/// The path must lead to a regular file that can be read.
pub fn sha256(path: &Path) -> Result<String, CorpusError> {
    Ok(open(path)?.sha256()?)
}

/// Opens a regular file for reading; the path that the caller names may be a link.
pub(crate) fn open(path: &Path) -> Result<OpenedFile, FileError> {
    layerwise_files::open(path, Links::Follow)
}

/// Turns an error of reading into the crate's.
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
