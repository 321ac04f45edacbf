use crate::shard::Shard;
use layerwise_files::FileError;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// What can go wrong with a journal. The messages say what is wrong; what to do about it depends on the program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The journal cannot be opened.
    #[error("{0}")]
    File(#[from] FileError),
    /// The journal cannot be read, written or locked.
    #[error("{}: {source}", path.display())]
    Io {
        /// The journal.
        path: PathBuf,
        /// The system's message.
        source: std::io::Error,
    },
    /// The journal was begun but holds nothing yet.
    #[error("{}: the journal has no complete line", path.display())]
    Empty {
        /// The journal.
        path: PathBuf,
    },
    /// Another process is working on the same run.
    #[error("{}: another process is working on this run", path.display())]
    Locked {
        /// The journal.
        path: PathBuf,
    },
    /// The file system provides no locks, so nothing would keep two processes apart.
    #[error("{}: the file system provides no lock on the journal: {source}", path.display())]
    NoLocks {
        /// The journal.
        path: PathBuf,
        /// The system's message.
        source: std::io::Error,
    },
    /// The journal has another format.
    #[error(
        "{}: the journal is of format {found}, written by another version of the program; this one reads format {expected}",
        path.display()
    )]
    OtherFormat {
        /// The journal.
        path: PathBuf,
        /// The format of this version.
        expected: u32,
        /// The journal's format; 0 if it does not name one.
        found: u32,
    },
    /// The journal belongs to another kind of run.
    #[error("{}: the journal belongs to another kind of run", path.display())]
    OtherKind {
        /// The journal.
        path: PathBuf,
    },
    /// The journal belongs to a run with other inputs.
    #[error(
        "{}: the journal belongs to another run (key {found}, expected {expected}): the inputs or the program changed",
        path.display()
    )]
    OtherRun {
        /// The journal.
        path: PathBuf,
        /// This run's key.
        expected: String,
        /// The journal's key.
        found: String,
    },
    /// The journal belongs to another share of this run.
    #[error("{}: the journal belongs to shard {found}, expected shard {expected}", path.display())]
    OtherShard {
        /// The journal.
        path: PathBuf,
        /// The share to be run.
        expected: Shard,
        /// The journal's share.
        found: Shard,
    },
    /// The journal's run had another place in the table.
    #[error("{}: the journal's run is number {found} of its table, expected number {expected}", path.display())]
    OtherPlace {
        /// The journal.
        path: PathBuf,
        /// The run's place now, from 1.
        expected: usize,
        /// Its place in the journal, from 1.
        found: usize,
    },
    /// A line of the journal is damaged.
    #[error("{}: line {line} is damaged (its checksum or content does not fit)", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A file does not describe how a share was started.
    #[error("{}: expected this program's record of how a share was started, found {found}", path.display())]
    NotDivided {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// A folder's path is not UTF-8 and cannot be recorded.
    #[error(
        "{}: the path of a share's folder must be UTF-8, because it is recorded; run the share in another folder",
        path.display()
    )]
    NotUtf8 {
        /// The folder.
        path: PathBuf,
    },
    /// Two journals with one name belong to different runs.
    #[error(
        "{} and {} belong to different runs of {name}: the inputs or the program changed between them; expected shards of one run",
        path.display(), other.display()
    )]
    MergeOtherRun {
        /// The run's name.
        name: String,
        /// The first of the run's journals.
        path: PathBuf,
        /// A journal that belongs to another run.
        other: PathBuf,
    },
    /// No journal of a run holds some of its units.
    #[error("{name}: {}missing {units}", without(missing))]
    MergeMissing {
        /// The run's name.
        name: String,
        /// Shards without a journal, if all journals belong to one division.
        missing: Vec<Shard>,
        /// The missing units.
        units: Units,
    },
    /// A shard is not finished.
    #[error("{}: shard {shard} is not finished: missing {units}", path.display())]
    MergeUnfinished {
        /// The journal.
        path: PathBuf,
        /// The journal's share.
        shard: Shard,
        /// The units of the share that the journal lacks.
        units: Units,
    },
    /// Two journals of one shard contradict each other.
    #[error("{} and {} have different results for unit {unit}", path.display(), other.display())]
    MergeConflict {
        /// A journal.
        path: PathBuf,
        /// Another journal.
        other: PathBuf,
        /// Index of the unit in the run.
        unit: usize,
    },
}

