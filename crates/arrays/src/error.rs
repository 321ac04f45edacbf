//! Why an array cannot be had.

use layerwise_files::FileError;
use layerwise_journal::{JournalError, Shard};
use std::io;
use std::path::PathBuf;

/// Why there is no such array, or its state cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayError {
    /// Scripts cannot hold the path.
    #[error("{}: expected a path in UTF-8", path.display())]
    NotUtf8 {
        /// The path of the output.
        path: PathBuf,
    },
    /// The output has no name, as the root.
    #[error("{}: expected the name of an output", path.display())]
    NoName {
        /// The path of the output.
        path: PathBuf,
    },
    /// A file cannot be opened or read.
    #[error("{0}")]
    File(#[from] FileError),
    /// The file is no record of an array.
    #[error("{}: not what `submit` writes", path.display())]
    NotARecord {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The record has a number of tasks that no array has.
    #[error(
        "{}: tasks: expected a number from 2 to {}, found {found}",
        path.display(),
        Shard::MAX_COUNT
    )]
    Tasks {
        /// The file.
        path: PathBuf,
        /// The number that it has.
        found: u32,
    },
    /// The record names jobs as none is named.
    #[error(
        "{}: name: expected letters, digits and `-`, found {found:.100?}",
        path.display()
    )]
    Name {
        /// The file.
        path: PathBuf,
        /// The name that it has.
        found: String,
    },
    /// The text is no limit on time.
    #[error("expected minutes, H:M:S or D-H:M:S, above 0")]
    TimeLimit {
        /// The text.
        found: String,
    },
    /// The folder is another array's.
    #[error(
        "{}: holds an array of {tasks} tasks of another command or number",
        path.display()
    )]
    OtherArray {
        /// The folder.
        path: PathBuf,
        /// Tasks of the array that it holds.
        tasks: u32,
    },
    /// A folder cannot be read.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A journal cannot be read.
    #[error("{0}")]
    Journal(#[from] JournalError),
}
