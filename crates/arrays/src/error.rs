//! Why an array cannot be made or read.

use layerwise_files::FileError;
use layerwise_journal::{JournalError, Shard};
use std::io;
use std::path::PathBuf;

/// Why an array cannot be made, or its state cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayError {
    /// The path cannot be written into scripts.
    #[error("{}: expected a path in UTF-8", path.display())]
    NotUtf8 {
        /// The path of the output.
        path: PathBuf,
    },
    /// The output has no name, such as the root.
    #[error("{}: expected the name of an output", path.display())]
    NoName {
        /// The path of the output.
        path: PathBuf,
    },
    /// A file cannot be opened or read.
    #[error("{0}")]
    File(#[from] FileError),
    /// The file is not the record of an array.
    #[error("{}: not a record that `submit` writes", path.display())]
    NotARecord {
        /// The file.
        path: PathBuf,
        /// The JSON reader's error.
        source: serde_json::Error,
    },
    /// The record has an impossible number of tasks.
    #[error(
        "{}: tasks: expected a number from 2 to {}, found {found}",
        path.display(),
        Shard::MAX_COUNT
    )]
    Tasks {
        /// The file.
        path: PathBuf,
        /// The number found.
        found: u32,
    },
    /// The record has an impossible job name.
    #[error(
        "{}: name: expected letters, digits and `-`, found {found:.100?}",
        path.display()
    )]
    Name {
        /// The file.
        path: PathBuf,
        /// The name found.
        found: String,
    },
    /// The text is not a time limit.
    #[error("expected minutes, H:M:S or D-H:M:S, above 0")]
    TimeLimit {
        /// The text.
        found: String,
    },
    /// The folder belongs to another array.
    #[error(
        "{}: holds an array of {tasks} tasks of another command or number",
        path.display()
    )]
    OtherArray {
        /// The folder.
        path: PathBuf,
        /// The number of tasks of that array.
        tasks: u32,
    },
    /// A folder cannot be read.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// The system's message.
        source: io::Error,
    },
    /// A journal cannot be read.
    #[error("{0}")]
    Journal(#[from] JournalError),
}
