//! Why a recording cannot be made.

use layerwise_files::FileError;
use layerwise_schedule::{Selection, Site};
use layerwise_sweep::SweepError;
use layerwise_transformer::TransformerError;
use std::io;
use std::path::PathBuf;

/// Why a recording cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The model lacks the site.
    #[error("{0}")]
    Site(#[from] TransformerError),
    /// The site comes after the last block, where a recorded run ends.
    #[error(
        "`{site}` is not recorded, because the run ends with the last block; choose `resid.post` of that block"
    )]
    AfterBlocks {
        /// The site.
        site: Site,
    },
    /// The site does not have a row for each token.
    #[error(
        "`{site}` does not have one row per token; choose a site of the residual stream, of heads or of the MLP"
    )]
    NoRows {
        /// The site.
        site: Site,
    },
    /// The selection is restricted to some positions.
    #[error(
        "`{selection}`: choose all positions; `sequence_offsets` in the file separates the sequences"
    )]
    Positions {
        /// What was chosen.
        selection: Selection,
    },
    /// The selection is restricted to some units of a site that is in no block.
    #[error("`{selection}`: choose all units of a site that is in no block")]
    Units {
        /// What was chosen.
        selection: Selection,
    },
    /// The schedule runs no step with this site.
    #[error("`{selection}` does not occur under this edit; choose a site and a block that it runs")]
    NotRun {
        /// What was chosen, or the first of its blocks that does not occur.
        selection: Selection,
    },
    /// The header of the file cannot be made.
    #[error("{0}")]
    Header(#[from] serde_json::Error),
    /// A folder cannot be created.
    #[error("{}: the folder cannot be created", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file cannot be opened or read, or is a link or not a regular file.
    #[error("{0}")]
    File(#[from] FileError),
    /// A file cannot be written.
    #[error("{}: cannot be written", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The journal records a run whose values are missing, or another run.
    #[error(
        "{}: records an earlier run, but neither its folder nor {} holds the values of this run for each token",
        journal.display(),
        path.display()
    )]
    Unkept {
        /// The journal.
        journal: PathBuf,
        /// The file that should hold the values.
        path: PathBuf,
    },
    /// Written values cannot be read back.
    #[error("the {values} cannot be read")]
    Values {
        /// Which values.
        values: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A table cannot be made.
    #[error("the table of classes cannot be made")]
    Table(#[from] csv::Error),
    /// The run failed.
    #[error("{0}")]
    Sweep(#[from] SweepError),
}
