//! An opened file.

use std::fs::{self, File, FileType, Metadata};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::FileError;
use crate::hash::hexadecimal;

/// First line of a Git LFS pointer.
const LFS_START: &[u8] = b"version https://git-lfs.github.com/spec/v1";

/// What to do at a symbolic link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Refuse it. A [`Folder`](crate::Folder) still follows links to its own files and to its hub cache's blobs.
    Refuse,
    /// Follow it, wherever it leads.
    Follow,
}

/// A regular file, opened for reading.
#[derive(Debug)]
pub struct OpenedFile {
    path: PathBuf,
    size: u64,
    handle: Mutex<File>,
}

/// Opens the regular file at `path` for reading.
///
/// # Errors
///
/// [`FileError::Missing`], [`FileError::Io`], [`FileError::Link`] for a link with [`Links::Refuse`], [`FileError::NotRegular`],
/// [`FileError::SizeChanged`], [`FileError::LfsPointer`].
pub fn open(path: &Path, links: Links) -> Result<OpenedFile, FileError> {
    OpenedFile::open(path.to_owned(), path, links)
}

/// Opens the regular file at `path` for reading and writing, and creates an empty one if there is none.
///
/// A link is refused, even one that leads nowhere, so no file elsewhere is changed or created.
/// The contents are left as they are, and reading begins at the start.
///
/// # Errors
///
/// [`FileError::Io`], [`FileError::Link`], [`FileError::NotRegular`].
pub fn open_to_append(path: &Path) -> Result<File, FileError> {
    match fs::symlink_metadata(path) {
        Ok(found) => drop(inspected(path, path, &found)?),
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => return Err(FileError::io(path, "inspect", e)),
    }
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = opened(path, path, options, Links::Refuse)?;
    let found = file.metadata();
    inspected(
        path,
        path,
        &found.map_err(|e| FileError::io(path, "inspect", e))?,
    )?;
    Ok(file)
}

impl OpenedFile {
    /// Opens the file at `real`, which messages call `path`.
    pub(crate) fn open(path: PathBuf, real: &Path, links: Links) -> Result<Self, FileError> {
        let found = match links {
            Links::Refuse => fs::symlink_metadata(real),
            Links::Follow => fs::metadata(real),
        };
        let found = found.map_err(|e| match e.kind() {
            ErrorKind::NotFound => FileError::Missing {
                path: path.clone(),
                expected: "a file".to_owned(),
                unfinished: None,
            },
            _ => FileError::io(&path, "inspect", e),
        })?;
        let size = inspected(&path, real, &found)?;
        Self::open_sized(path, real, links, size)
    }

    /// Opens a file that was inspected and had `size` bytes.
    fn open_sized(path: PathBuf, real: &Path, links: Links, size: u64) -> Result<Self, FileError> {
        let mut options = fs::OpenOptions::new();
        options.read(true);
        let file = opened(&path, real, options, links)?;
        // Something else may have taken the file's place since it was inspected.
        let found = file.metadata();
        inspected(
            &path,
            real,
            &found.map_err(|e| FileError::io(&path, "inspect", e))?,
        )?;
        let opened = Self {
            path,
            size,
            handle: Mutex::new(file),
        };
        opened.check_size()?;
        opened.refuse_lfs_pointer()?;
        Ok(opened)
    }

    /// Path of the file, as it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Size in bytes, at opening.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// SHA-256 of the file's bytes, in lower-case hexadecimal.
    ///
    /// The file is read in pieces each time this is called.
    ///
    /// # Errors
    ///
    /// [`FileError::Io`] if it cannot be read, [`FileError::SizeChanged`] if its size has changed since it was opened.
    pub fn sha256(&self) -> Result<String, FileError> {
        let mut hash = Sha256::new();
        let mut piece = vec![0; 1 << 20];
        let mut offset = 0;
        while offset < self.size {
            let length = piece
                .len()
                .min(usize::try_from(self.size - offset).unwrap_or(usize::MAX));
            self.read_at(offset, &mut piece[..length])?;
            hash.update(&piece[..length]);
            offset += length as u64;
        }
        self.check_size()?;
        Ok(hexadecimal(&hash.finalize()))
    }

