//! A folder of files that belong together, and the rule for following its links.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use crate::opened::kind;
use crate::{FileError, Links, OpenedFile};

/// A folder that comes from elsewhere, such as a checkpoint or a data set.
#[derive(Debug, Clone)]
pub struct Folder {
    /// As given; used in messages.
    path: PathBuf,
    /// With every link resolved.
    real: PathBuf,
    links: Links,
}

impl Folder {
    /// The folder at `path`, which may itself be a link.
    ///
    /// With [`Links::Refuse`] its links may lead to its own files and, if it is a snapshot of the Hugging Face cache, to blobs of
    /// the same cache. With [`Links::Follow`] they may lead anywhere.
    ///
    /// # Errors
    ///
    /// [`FileError::Missing`], [`FileError::NotAFolder`] or [`FileError::Io`].
    pub fn open(path: &Path, links: Links) -> Result<Self, FileError> {
        let metadata = fs::metadata(path).map_err(|e| match e.kind() {
            ErrorKind::NotFound => FileError::Missing {
                path: path.to_owned(),
                expected: "a folder".to_owned(),
                unfinished: None,
            },
            _ => FileError::io(path, "inspect", e),
        })?;
        if !metadata.is_dir() {
            return Err(FileError::NotAFolder {
                path: path.to_owned(),
                found: kind(metadata.file_type()),
            });
        }
        let real = fs::canonicalize(path).map_err(|e| FileError::io(path, "inspect", e))?;
        Ok(Self {
            path: path.to_owned(),
            real,
            links,
        })
    }

    /// The folder as given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names in the folder that are UTF-8, sorted.
    ///
    /// # Errors
    ///
    /// [`FileError::Io`].
    pub fn names(&self) -> Result<Vec<String>, FileError> {
        file_names(&self.path).map_err(|e| FileError::io(&self.path, "list", e))
    }

    /// Whether the folder has an entry of this name, even a dangling link.
    ///
    /// # Errors
    ///
    /// [`FileError::Io`].
    pub fn has(&self, name: &str) -> Result<bool, FileError> {
        let path = self.path.join(name);
        match fs::symlink_metadata(&path) {
            Ok(_) => Ok(true),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Ok(false)
            }
            Err(e) => Err(FileError::io(&path, "inspect", e)),
        }
    }

    /// Opens a file of the folder. `expected` says what the file should hold, for the message if it is missing.
    ///
    /// `name` is a file name, or a path of names below the folder (`train/train.data.txt`).
    ///
    /// # Errors
    ///
    /// [`FileError::Missing`], [`FileError::OutOfFolder`] for a name such as `../config.json`, [`FileError::LinkLeaves`],
    /// [`FileError::DanglingLink`], and those of [`open`](crate::open).
    pub fn file(&self, name: &str, expected: &str) -> Result<OpenedFile, FileError> {
        let parts = Path::new(name).components();
        if name.is_empty()
            || !parts
                .clone()
                .all(|part| matches!(part, Component::Normal(_)))
        {
            return Err(FileError::OutOfFolder {
                folder: self.path.clone(),
                name: name.to_owned(),
            });
        }
        let path = self.path.join(name);
        let metadata = fs::symlink_metadata(&path).map_err(|e| match e.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => self.missing(name, expected),
            _ => FileError::io(&path, "inspect", e),
        })?;
        // Folders on the way may be links, as well as the file itself.
        let real = if metadata.is_symlink() || parts.count() > 1 {
            self.follow(&path)?
        } else {
            path.clone()
        };
        OpenedFile::open(path, &real, Links::Refuse)
    }

    /// The error for a missing file.
    pub fn missing(&self, name: &str, expected: &str) -> FileError {
        FileError::Missing {
            path: self.path.join(name),
            expected: expected.to_owned(),
            unfinished: self.unfinished_blob(""),
        }
    }

    /// Resolves a path below this folder, if its links may be followed.
    fn follow(&self, path: &Path) -> Result<PathBuf, FileError> {
        let target = || fs::read_link(path).or_else(|_| fs::canonicalize(path));
        let unreadable = |e| FileError::io(path, "inspect", e);
        match fs::canonicalize(path) {
            Ok(real)
                if self.links == Links::Follow
                    || real.starts_with(&self.real)
                    || self.is_hub_blob(&real) =>
            {
                Ok(real)
            }
            Ok(_) => Err(FileError::LinkLeaves {
                path: path.to_owned(),
                target: target().map_err(unreadable)?,
            }),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let target = target().map_err(unreadable)?;
                let blob = target
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned());
                let unfinished = blob.and_then(|blob| self.unfinished_blob(&blob));
                Err(FileError::DanglingLink {
                    path: path.to_owned(),
                    target,
                    unfinished,
                })
            }
            Err(e) => Err(unreadable(e)),
        }
    }

    /// Whether `real` is `<cache>/blobs/<hash>` while this folder lies in `<cache>/snapshots`.
    fn is_hub_blob(&self, real: &Path) -> bool {
        let hash = real.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let is_hash = matches!(hash.len(), 40 | 64) && hash.bytes().all(|b| b.is_ascii_hexdigit());
        is_hash
            && self
                .hub_blobs()
                .is_some_and(|blobs| real.parent() == Some(blobs.as_path()))
    }

    /// The folder of blobs, if this folder is a snapshot of a hub cache (`<cache>/snapshots/<revision>/…`).
    fn hub_blobs(&self) -> Option<PathBuf> {
        let snapshots = self
            .real
            .ancestors()
            .skip(1)
            .find(|a| a.file_name() == Some(OsStr::new("snapshots")))?;
        Some(snapshots.parent()?.join("blobs"))
    }

    /// The first unfinished download of the hub cache, by name, among those that start with `prefix`.
    fn unfinished_blob(&self, prefix: &str) -> Option<PathBuf> {
        let blobs = self.hub_blobs()?;
        // This only extends a message, so a cache that cannot be listed is ignored.
        let names = file_names(&blobs).ok()?;
        let name = names
            .into_iter()
            .find(|n| n.starts_with(prefix) && n.ends_with(".incomplete"))?;
        Some(blobs.join(name))
    }
}

