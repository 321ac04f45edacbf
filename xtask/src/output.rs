//! Files that are there whole or not at all, and what the user is told.

use anyhow::Context;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes a file under a temporary name beside its place, then puts it there.
///
/// # Errors
/// The path is none of a file, or cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    refuse_other_than_file(path)?;
    // Two processes may be at the same file, each with a temporary one of its own; a long name leaves no room for more.
    let temporary = path.with_file_name(format!(".{}.tmp", std::process::id()));
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

/// Refuses an output file's path that names a folder, a link, a pipe or a device, before any work is done for it.
///
/// Renaming a finished file to that path would put it in the place of whatever is there, even of `/dev/null`.
///
/// # Errors
/// It is no place for a file.
pub fn refuse_other_than_file(path: &Path) -> anyhow::Result<()> {
    let found = fs::symlink_metadata(path).map(|found| found.file_type());
    let found = match found {
        Ok(found) if found.is_dir() => "a folder",
        Ok(found) if found.is_symlink() => "a link",
        Ok(found) if !found.is_file() => "a pipe, socket or device",
        _ if path.file_name().is_none() => "no name of one",
        // Paths are compared without such an end.
        _ if path.as_os_str().as_encoded_bytes().ends_with(b"/") => "the name of a folder",
        _ => return Ok(()),
    };
    anyhow::bail!("{}: expected a file, found {found}", path.display())
}

/// Refuses an output folder's path that names something else, before any work is done for it; it need not exist.
///
/// # Errors
/// It is no place for a folder.
pub fn refuse_other_than_folder(path: &Path) -> anyhow::Result<()> {
    let found = match fs::metadata(path) {
        Ok(found) if found.is_file() => "a file",
        Ok(found) if !found.is_dir() => "a pipe, socket or device",
        _ => return Ok(()),
    };
    anyhow::bail!("{}: expected a folder, found {found}", path.display())
}

/// Tells the user something on standard error; where nobody reads it, the work goes on.
pub fn say(message: impl Display) {
    let _ = writeln!(io::stderr(), "{}", plain(&message.to_string()));
}

/// A text whose control characters are spelt out, but for the ends of lines: a name that a stranger chose must not steer
/// the terminal.
pub fn plain(text: &str) -> String {
    let spell = |c: char| match c.is_control() && c != '\n' {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(spell).collect()
}

/// Whether an error is a pipe whose reader went away.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
