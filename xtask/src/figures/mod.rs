//! Figures: pure functions from recorded results to drawings.
//!
//! A figure's module holds the form of its results, reading and writing them as CSV, and the drawings made from them.
//! Nothing here knows a model, so every figure can be redrawn from its CSV file alone.

pub mod robustness;

use std::io;
use std::path::PathBuf;

/// Why the results of a figure could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// The file could not be opened, read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system or the CSV reader says.
        source: io::Error,
    },
    /// The first line does not name the columns of this figure's results.
    #[error("{}: line 1: expected the columns {expected}, found {found}", path.display())]
    Columns {
        /// The file.
        path: PathBuf,
        /// Columns, joined by commas.
        expected: String,
        /// Columns, joined by commas.
        found: String,
    },
    /// A field does not hold what its column is for.
    #[error("{}: line {line}: {column}: expected {expected}, found {found:?}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// Line in the file, from 1.
        line: u64,
        /// Name of the column.
        column: String,
        /// What the column holds.
        expected: String,
        /// What the field holds.
        found: String,
    },
}
