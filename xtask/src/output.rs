//! Writes files whole or not at all, checks in advance that they can be written, and prints messages.

use anyhow::{Context, bail};
use layerwise::files;
use std::ffi::OsStr;
use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

/// Writes a file under a temporary name in the same folder, which is created if it is missing, then renames it.
///
/// # Errors
/// The path cannot be a file's, or the file cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    refuse_other_than_file(path)?;
    make_folder(path.parent().unwrap_or(Path::new("")))?;
    let written = files::replace(path, |file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.with_context(|| format!("{}: cannot be written", path.display()))
}

/// Creates a folder and its parents.
///
/// # Errors
/// It cannot be created.
pub fn make_folder(path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(path)
        .with_context(|| format!("{}: the folder cannot be created", path.display()))
}

/// Refuses an output file that could not be written, before any work is done for it.
///
/// # Errors
/// The path cannot be a file's, or its folder cannot hold outputs; see [`check_folder`].
pub fn check_file(path: &Path) -> anyhow::Result<()> {
    refuse_other_than_file(path)?;
    check_name(path)?;
    check_folder(path.parent().unwrap_or(Path::new("")))
}

/// A path of the command line, after the option that names it or what else it is; `None` if it was not given.
pub type Named = (&'static str, Option<PathBuf>);

/// Refuses an output that is the same file as another output or as one of `others`, or that lies below one of them: files
/// that the command reads, journals, and the folder of the run. Links count as what they point to.
///
/// Also refuses to replace the journal of any run, since a journal is finished work.
///
/// # Errors
/// The message names both paths.
pub fn check_distinct(
    outputs: impl IntoIterator<Item = Named>,
    others: impl IntoIterator<Item = Named>,
) -> anyhow::Result<()> {
    let given = |(name, path): Named| {
        let path = path?;
        Some((name, place(&path), path))
    };
    let outputs: Vec<_> = outputs.into_iter().filter_map(given).collect();
    let others: Vec<_> = others.into_iter().filter_map(given).collect();
    for (at, (name, own, path)) in outputs.iter().enumerate() {
        for (other_name, other, other_path) in outputs[..at].iter().chain(&others) {
            let clash = if own == other {
                "is the same file as"
            } else if own.starts_with(other) {
                "lies in"
            } else if other.starts_with(own) {
                "cannot be a file beside"
            } else {
                continue;
            };
            bail!(
                "{name} {}: {clash} {other_name} {}; give another output",
                path.display(),
                other_path.display()
            );
        }
        if own.extension().is_some_and(|end| end == "journal") && own.is_file() {
            bail!(
                "{name} {}: would replace a journal, which is the finished work of a run; give another output",
                path.display()
            );
        }
    }
    Ok(())
}

/// Refuses inputs that lie in a folder of results under the name of a result, which might replace them.
///
/// # Errors
/// The message names the input.
pub fn check_apart(
    folders: &[PathBuf],
    inputs: impl IntoIterator<Item = Named>,
) -> anyhow::Result<()> {
    let folders: Vec<PathBuf> = folders.iter().map(|folder| place(folder)).collect();
    for (name, path) in inputs {
        let Some(path) = path else { continue };
        let own = place(&path);
        let is_inside = folders.iter().any(|folder| own.parent() == Some(folder));
        if is_inside && is_name_of_result(&own) {
            bail!(
                "{name} {}: lies where the results are written, and has the name of one; give another --out",
                path.display()
            );
        }
    }
    Ok(())
}

/// The place of a file that need not exist: its path without links, as far as there is anything.
fn place(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut place = PathBuf::new();
    for part in absolute.components() {
        match part {
            // What came before has no links any more, so that its parent is what the system finds.
            Component::ParentDir => {
                place.pop();
            }
            part => place.push(part),
        }
        if let Ok(found) = place.canonicalize() {
            place = found;
        }
    }
    place
}

/// Refuses an output folder that is not a folder, or cannot be created or written to, before any work is done.
///
/// Leaves nothing behind. Does not create a missing folder yet; writes a temporary file into an existing one to see whether
/// that is possible.
///
/// # Errors
/// The message names the part of the path that is in the way.
pub fn check_folder(path: &Path) -> anyhow::Result<()> {
    let mut existing = path;
    let mut missing = Vec::new();
    loop {
        if existing.as_os_str().is_empty() {
            existing = Path::new(".");
        }
        let found = match fs::metadata(existing) {
            Ok(found) if found.is_dir() => break,
            Ok(found) if found.is_file() => "a file",
            Ok(_) => "a pipe, socket or device",
            Err(_) if existing.is_symlink() => "a dangling link",
            Err(error) if is_absence(&error) => {
                missing.extend(existing.file_name());
                existing = existing.parent().unwrap_or(Path::new(""));
                continue;
            }
            Err(error) => return Err(error).with_context(|| unwritable(existing)),
        };
        bail!(
            "{}: expected a folder, found {found}; give another output",
            existing.display()
        );
    }
    for name in missing {
        check_name(&existing.join(name))?;
    }
    files::temporary(existing)
        .and_then(|(temporary, _)| fs::remove_file(temporary))
        .with_context(|| unwritable(existing))
}

/// Refuses a name that the system does not accept, such as one that is too long.
fn check_name(path: &Path) -> anyhow::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if !is_absence(&error) => Err(error).with_context(|| unwritable(path)),
        _ => Ok(()),
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn unwritable(path: &Path) -> String {
    match path.to_str() {
        Some(".") => "the current folder: cannot be written to".to_owned(),
        _ => format!("{}: cannot be written to", path.display()),
    }
}

/// Extensions of the files that a run writes into its folders, and the names of its other files.
const ENDS_OF_RESULTS: &[&str] = &["csv", "html", "png", "svg"];
const OTHER_RESULTS: &[&str] = &["manifest.json"];

/// Whether a file of results may have the name of this path.
pub fn is_name_of_result(path: &Path) -> bool {
    let is_one = |part: Option<&OsStr>, known: &[&str]| {
        let part = part.and_then(OsStr::to_str).unwrap_or_default();
        known.iter().any(|known| known.eq_ignore_ascii_case(part))
    };
    is_one(path.extension(), ENDS_OF_RESULTS) || is_one(path.file_name(), OTHER_RESULTS)
}

/// Refuses what [`check_folder`] refuses, and a folder in which something other than a file has the name of a result.
///
/// # Errors
/// The message names what is in the way.
pub fn check_folder_of_results(path: &Path) -> anyhow::Result<()> {
    check_folder(path)?;
    let entries = match fs::read_dir(path) {
        Err(error) if is_absence(&error) => return Ok(()),
        entries => entries.with_context(|| format!("{}: cannot be read", path.display()))?,
    };
    for entry in entries {
        let path = entry
            .with_context(|| format!("{}: cannot be read", path.display()))?
            .path();
        if is_name_of_result(&path) {
            refuse_other_than_file(&path)?;
        }
    }
    Ok(())
}

/// Refuses an output file's path that names a folder, a link, a pipe or a device.
///
/// Renaming a finished file to that path would replace whatever is there, even `/dev/null`.
fn refuse_other_than_file(path: &Path) -> anyhow::Result<()> {
    let found = fs::symlink_metadata(path).map(|found| found.file_type());
    let found = match found {
        Ok(found) if found.is_dir() => "a folder",
        Ok(found) if found.is_symlink() => "a link",
        Ok(found) if !found.is_file() => "a pipe, socket or device",
        _ if path.file_name().is_none() => "a path without a file name",
        // `file_name` ignores a slash at the end.
        _ if path.as_os_str().as_encoded_bytes().ends_with(b"/") => "a path that ends with a slash",
        _ => return Ok(()),
    };
    bail!(
        "{}: expected a file, found {found}; give another output",
        path.display()
    )
}

/// Prints the paths of finished outputs on standard output, one a line.
///
/// # Errors
/// Standard output is closed.
pub fn print_paths<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    for path in paths {
        writeln!(stdout, "{}", plain(&path.as_ref().display().to_string()))?;
    }
    Ok(())
}

