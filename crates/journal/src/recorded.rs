//! Reads journals without writing to them.

use crate::description::RunDescription;
use crate::error::{JournalError, Units};
use crate::lines::{Found, Lines, Part};
use layerwise_files::Links;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::collections::BTreeMap;
use std::fs::{self, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// A journal, read for merging.
#[derive(Clone, Debug)]
pub struct Recorded<D, T> {
    /// The journal.
    pub path: PathBuf,
    /// The run's description.
    pub description: RunDescription<D>,
    /// The result of each finished unit, by its index in the run.
    pub finished: BTreeMap<usize, T>,
    /// The known parts of unfinished units.
    pub parts: BTreeMap<usize, Vec<Part<T>>>,
}

impl<D: DeserializeOwned, T: DeserializeOwned> Recorded<D, T> {
    /// Reads a journal without changing it; a last line that a crash left incomplete counts as not written.
    ///
    /// `fits` says whether a result has the form that such a run gives it: that of a whole unit, or of the given parts of one. A
    /// result that does not fit is damage.
    ///
    /// # Errors
    /// The file cannot be opened, or is a link or not a regular file; a process is writing to it; it has another format or kind;
    /// it has no complete line; or a line other than an incomplete last one is damaged.
    pub fn read(
        path: &Path,
        fits: impl Fn(&D, Option<&[usize]>, &T) -> bool,
    ) -> Result<Self, JournalError> {
        let file = layerwise_files::open(path, Links::Refuse)?.into_file()?;
        locked(path, file.try_lock_shared())?;
        let mut lines = Lines::new(path, &file);
        let description = lines
            .description::<D>()?
            .ok_or_else(|| JournalError::Empty {
                path: path.to_owned(),
            })?;
        let Found { finished, parts } = lines.units(&description, |parts, result| {
            fits(&description.about, parts, result)
        })?;
        Ok(Self {
            path: path.to_owned(),
            finished,
            parts,
            description,
        })
    }
}

/// The progress of a journal that a process may be writing to.
///
/// ```
/// use layerwise_journal::{Journal, RunDescription, RunKey, Seen};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("journal");
/// let run = RunDescription::new(RunKey::of(["inputs"]), "squares".to_owned(), 4, ());
/// let mut journal = Journal::open(&path, &run, false, |_, _| true)?;
/// journal.record(1, 1)?;
/// let seen = Seen::<()>::look(&path)?.expect("its first line is written");
/// assert_eq!(seen.finished, [1]);
/// assert_eq!(seen.missing.to_string(), "units 0, 2-3");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Seen<D> {
    /// The journal.
    pub path: PathBuf,
    /// The run's description.
    pub description: RunDescription<D>,
    /// The finished units by their indices in the run, ascending.
    pub finished: Vec<usize>,
    /// The unfinished units of its share.
    pub missing: Units,
    /// Whether a process holds its lock.
    pub is_held: bool,
}

impl<D: DeserializeOwned> Seen<D> {
    /// Looks at a journal without holding it; `None` if its first line is not written yet.
    ///
    /// # Errors
    /// As [`Recorded::read`], except that a process may be writing.
    pub fn look(path: &Path) -> Result<Option<Self>, JournalError> {
        let file = layerwise_files::open(path, Links::Refuse)?.into_file()?;
        // The lock is released at once, because a process that is just starting may want it.
        let is_held = match locked(path, file.try_lock_shared()) {
            Ok(()) => file
                .unlock()
                .map(|()| false)
                .map_err(|source| JournalError::Io {
                    path: path.to_owned(),
                    source,
                })?,
            Err(JournalError::Locked { .. }) => true,
            Err(error) => return Err(error),
        };
        let mut lines = Lines::new(path, &file);
        let Some(description) = lines.description::<D>()? else {
            return Ok(None);
        };
        let Found { finished, .. } = lines.units(&description, |_, _: &IgnoredAny| true)?;
        Ok(Some(Self {
            path: path.to_owned(),
            missing: description.missing(&finished),
            finished: finished.into_keys().collect(),
            description,
            is_held,
        }))
    }
}

/// The journals of a folder with a prefix, sorted by name; none if the folder does not exist.
///
/// # Errors
/// The folder cannot be read.
pub fn journals_in(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>, JournalError> {
    let unreadable = |source| JournalError::Io {
        path: folder.to_owned(),
        source,
    };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unreadable)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(prefix) && name.ends_with(".journal") {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Interprets an attempt to lock a journal.
pub(crate) fn locked(path: &Path, result: Result<(), TryLockError>) -> Result<(), JournalError> {
    result.map_err(|error| match error {
        TryLockError::WouldBlock => JournalError::Locked {
            path: path.to_owned(),
        },
        TryLockError::Error(source) => JournalError::NoLocks {
            path: path.to_owned(),
            source,
        },
    })
}
