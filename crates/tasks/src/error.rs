//! The crate's error type.

use layerwise_corpus::CorpusError;
use std::path::PathBuf;

/// Why a task cannot be read or encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// A file cannot be opened, or text cannot be encoded.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// A line is not of any form that is read.
    #[error("{}: line {line}: expected {expected}: {found}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The forms.
        expected: &'static str,
        /// What the reader of JSON or CSV says.
        found: String,
    },
    /// A field cannot be what it is.
    #[error("{}: line {line}: {field}: expected {expected}, found {found}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The field.
        field: &'static str,
        /// What has to be there.
        expected: String,
        /// What is.
        found: String,
    },
    /// A file without an item.
    #[error("{}: expected {expected} on each line, found no line", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// The forms.
        expected: &'static str,
    },
    /// An item does not become tokens as it has to.
    #[error("{task} item {item}: expected {expected}, found {found}")]
    Tokens {
        /// The task.
        task: String,
        /// The item's index, from 0.
        item: usize,
        /// What has to be.
        expected: String,
        /// What is.
        found: String,
    },
}