/// Prints a message on standard error. If standard error is closed, the work goes on.
pub fn say(message: impl Display) {
    let _ = writeln!(io::stderr(), "{}", plain(&message.to_string()));
}

/// A count with its noun, in the singular or plural.
pub fn counted(count: usize, unit: &str) -> String {
    match count {
        1 => format!("1 {unit}"),
        _ => format!("{count} {unit}s"),
    }
}

/// A text with its control characters escaped, including line ends. A name that a stranger chose must neither control the
/// terminal nor look like a message of this program.
pub fn plain(text: &str) -> String {
    let spell = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(spell).collect()
}

/// Whether an error comes from a closed pipe.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_told_apart_by_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for (file, bytes) in [("text.txt", "text"), ("kept.journal", "work")] {
            fs::write(root.join(file), bytes).unwrap();
        }
        fs::create_dir_all(root.join("a/b")).unwrap();
        #[cfg(unix)]
        for (target, link) in [("text.txt", "link.txt"), ("a", "to-a")] {
            std::os::unix::fs::symlink(target, root.join(link)).unwrap();
        }
        let check = |outputs: &[&str], others: &[&str], expected: &str| {
            let named = |name: &'static str, paths: &[&str]| -> Vec<Named> {
                let paths = paths.iter().map(|path| (name, Some(root.join(path))));
                paths.chain([("--absent", None)]).collect()
            };
            let found = check_distinct(named("--out", outputs), named("--in", others));
            match (expected, found) {
                ("", found) => found.unwrap(),
                (expected, found) => {
                    let said = found.unwrap_err().to_string();
                    assert!(said.contains(expected), "{outputs:?} {others:?}: {said}");
                }
            }
        };
        check(&["x.csv", "y.csv"], &["text.txt", "x.csv.run"], "");
        check(&["a/x.csv", "a/b/x.csv"], &["x.csv"], "");
        check(&["new/x.csv", "x.csv"], &[], "");
        let same = "is the same file as";
        check(&["x.csv", "x.csv"], &[], same);
        check(&["x.csv", "./x.csv"], &[], same);
        check(&["x.csv", "a/../x.csv"], &[], same);
        check(&["x.csv", "new/../x.csv"], &[], same);
        check(&["new/x.csv", "new/./x.csv"], &[], same);
        check(&["text.txt"], &["a/b/../../text.txt"], same);
        check(&["x.run/y.csv"], &["x.run"], "x.run/y.csv: lies in --in ");
        check(&["x", "x/y"], &[], "x/y: lies in --out ");
        check(&["x/y", "x"], &[], "x: cannot be a file beside --out ");
        check(&["kept.journal"], &[], "would replace a journal");
        check(&["new.journal"], &[], "");
        #[cfg(unix)]
        {
            check(&["text.txt"], &["link.txt"], same);
            check(&["to-a/x.csv", "a/x.csv"], &[], same);
            // The parent of the linked folder is not that of the link.
            check(&["to-a/b/../x.csv", "a/x.csv"], &[], same);
        }
    }
}
