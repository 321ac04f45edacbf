//! The journal of a run: what is finished is on disk, so that a run can be stopped at any moment and go on later.
//!
//! A unit of work is one sequence under all schedules of the run.
//! Each finished unit is one line of JSON behind its checksum, appended and flushed before the next is taken up.
//! The first line holds the run's key, a hash of everything that the results depend on.

use crate::error::SweepError;
use crate::sums::Sums;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A hash of everything a run's results depend on: model files, token ids, schedules, code version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunKey(String);

impl RunKey {
    /// The hash of parts, in order. Each part is delimited by its length, so that no two lists of parts read alike.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hexadecimal(&hash.finalize()))
    }

    /// The key as hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    run: String,
    schedules: usize,
}

#[derive(Serialize, Deserialize)]
struct Unit {
    sequence: usize,
    sums: Vec<Sums>,
}

/// An open, locked journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    finished: BTreeMap<usize, Vec<Sums>>,
    torn: bool,
}

impl Journal {
    /// Opens the journal at `path`, or begins one, and locks it against other processes.
    ///
    /// With `fresh`, what an existing journal holds is thrown away.
    /// A last line that was torn by a crash is dropped ([`Journal::was_torn`] says so).
    ///
    /// # Errors
    /// The file cannot be opened; another process holds it; its run has another key or number of schedules; or a line
    /// other than a torn last one is damaged.
    pub fn open(
        path: &Path,
        key: &RunKey,
        schedules: usize,
        fresh: bool,
    ) -> Result<Self, SweepError> {
        let io = |source| SweepError::Journal {
            path: path.to_owned(),
            source,
        };
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            // Opening a pipe would wait for somebody to write to it.
            return Err(SweepError::JournalNotFile {
                path: path.to_owned(),
            });
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(SweepError::JournalLocked {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        if fresh {
            file.set_len(0).map_err(io)?;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        // A line without its newline is one whose writing was cut off.
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |last| last + 1);
        let torn = whole < bytes.len();
        let mut journal = Self {
            path: path.to_owned(),
            file,
            finished: BTreeMap::new(),
            torn,
        };
        // What is refused is left as it is: the torn line goes once the rest is known to be this run's.
        let drop_torn = |file: &mut File| {
            file.set_len(whole as u64)?;
            file.seek(SeekFrom::End(0))
        };
        let mut lines = bytes[..whole].split(|byte| *byte == b'\n').enumerate();
        match lines.next().filter(|(_, line)| !line.is_empty()) {
            None => {
                drop_torn(&mut journal.file).map_err(io)?;
                journal.append(&Header {
                    run: key.0.clone(),
                    schedules,
                })?;
                return Ok(journal);
            }
            Some((at, line)) => {
                let header: Header = journal.read(at, line)?;
                if header.run != key.0 || header.schedules != schedules {
                    return Err(SweepError::OtherRun {
                        path: path.to_owned(),
                        expected: key.0.clone(),
                        found: header.run,
                    });
                }
            }
        }
        for (at, line) in lines.filter(|(_, line)| !line.is_empty()) {
            let unit: Unit = journal.read(at, line)?;
            if unit.sums.len() != schedules {
                return Err(journal.damaged(at));
            }
            journal.finished.insert(unit.sequence, unit.sums);
        }
        drop_torn(&mut journal.file).map_err(io)?;
        Ok(journal)
    }

    /// The sums of each finished sequence, by its index in the corpus.
    pub fn finished(&self) -> &BTreeMap<usize, Vec<Sums>> {
        &self.finished
    }

    /// Whether opening dropped a last line that a crash had torn.
    pub fn was_torn(&self) -> bool {
        self.torn
    }

    /// Writes a finished sequence down.
    ///
    /// # Errors
    /// The file cannot be written (a full disk, say); the journal stays readable up to the unit before.
    pub fn record(&mut self, sequence: usize, sums: Vec<Sums>) -> Result<(), SweepError> {
        self.append(&Unit {
            sequence,
            sums: sums.clone(),
        })?;
        self.finished.insert(sequence, sums);
        Ok(())
    }

    fn append(&mut self, value: &impl Serialize) -> Result<(), SweepError> {
        let io = |source| SweepError::Journal {
            path: self.path.clone(),
            source,
        };
        let json = serde_json::to_string(value).map_err(|error| io(error.into()))?;
        let line = format!("{} {json}\n", checksum(json.as_bytes()));
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.flush())
            .map_err(io)
    }

    fn read<T: for<'de> Deserialize<'de>>(&self, at: usize, line: &[u8]) -> Result<T, SweepError> {
        let (sum, json) = line
            .split_at_checked(CHECKSUM)
            .and_then(|(sum, rest)| Some((sum, rest.strip_prefix(b" ")?)))
            .ok_or_else(|| self.damaged(at))?;
        if sum != checksum(json).as_bytes() {
            return Err(self.damaged(at));
        }
        serde_json::from_slice(json).map_err(|_| self.damaged(at))
    }

    fn damaged(&self, at: usize) -> SweepError {
        SweepError::JournalDamaged {
            path: self.path.clone(),
            line: at + 1,
        }
    }
}

/// Length of a line's checksum, in hexadecimal digits.
const CHECKSUM: usize = 16;

fn checksum(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes)[..CHECKSUM / 2])
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sums(kl_nats: f64) -> Sums {
        Sums {
            positions: 3,
            kl_nats,
            top1_agreements: 2,
            entropy_bits: 1.0 / 3.0,
            loss_positions: 2,
            loss_nats: -0.1,
        }
    }

    fn key(text: &str) -> RunKey {
        RunKey::of([text.as_bytes()])
    }

    #[test]
    fn parts_of_a_key_do_not_run_together() {
        assert_ne!(
            RunKey::of([b"ab".as_slice(), b"c"]),
            RunKey::of([b"a".as_slice(), b"bc"])
        );
    }

    #[test]
    fn what_is_recorded_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path, &key("a"), 2, false).unwrap();
        journal.record(4, vec![sums(0.1), sums(1e-300)]).unwrap();
        journal
            .record(1, vec![sums(f64::MIN_POSITIVE), sums(-0.0)])
            .unwrap();
        let before = journal.finished().clone();
        drop(journal);
        let journal = Journal::open(&path, &key("a"), 2, false).unwrap();
        assert_eq!(journal.finished(), &before);
        assert!(!journal.was_torn());
    }

    #[test]
    fn a_journal_is_held_by_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let _held = Journal::open(&path, &key("a"), 1, false).unwrap();
        let error = Journal::open(&path, &key("a"), 1, false).unwrap_err();
        assert!(matches!(error, SweepError::JournalLocked { .. }), "{error}");
    }

    #[test]
    fn another_run_is_refused_unless_fresh() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        Journal::open(&path, &key("a"), 1, false)
            .unwrap()
            .record(0, vec![sums(1.0)])
            .unwrap();
        for (other, schedules) in [(key("b"), 1), (key("a"), 2)] {
            let error = Journal::open(&path, &other, schedules, false).unwrap_err();
            assert!(matches!(error, SweepError::OtherRun { .. }), "{error}");
        }
        assert!(
            Journal::open(&path, &key("b"), 1, true)
                .unwrap()
                .finished()
                .is_empty()
        );
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_a_damaged_one_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path, &key("a"), 1, false).unwrap();
        for sequence in 0..3 {
            journal
                .record(sequence, vec![sums(sequence as f64)])
                .unwrap();
        }
        drop(journal);
        let bytes = std::fs::read(&path).unwrap();
        let header = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for cut in header..bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let mut journal = Journal::open(&path, &key("a"), 1, false).unwrap();
            assert_eq!(journal.was_torn(), bytes[cut - 1] != b'\n');
            // The line that was torn is written again, and the file ends as if it had never been.
            for sequence in journal.finished().len()..3 {
                journal
                    .record(sequence, vec![sums(sequence as f64)])
                    .unwrap();
            }
            drop(journal);
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
        let mut damaged = bytes.clone();
        damaged[header + 40] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let error = Journal::open(&path, &key("a"), 1, false).unwrap_err();
        assert!(
            matches!(error, SweepError::JournalDamaged { line: 2, .. }),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_journal_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal");
            std::fs::write(&path, bytes).unwrap();
            let _ = Journal::open(&path, &key("a"), 1, false);
        }
    }
}
