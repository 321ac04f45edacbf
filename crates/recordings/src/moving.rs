//! Moves a finished file to its place.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// Moves a finished file to its place, and creates the folder of that place.
///
/// Another file system cannot take the file over by its name. It gets a copy under a temporary name first, so that the place
/// never holds a part of the file.
///
/// # Errors
/// The folder cannot be created, or the file cannot be moved.
pub fn move_file(finished: &Path, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::rename(finished, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy_over(finished, to),
        moved => moved,
    }
}

/// Moves a file by copying it.
fn copy_over(finished: &Path, to: &Path) -> io::Result<()> {
    // The name is short, because the file's own name may be as long as the system allows, and no other process has it.
    let mut number = 0_u32;
    let (temporary, mut copy) = loop {
        let name = to.with_file_name(format!(".{number}.tmp"));
        match OpenOptions::new().write(true).create_new(true).open(&name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            opened => break (name, opened?),
        }
    };
    let copied = File::open(finished)
        .and_then(|mut file| io::copy(&mut file, &mut copy))
        .and_then(|_| copy.sync_all())
        .and_then(|()| fs::rename(&temporary, to));
    if copied.is_err() {
        // If the copy cannot be removed either, the first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    copied.and_then(|()| fs::remove_file(finished))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_moved_whole_or_stays() {
        let check = |mover: fn(&Path, &Path) -> io::Result<()>, to: &str, moves: bool| {
            let folder = tempfile::tempdir().unwrap();
            let [from, to] = ["part", to].map(|name| folder.path().join(name));
            fs::create_dir(folder.path().join("folder")).unwrap();
            fs::write(folder.path().join("old"), b"old").unwrap();
            fs::write(&from, b"finished").unwrap();
            assert_eq!(mover(&from, &to).is_ok(), moves, "{}", to.display());
            let kept = if moves { &to } else { &from };
            assert_eq!(fs::read(kept).unwrap(), b"finished");
            assert_eq!(from.exists(), !moves);
            let entries = fs::read_dir(to.parent().unwrap()).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name());
            let left = names.filter(|name| name.to_string_lossy().ends_with(".tmp"));
            assert_eq!(left.count(), 0, "{}", to.display());
        };
        for mover in [move_file, copy_over] {
            check(mover, "new", true);
            check(mover, "old", true);
            check(mover, "folder/new", true);
            check(mover, "folder", false);
        }
        check(move_file, "missing/below/new", true);
    }
}
