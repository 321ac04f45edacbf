//! The checkpoint folder: which files it holds, and which of its links may be followed.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::WeightsError;
use crate::file::{CheckpointFile, io_error, kind};

/// Endings of weight files that are not safetensors.
const FOREIGN_ENDINGS: [&str; 7] = ["bin", "ckpt", "gguf", "h5", "msgpack", "pt", "pth"];

/// A checkpoint folder.
#[derive(Debug)]
pub(crate) struct Folder {
    /// As it was given; messages use this.
    path: PathBuf,
    /// With every link resolved.
    real: PathBuf,
}

impl Folder {
    pub(crate) fn open(path: &Path) -> Result<Self, WeightsError> {
        let metadata = fs::metadata(path).map_err(|e| match e.kind() {
            ErrorKind::NotFound => WeightsError::Missing {
                path: path.to_owned(),
                expected: "a checkpoint folder".to_owned(),
                unfinished: None,
            },
            _ => io_error(path, "inspect", e),
        })?;
        if !metadata.is_dir() {
            return Err(WeightsError::NotAFolder {
                path: path.to_owned(),
                found: kind(metadata.file_type()),
            });
        }
        let real = fs::canonicalize(path).map_err(|e| io_error(path, "inspect", e))?;
        Ok(Self {
            path: path.to_owned(),
            real,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the folder has an entry of this name, be it a dangling link.
    pub(crate) fn has(&self, name: &str) -> Result<bool, WeightsError> {
        let path = self.path.join(name);
        match fs::symlink_metadata(&path) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(io_error(&path, "inspect", e)),
        }
    }

    /// Opens the file `name`, a plain file name; `expected` says what it is if it is missing.
    pub(crate) fn file(&self, name: &str, expected: &str) -> Result<CheckpointFile, WeightsError> {
        let path = self.path.join(name);
        let metadata = fs::symlink_metadata(&path).map_err(|e| match e.kind() {
            ErrorKind::NotFound => WeightsError::Missing {
                path: path.clone(),
                expected: expected.to_owned(),
                unfinished: self.unfinished_blob(""),
            },
            _ => io_error(&path, "inspect", e),
        })?;
        let real = if metadata.is_symlink() {
            self.follow(&path)?
        } else {
            path.clone()
        };
        CheckpointFile::open(path, &real)
    }

    /// The error of a folder that holds neither `model.safetensors` nor an index.
    pub(crate) fn no_weights(&self) -> WeightsError {
        let names = match file_names(&self.path) {
            Ok(names) => names,
            Err(e) => return io_error(&self.path, "list", e),
        };
        let foreign = names.into_iter().find(|name| {
            let ending = Path::new(name)
                .extension()
                .and_then(OsStr::to_str)
                .unwrap_or_default();
            FOREIGN_ENDINGS.contains(&ending.to_ascii_lowercase().as_str())
        });
        match foreign {
            Some(found) => WeightsError::NeedsConversion {
                folder: self.path.clone(),
                found,
            },
            None => WeightsError::Missing {
                path: self.path.join("model.safetensors"),
                expected: "the weights here or in the shards of model.safetensors.index.json"
                    .to_owned(),
                unfinished: self.unfinished_blob(""),
            },
        }
    }

    /// Where a link leads, if it may be followed.
    fn follow(&self, link: &Path) -> Result<PathBuf, WeightsError> {
        let target = fs::read_link(link).map_err(|e| io_error(link, "inspect", e))?;
        match fs::canonicalize(link) {
            Ok(real) if real.starts_with(&self.real) || self.is_hub_blob(&real) => Ok(real),
            Ok(_) => Err(WeightsError::LinkLeaves {
                path: link.to_owned(),
                target,
            }),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let blob = target
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned());
                let unfinished = blob.and_then(|blob| self.unfinished_blob(&blob));
                Err(WeightsError::DanglingLink {
                    path: link.to_owned(),
                    target,
                    unfinished,
                })
            }
            Err(e) => Err(io_error(link, "inspect", e)),
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
        // This only adds to a message, so a cache that cannot be listed is left out of it.
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
