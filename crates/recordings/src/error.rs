//! Why a recording cannot be made.

use layerwise_schedule::{Selection, Site};
use layerwise_sweep::SweepError;
use std::io;
use std::path::PathBuf;

/// Why a recording cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The site has no row for each token.
    #[error(
        "`{site}` has no row for each token that could be written; expected a site of the residual stream, of heads or of the MLP"
    )]
    NoRows {
        /// The site.
        site: Site,
    },
    /// Some positions are chosen.
    #[error("`{selection}`: expected all positions, which `sequence_offsets` tells apart")]
    Positions {
        /// What was chosen.
        selection: Selection,
    },
    /// A block that was chosen is not run.
    #[error("`{selection}`: block {block} has none under this edit")]
    NotRun {
        /// What was chosen.
        selection: Selection,
        /// The block.
        block: usize,
    },
    /// The header of the file cannot be put together.
    #[error("{0}")]
    Header(#[from] serde_json::Error),
    /// A folder cannot be made.
    #[error("{}: the folder cannot be made", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("{}: cannot be written", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A finished file cannot be gone on with.
    #[error("{}: cannot be taken up", path.display())]
    NotTakenUp {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The journal tells of values that are nowhere.
    #[error(
        "{}: tells of an earlier run whose values for each token are not in {}",
        journal.display(),
        path.display()
    )]
    Unkept {
        /// The journal.
        journal: PathBuf,
        /// The file in which the values should be.
        path: PathBuf,
    },
    /// What was written cannot be read back.
    #[error("the {values} cannot be read")]
    Values {
        /// Which values.
        values: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A table cannot be put together.
    #[error("the table of classes cannot be put together")]
    Table(#[from] csv::Error),
    /// The run failed.
    #[error("{0}")]
    Sweep(#[from] SweepError),
}
