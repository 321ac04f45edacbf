//! Why a file cannot be opened or read.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A file or folder that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refused an operation.
    #[error("{path}: cannot {action}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was attempted: `inspect`, `open`, `read`, `map` or `list`.
        action: &'static str,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A file or folder does not exist.
    #[error("{path}: not found, expected {expected}{}", UnfinishedNote(.unfinished.as_deref()))]
    Missing {
        /// The path looked for.
        path: PathBuf,
        /// What it should hold, or what names it.
        expected: String,
        /// An unfinished download in the same hub cache, if there is one.
        unfinished: Option<PathBuf>,
    },
    /// The path of a folder leads to something else.
    #[error("{path}: expected a folder, found {found}")]
    NotAFolder {
        /// The path given.
        path: PathBuf,
        /// The kind of file found.
        found: &'static str,
    },
    /// A directory, FIFO, socket or device is in the place of a file.
    #[error("{path}: expected a regular file, found {found}")]
    NotRegular {
        /// The file.
        path: PathBuf,
        /// The kind of file found.
        found: &'static str,
    },
    /// A symbolic link is in the place of a file that must not be a link.
    #[error("{path}: expected the file itself, found a link{}", LinkTarget(.target.as_deref()))]
    Link {
        /// The link.
        path: PathBuf,
        /// Where it leads, if that can be read.
        target: Option<PathBuf>,
    },
    /// The name of a file leads out of its folder without any link.
    #[error("{folder}: expected the name of a file in the folder, found {name:?}")]
    OutOfFolder {
        /// The folder.
        folder: PathBuf,
        /// The name.
        name: String,
    },
    /// A symbolic link leads out of its folder.
    #[error(
        "{path}: expected a file in the folder or a link to a blob of the same hub cache, found a link to {target}"
    )]
    LinkLeaves {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// A symbolic link leads to nothing.
    #[error("{path}: expected a file, found a link to {target}, which does not exist{}", UnfinishedNote(.unfinished.as_deref()))]
    DanglingLink {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
        /// The unfinished download of that blob.
        unfinished: Option<PathBuf>,
    },
    /// The size of a file changed while it was in use.
    #[error("{path}: the file changed while in use: expected {expected} bytes, found {found}")]
    SizeChanged {
        /// The file.
        path: PathBuf,
        /// Size in bytes when it was first seen.
        expected: u64,
        /// Size in bytes now.
        found: u64,
    },
    /// A file is larger than the limit.
    #[error("{path}: expected at most {limit} bytes, found {found}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
        /// The file's size in bytes.
        found: u64,
    },
    /// A Git LFS pointer is in the place of the file that it points to.
    #[error(
        "{path}: expected the file itself, found the text of a Git LFS pointer; fetch it with `git lfs pull`"
    )]
    LfsPointer {
        /// The file.
        path: PathBuf,
    },
}

impl FileError {
    /// The error for an `action` on `path` that the operating system refused.
    pub fn io(path: &Path, action: &'static str, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            action,
            source,
        }
    }
}

struct UnfinishedNote<'a>(Option<&'a Path>);

impl fmt::Display for UnfinishedNote<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(blob) => write!(
                f,
                "; the hub cache holds an unfinished download, {}",
                blob.display()
            ),
            None => Ok(()),
        }
    }
}

struct LinkTarget<'a>(Option<&'a Path>);

impl fmt::Display for LinkTarget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(target) => write!(f, " to {}", target.display()),
            None => Ok(()),
        }
    }
}
