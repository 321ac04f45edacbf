//! Files that are there whole or not at all, and what the user is told.

use anyhow::Context;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes a file under a temporary name beside its place, then puts it there.
///
/// # Errors
/// The path is a folder, or cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    refuse_folder(path)?;
    let name = path
        .file_name()
        .with_context(|| format!("{}: expected a file name", path.display()))?;
    let mut temporary = name.to_os_string();
    // Two processes may be at the same file, each with a temporary one of its own.
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(temporary);
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // What is left of it is of no use; the error that matters is the first one.
        let _ = fs::remove_file(&temporary);
    }
    written.with_context(|| format!("{}: cannot be written", path.display()))
}

/// Makes a folder and those above it.
///
/// # Errors
/// It cannot be made.
pub fn make_folder(path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(path)
        .with_context(|| format!("{}: the folder cannot be made", path.display()))
}

/// Refuses an output file's path that is a folder, before any work is done for it.
///
/// # Errors
/// It is a folder.
pub fn refuse_folder(path: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        !path.is_dir(),
        "{}: expected a file, found a folder",
        path.display()
    );
    Ok(())
}

/// Tells the user something on standard error; where nobody reads it, the work goes on.
pub fn say(message: impl Display) {
    let _ = writeln!(io::stderr(), "{message}");
}

/// Whether an error is a pipe whose reader went away.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
