//! The progress of an array, from its journals; Slurm is asked only which tasks it still has.

use super::slurm;
use crate::output;
use anyhow::Context;
use layerwise::arrays::Status;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

/// Options of `submit status`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The folder of the array (OUT.array), or the output of the whole run
    #[arg(value_name = "RUN")]
    run: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// The folder is not an array's, or a journal cannot be read.
pub(super) fn status(arguments: &Arguments) -> anyhow::Result<()> {
    let status = Status::read(&arguments.run)?;
    let record = status.record();
    let queue = match record.is_slurm {
        true => slurm::queue(&record.name),
        false => BTreeMap::new(),
    };
    let folder = status.folder();
    let folder = fs::canonicalize(folder).with_context(|| folder.display().to_string())?;
    let lines = status.told(&folder, &queue).into_iter();
    let text: String = lines.map(|line| output::plain(&line) + "\n").collect();
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