/// Units of a run by their indices, ascending. The text, such as `unit 3` or `units 0, 4-9`, is at most about a line long.
///
/// They are kept as stretches, because a journal may claim any number of units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Units(Vec<Range<usize>>);

impl Units {
    /// The units of a run of `all` units that are not among the finished ones, whose indices ascend.
    pub fn missing<'a>(all: usize, finished: impl IntoIterator<Item = &'a usize>) -> Self {
        let (mut stretches, mut next) = (Vec::new(), 0);
        for &unit in finished.into_iter().take_while(|unit| **unit < all) {
            if next < unit {
                stretches.push(next..unit);
            }
            next = unit + 1;
        }
        if next < all {
            stretches.push(next..all);
        }
        Self(stretches)
    }

    /// The number of units.
    pub fn len(&self) -> usize {
        self.0.iter().map(Range::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The indices.
    pub fn indices(&self) -> impl Iterator<Item = usize> {
        self.0.iter().cloned().flatten()
    }
}

impl From<Vec<usize>> for Units {
    fn from(mut units: Vec<usize>) -> Self {
        units.sort_unstable();
        units.dedup();
        let stretches = units.chunk_by(|a, b| a + 1 == *b);
        let stretch = |own: &[usize]| own[0]..own[0] + own.len();
        Self(stretches.map(stretch).collect())
    }
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 12;
        f.write_str(if self.len() == 1 { "unit" } else { "units" })?;
        for (at, stretch) in self.0.iter().take(SHOWN).enumerate() {
            f.write_str(if at == 0 { " " } else { ", " })?;
            write!(f, "{}", stretch.start)?;
            if stretch.len() > 1 {
                write!(f, "-{}", stretch.end - 1)?;
            }
        }
        let rest = self.0.iter().skip(SHOWN).map(Range::len);
        match rest.sum::<usize>() {
            0 => Ok(()),
            rest => write!(f, " and {rest} more"),
        }
    }
}

/// The beginning of a message, `found no journal of 2/3, 3/3; `, if shards are known to have none.
fn without(shards: &[Shard]) -> String {
    match shards {
        [] => String::new(),
        shards => format!("found no journal of {}; ", list(shards)),
    }
}

/// `2/3, 3/3`, at most about a line long.
fn list(shards: &[Shard]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = shards.iter().take(SHOWN).map(Shard::to_string).collect();
    match shards.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_listed_in_stretches() {
        let check = |units: &[usize], expected: &str| {
            assert_eq!(Units::from(units.to_vec()).to_string(), expected);
        };
        check(&[3], "unit 3");
        check(&[9, 0, 4, 5, 6], "units 0, 4-6, 9");
        let even: Vec<usize> = (0..20).map(|at| 2 * at).collect();
        check(
            &even,
            "units 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22 and 8 more",
        );
    }

    #[test]
    fn what_is_missing_takes_the_room_of_what_is_finished() {
        let check = |all: usize, finished: &[usize], expected: &str| {
            let missing = Units::missing(all, finished);
            assert_eq!(missing.to_string(), expected);
            let own = finished.iter().filter(|unit| **unit < all).count();
            assert_eq!(missing.len(), all - own);
        };
        check(5, &[], "units 0-4");
        check(5, &[0, 2, 4], "units 1, 3");
        check(5, &[1, 2, 3], "units 0, 4");
        check(5, &[0, 1, 2, 3, 9], "unit 4");
        check(usize::MAX, &[7], "units 0-6, 8-18446744073709551614");
        assert!(Units::missing(2, &[0, 1]).is_empty());
        assert!(Units::missing(0, &[]).is_empty());
        let units: Vec<usize> = Units::missing(6, &[0, 4]).indices().collect();
        assert_eq!(units, [1, 2, 3, 5]);
    }
}