    /// Metadata of the file as text: device, inode, size, and when its bytes and its inode were last written. Files with the same
    /// stamp have the same bytes, as far as the system's clock can distinguish two moments. `None` if the system provides no such
    /// numbers.
    ///
    /// # Errors
    ///
    /// [`FileError::Io`].
    pub fn stamp(&self) -> Result<Option<String>, FileError> {
        let metadata = self.handle().metadata();
        let metadata = metadata.map_err(|e| FileError::io(&self.path, "inspect", e))?;
        Ok(stamp(&metadata))
    }

    /// Whether this file's bytes and inode were last written at least two seconds before another file's bytes, by the clocks of
    /// their file systems; the coarsest of these distinguish two seconds. A stamp taken for the other file then names these bytes
    /// and no later ones. `false` if the system provides no such times.
    ///
    /// # Errors
    ///
    /// [`FileError::Io`].
    pub fn is_older_than(&self, other: &Self) -> Result<bool, FileError> {
        let of = |file: &Self| {
            let metadata = file.handle().metadata();
            metadata.map_err(|e| FileError::io(&file.path, "inspect", e))
        };
        Ok(is_older(&of(self)?, &of(other)?))
    }

    /// Fails if the file's size has changed since it was opened.
    ///
    /// # Errors
    ///
    /// [`FileError::SizeChanged`], or [`FileError::Io`].
    pub fn check_size(&self) -> Result<(), FileError> {
        let metadata = self.handle().metadata();
        let metadata = metadata.map_err(|e| FileError::io(&self.path, "inspect", e))?;
        if metadata.len() == self.size {
            return Ok(());
        }
        Err(FileError::SizeChanged {
            path: self.path.clone(),
            expected: self.size,
            found: metadata.len(),
        })
    }

    /// Fills `bytes` from the file, starting `offset` bytes from its start.
    ///
    /// # Errors
    ///
    /// [`FileError::Io`], also if the file ends too early.
    pub fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<(), FileError> {
        let mut file = self.handle();
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.read_exact(bytes))
            .map_err(|e| FileError::io(&self.path, "read", e))
    }

    /// Reads the whole file, which may have at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// [`FileError::TooLarge`], [`FileError::SizeChanged`] or [`FileError::Io`].
    pub fn read_all(&self, limit: u64) -> Result<Vec<u8>, FileError> {
        if self.size > limit {
            return Err(FileError::TooLarge {
                path: self.path.clone(),
                limit,
                found: self.size,
            });
        }
        let mut bytes = vec![0; self.size_in_memory()?];
        self.read_at(0, &mut bytes)?;
        self.check_size()?;
        Ok(bytes)
    }

    /// The size as a `usize`; a 32-bit host cannot hold every file in memory.
    ///
    /// # Errors
    ///
    /// [`FileError::TooLarge`].
    pub fn size_in_memory(&self) -> Result<usize, FileError> {
        usize::try_from(self.size).map_err(|_| FileError::TooLarge {
            path: self.path.clone(),
            limit: usize::MAX as u64,
            found: self.size,
        })
    }

    /// The system's handle, at an unspecified position; for mapping.
    pub fn handle(&self) -> MutexGuard<'_, File> {
        // Every read seeks first, so the position left by a panicking thread does not matter.
        self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The system's handle, at the file's start; for reading in pieces.
    ///
    /// # Errors
    ///
    /// [`FileError::Io`].
    pub fn into_file(self) -> Result<File, FileError> {
        let mut file = self
            .handle
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        match file.rewind() {
            Ok(()) => Ok(file),
            Err(e) => Err(FileError::io(&self.path, "read", e)),
        }
    }

    fn refuse_lfs_pointer(&self) -> Result<(), FileError> {
        if self.size < LFS_START.len() as u64 {
            return Ok(());
        }
        let mut start = [0; LFS_START.len()];
        self.read_at(0, &mut start)?;
        if start == LFS_START {
            return Err(FileError::LfsPointer {
                path: self.path.clone(),
            });
        }
        Ok(())
    }
}