/// Names in a folder that are UTF-8, sorted.
fn file_names(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.extend(entry?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(unix)]
    use std::os::unix::fs::symlink;

    /// Checks the result of opening `name` in a folder: the file's text, or the error.
    #[cfg(unix)]
    fn check(links: Links, name: &str, expected: Result<&str, fn(&FileError) -> bool>) {
        let outer = tempfile::tempdir().unwrap();
        let inside = outer.path().join("inside");
        fs::create_dir_all(inside.join("part")).unwrap();
        for (path, text) in [
            ("outside.txt", "outside"),
            ("inside/own.txt", "own"),
            ("inside/part/nested.txt", "nested"),
        ] {
            fs::write(outer.path().join(path), text).unwrap();
        }
        for (link, target) in [
            ("to-own", "own.txt"),
            ("to-outside", "../outside.txt"),
            ("to-nothing", "absent"),
            ("to-itself", "to-itself"),
            ("up", ".."),
        ] {
            symlink(target, inside.join(link)).unwrap();
        }
        let folder = Folder::open(&inside, links).unwrap();
        let found = folder.file(name, "a text");
        match expected {
            Ok(text) => assert_eq!(
                found.unwrap().read_all(100).unwrap(),
                text.as_bytes(),
                "{name}"
            ),
            Err(is) => {
                let error = found.unwrap_err();
                assert!(is(&error), "{name}: {error}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn files_of_the_folder_are_opened_and_links_out_of_it_only_where_allowed() {
        for links in [Links::Refuse, Links::Follow] {
            check(links, "own.txt", Ok("own"));
            check(links, "to-own", Ok("own"));
            check(links, "part/nested.txt", Ok("nested"));
            let out: fn(&FileError) -> bool = |e| matches!(e, FileError::OutOfFolder { .. });
            for name in [
                "",
                ".",
                "..",
                "../outside.txt",
                "part/../own.txt",
                "/etc/hostname",
            ] {
                check(links, name, Err(out));
            }
            check(
                links,
                "absent",
                Err(|e| matches!(e, FileError::Missing { .. })),
            );
            check(
                links,
                "own.txt/file",
                Err(|e| matches!(e, FileError::Missing { .. })),
            );
            check(
                links,
                "to-nothing",
                Err(|e| matches!(e, FileError::DanglingLink { .. })),
            );
            check(
                links,
                "to-itself",
                Err(|e| matches!(e, FileError::Io { .. })),
            );
            check(
                links,
                "part",
                Err(|e| matches!(e, FileError::NotRegular { .. })),
            );
        }
        let leaves: fn(&FileError) -> bool = |e| matches!(e, FileError::LinkLeaves { .. });
        check(Links::Refuse, "to-outside", Err(leaves));
        check(Links::Refuse, "up/outside.txt", Err(leaves));
        check(Links::Follow, "to-outside", Ok("outside"));
        check(Links::Follow, "up/outside.txt", Ok("outside"));
    }

    #[test]
    fn a_folder_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(
            Folder::open(&file, Links::Refuse),
            Err(FileError::NotAFolder {
                found: "a file",
                ..
            })
        ));
        assert!(matches!(
            Folder::open(&folder.path().join("absent"), Links::Refuse),
            Err(FileError::Missing { .. })
        ));
    }
}
