//! Files that are replaced whole.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Writes a file under a temporary name in the same folder and renames it to its place, which never holds a part of it.
///
/// Whether the file survives a loss of power is up to `write`, which may sync it.
///
/// # Errors
///
/// Those of the system, and of `write`. The temporary file is then removed, and the place is as it was.
///
/// ```
/// use layerwise_files::replace;
/// use std::io::{self, Write};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("table.csv");
/// replace(&path, |file| file.write_all(b"whole\n"))?;
/// assert!(replace(&path, |_| Err(io::Error::other("the disk is full"))).is_err());
/// assert_eq!(std::fs::read(&path)?, b"whole\n");
/// # Ok::<(), io::Error>(())
/// ```
pub fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let (temporary, mut file) = temporary(path.parent().unwrap_or(Path::new("")))?;
    let written = write(&mut file).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // If the temporary file cannot be removed either, the first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Creates a file in a folder under a name that nothing there has, not even a link: another process may write to the same
/// folder. The name is short, because names may be as long as the system allows.
///
/// # Errors
///
/// Those of the system.
pub fn temporary(folder: &Path) -> io::Result<(PathBuf, File)> {
    let mut number = 0_u64;
    loop {
        let path = folder.join(format!(".{number}.tmp"));
        match File::create_new(&path) {
            // Another process is writing it, or was killed while writing.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            created => return Ok((path, created?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_is_replaced_whole_or_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let names = || fs::read_dir(folder.path()).unwrap().count();
        let check = |bytes: &[u8], fails: bool, expected: &[u8]| {
            let written = replace(&path, |file| {
                file.write_all(bytes)?;
                match fails {
                    true => Err(ErrorKind::StorageFull.into()),
                    false => file.sync_all(),
                }
            });
            assert_eq!(written.is_err(), fails);
            assert_eq!(fs::read(&path).unwrap(), expected);
            assert_eq!(names(), 1, "no temporary file is left");
        };
        check(b"old", false, b"old");
        check(b"new", true, b"old");
        check(b"new", false, b"new");
    }

    #[cfg(unix)]
    #[test]
    fn what_has_a_temporary_name_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::write(root.join("elsewhere"), b"kept").unwrap();
        std::os::unix::fs::symlink("elsewhere", root.join(".0.tmp")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join(".1.tmp")).unwrap();
        fs::write(root.join(".2.tmp"), b"another's").unwrap();
        replace(&root.join("file"), |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read(root.join("file")).unwrap(), b"new");
        assert_eq!(fs::read(root.join("elsewhere")).unwrap(), b"kept");
        assert!(!root.join("nowhere").exists());
        assert_eq!(fs::read(root.join(".2.tmp")).unwrap(), b"another's");
        assert!(root.join(".0.tmp").is_symlink() && root.join(".1.tmp").is_symlink());
    }
}