/// The size of the file found at `real`, which must be regular.
fn inspected(path: &Path, real: &Path, found: &Metadata) -> Result<u64, FileError> {
    if found.is_file() {
        return Ok(found.len());
    }
    if found.is_symlink() {
        return Err(link(path, real));
    }
    Err(FileError::NotRegular {
        path: path.to_owned(),
        found: kind(found.file_type()),
    })
}

fn link(path: &Path, real: &Path) -> FileError {
    FileError::Link {
        path: path.to_owned(),
        target: fs::read_link(real).ok(),
    }
}

/// Opens `real`. On Unix this cannot block on a FIFO or follow a forbidden link that took the file's place.
fn opened(
    path: &Path,
    real: &Path,
    mut options: fs::OpenOptions,
    links: Links,
) -> Result<File, FileError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let no_follow = match links {
            Links::Refuse => libc::O_NOFOLLOW,
            Links::Follow => 0,
        };
        options.custom_flags(libc::O_NONBLOCK | no_follow);
    }
    options.open(real).map_err(|error| match links {
        Links::Refuse if is_loop(&error) => link(path, real),
        _ => FileError::io(path, "open", error),
    })
}

/// Whether `error` means that the path is a link that must not be followed.
fn is_loop(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        error.raw_os_error() == Some(libc::ELOOP)
    }
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}

/// The kind of a file, for messages.
pub(crate) fn kind(file: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if file.is_fifo() {
            return "a FIFO";
        }
        if file.is_socket() {
            return "a socket";
        }
        if file.is_block_device() || file.is_char_device() {
            return "a device";
        }
    }
    if file.is_dir() {
        "a directory"
    } else if file.is_file() {
        "a file"
    } else {
        "something else"
    }
}

#[cfg(unix)]
fn stamp(of: &Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    Some(format!(
        "device {} inode {} bytes {} modified {}.{:09} changed {}.{:09}",
        of.dev(),
        of.ino(),
        of.size(),
        of.mtime(),
        of.mtime_nsec(),
        of.ctime(),
        of.ctime_nsec()
    ))
}

#[cfg(not(unix))]
fn stamp(_: &Metadata) -> Option<String> {
    None
}

#[cfg(unix)]
fn is_older(of: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let written = of.mtime().max(of.ctime());
    // Whole seconds: more than two of them apart are at least two.
    other.mtime().saturating_sub(written) > 2
}

#[cfg(not(unix))]
fn is_older(_: &Metadata, _: &Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(folder: &Path, bytes: &[u8]) -> OpenedFile {
        let path = folder.join("file");
        fs::write(&path, bytes).unwrap();
        open(&path, Links::Refuse).unwrap()
    }

    /// Case 52 of the bad inputs: the size at inspection differs from the size at opening.
    #[test]
    fn a_file_that_changed_size_since_it_was_inspected_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for now in [b"shorter".as_slice(), b"and now longer than before"] {
            fs::write(&path, now).unwrap();
            let error = OpenedFile::open_sized(path.clone(), &path, Links::Follow, 12).unwrap_err();
            assert!(
                matches!(&error, FileError::SizeChanged { expected: 12, found, .. } if *found == now.len() as u64),
                "{error}"
            );
        }
    }

    /// Case 41 of the bad inputs: a FIFO takes the file's place after the inspection.
    #[cfg(unix)]
    #[test]
    fn opening_a_fifo_does_not_block_and_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap();
        assert!(made.success());
        for links in [Links::Follow, Links::Refuse] {
            for error in [
                OpenedFile::open_sized(path.clone(), &path, links, 12).unwrap_err(),
                open(&path, links).unwrap_err(),
                open_to_append(&path).unwrap_err(),
            ] {
                assert!(
                    matches!(
                        &error,
                        FileError::NotRegular {
                            found: "a FIFO",
                            ..
                        }
                    ),
                    "{error}"
                );
            }
        }
    }

    /// A link is refused before it is opened, and also if it takes the file's place after the inspection.
    #[cfg(unix)]
    #[test]
    fn links_are_followed_only_where_that_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, b"some bytes").unwrap();
        for (name, target) in [
            ("link", file.clone()),
            ("dangling", folder.path().join("absent")),
        ] {
            let link = folder.path().join(name);
            std::os::unix::fs::symlink(&target, &link).unwrap();
            for error in [
                open(&link, Links::Refuse).unwrap_err(),
                OpenedFile::open_sized(link.clone(), &link, Links::Refuse, 10).unwrap_err(),
                open_to_append(&link).unwrap_err(),
            ] {
                assert!(
                    matches!(&error, FileError::Link { target: Some(found), .. } if *found == target),
                    "{error}"
                );
            }
            assert!(matches!(
                opened(
                    &link,
                    &link,
                    fs::OpenOptions::new().write(true).create(true).clone(),
                    Links::Refuse
                ),
                Err(FileError::Link { .. })
            ));
        }
        assert!(!folder.path().join("absent").exists(), "nothing was made");
        let followed = open(&folder.path().join("link"), Links::Follow).unwrap();
        assert_eq!(followed.read_all(100).unwrap(), b"some bytes");
        assert!(matches!(
            open(&folder.path().join("dangling"), Links::Follow),
            Err(FileError::Missing { .. })
        ));
    }

    #[test]
    fn a_file_to_append_to_is_made_once_and_kept() {
        use std::io::Write;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        open_to_append(&path).unwrap().write_all(b"first").unwrap();
        let mut kept = String::new();
        open_to_append(&path)
            .unwrap()
            .read_to_string(&mut kept)
            .unwrap();
        assert_eq!(kept, "first");
        assert!(matches!(
            open_to_append(folder.path()),
            Err(FileError::NotRegular {
                found: "a directory",
                ..
            })
        ));
    }

    #[test]
    fn a_pointer_of_git_lfs_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, [LFS_START, b"\noid sha256:00\nsize 1\n"].concat()).unwrap();
        assert!(matches!(
            open(&path, Links::Refuse),
            Err(FileError::LfsPointer { .. })
        ));
    }

    #[test]
    fn a_file_is_read_whole_within_its_limit_and_from_its_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = written(folder.path(), &[7; 100]);
        assert_eq!(file.read_all(100).unwrap(), [7; 100]);
        assert!(matches!(
            file.read_all(99),
            Err(FileError::TooLarge {
                limit: 99,
                found: 100,
                ..
            })
        ));
        let mut bytes = Vec::new();
        file.into_file().unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, [7; 100]);
    }

    #[test]
    fn sha256_is_that_of_the_bytes_across_pieces() {
        let folder = tempfile::tempdir().unwrap();
        // The digests of "abc" and of a million times "a" are examples of FIPS 180-4.
        for (bytes, digest) in [
            (
                b"abc".to_vec(),
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                vec![b'a'; 1_000_000],
                "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
            ),
        ] {
            assert_eq!(written(folder.path(), &bytes).sha256().unwrap(), digest);
            assert_eq!(crate::sha256(&bytes), digest);
        }
        let long: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
        assert_eq!(
            written(folder.path(), &long).sha256().unwrap(),
            crate::sha256(&long)
        );
    }

    #[test]
    fn sha256_of_a_file_that_changed_size_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = written(folder.path(), b"some bytes");
        fs::write(file.path(), b"some bytes and more").unwrap();
        let error = file.sha256().unwrap_err();
        assert!(
            matches!(
                &error,
                FileError::SizeChanged {
                    expected: 10,
                    found: 19,
                    ..
                }
            ),
            "{error}"
        );
    }
}
