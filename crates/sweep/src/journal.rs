//! The journal of a run: what is finished is on disk, so that a run can be stopped at any moment and go on later.
//!
//! A unit of work is one sequence under all schedules of the run, and leaves one result for each: [`Sums`] in a sweep, what
//! its caller likes in another reading.
//! Each finished unit is one line of JSON behind its checksum, appended and synchronised with the disk before it counts:
//! a crash of the program, or of the machine, can tear no line but the last.
//! JSON has no number for NaN and infinities: results that may be such are written in another form.
//! The first line says what the run is ([`RunDescription`]), with a key that is a hash of everything the results depend
//! on: a table can be made from finished journals alone ([`merge`](crate::merge)).

use crate::error::SweepError;
use crate::plan::Entry;
use crate::shard::Shard;
use crate::sums::Sums;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A hash of everything a run's results depend on: model files, token ids, schedules, code version.
///
/// It says nothing of shards: all shards of a run have its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
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

/// What a run is: the first line of its journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDescription {
    /// Hash of everything the results depend on.
    pub key: RunKey,
    /// The model's name.
    pub model: String,
    /// The model's place among those of its table, from 0.
    pub place: usize,
    /// Sequences of the whole run, of which a shard holds some; items, where they are no sequences.
    pub sequences: usize,
    /// The share of them that the journal is for.
    pub shard: Shard,
    /// The schedules, the plain one first.
    pub schedules: Vec<Label>,
}

/// Where a schedule came from: the part of an [`Entry`] that a table shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The family's text, as `drop(l)`; `id` for the plain model.
    pub family: String,
    /// The member's edit, as `drop(5)`; `id` for the plain model.
    pub edit: String,
    /// The binding of the family's variable `l`, where it has one.
    pub l: Option<usize>,
    /// The binding of the family's variable `m`, where it has one.
    pub m: Option<usize>,
}

impl From<&Entry> for Label {
    fn from(entry: &Entry) -> Self {
        Self {
            family: entry.family.clone(),
            edit: entry.edit.clone(),
            l: entry.l,
            m: entry.m,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Unit<T> {
    sequence: usize,
    sums: Vec<T>,
}

/// An open, locked journal of results of type `T`.
#[derive(Debug)]
pub struct Journal<T> {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines.
    length: u64,
    /// A line could not be written.
    broken: bool,
    finished: BTreeMap<usize, Vec<T>>,
    torn: bool,
}

impl<T> Journal<T> {
    /// The results of each finished sequence, by its index in the corpus.
    pub fn finished(&self) -> &BTreeMap<usize, Vec<T>> {
        &self.finished
    }

    /// Closes the journal and gives the results of each finished sequence.
    pub fn into_finished(self) -> BTreeMap<usize, Vec<T>> {
        self.finished
    }

    /// Whether opening dropped a last line that a crash had torn.
    pub fn was_torn(&self) -> bool {
        self.torn
    }
}

impl<T: Serialize + DeserializeOwned> Journal<T> {
    /// Opens the journal at `path`, or begins one, and locks it against other processes.
    ///
    /// With `fresh`, what an existing journal holds is thrown away.
    /// A last line that was torn by a crash is dropped ([`Journal::was_torn`] says so).
    ///
    /// # Errors
    /// The file cannot be opened or is no regular file; another process holds it; it is of another run or shard; or a
    /// line other than a torn last one is damaged.
    pub fn open(
        path: &Path,
        description: &RunDescription,
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
        locked(path, file.try_lock())?;
        if fresh {
            file.set_len(0).map_err(io)?;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let lines = Lines::new(path, &bytes);
        let found = lines.description()?;
        let finished = match &found {
            None => BTreeMap::new(),
            Some(found) => {
                check_same(path, description, found)?;
                lines.units(found)?
            }
        };
        let mut journal = Self {
            path: path.to_owned(),
            file,
            length: lines.whole.len() as u64,
            broken: false,
            finished,
            torn: lines.torn,
        };
        journal.end_at(journal.length).map_err(io)?;
        if found.is_none() {
            journal.append(description)?;
        }
        Ok(journal)
    }

    /// Writes a finished sequence down, with one result for each schedule.
    ///
    /// # Errors
    /// The file cannot be written (a full disk, say), or could not be before; it stays readable up to the unit before.
    pub fn record(&mut self, sequence: usize, sums: Vec<T>) -> Result<(), SweepError> {
        let unit = Unit { sequence, sums };
        self.append(&unit)?;
        self.finished.insert(sequence, unit.sums);
        Ok(())
    }

    fn append(&mut self, value: &impl Serialize) -> Result<(), SweepError> {
        let io = |source| SweepError::Journal {
            path: self.path.clone(),
            source,
        };
        if self.broken {
            return Err(io(io::Error::other("an earlier line could not be written")));
        }
        let json = serde_json::to_string(value).map_err(|error| io(error.into()))?;
        let line = format!("{} {json}\n", checksum(json.as_bytes()));
        let written = self.file.write_all(line.as_bytes());
        match written.and_then(|()| self.file.sync_data()) {
            Ok(()) => {
                self.length += line.len() as u64;
                Ok(())
            }
            Err(source) => {
                let error = io(source);
                // Nothing may follow a line that was cut off. If it cannot be taken back, the next opening drops it, or
                // takes it up where it is whole after all.
                self.broken = true;
                let _ = self.end_at(self.length);
                Err(error)
            }
        }
    }

    /// Cuts the file, and goes on writing there.
    fn end_at(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.file.seek(SeekFrom::Start(length)).map(drop)
    }
}

/// The journal of a sweep as it is read for merging.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The journal.
    pub path: PathBuf,
    /// What the run is.
    pub description: RunDescription,
    /// The sums of each finished sequence, by its index in the corpus.
    pub finished: BTreeMap<usize, Vec<Sums>>,
}

impl Recorded {
    /// Reads a journal, and leaves it as it is; a last line that was torn by a crash counts as not written.
    ///
    /// # Errors
    /// The file cannot be opened or is no regular file; a process is writing to it; it holds no whole line, or a line
    /// other than a torn last one is damaged.
    pub fn read(path: &Path) -> Result<Self, SweepError> {
        let io = |source| SweepError::Journal {
            path: path.to_owned(),
            source,
        };
        if !fs::metadata(path).map_err(io)?.is_file() {
            return Err(SweepError::JournalNotFile {
                path: path.to_owned(),
            });
        }
        let mut file = File::open(path).map_err(io)?;
        locked(path, file.try_lock_shared())?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let lines = Lines::new(path, &bytes);
        let description = lines
            .description()?
            .ok_or_else(|| SweepError::JournalEmpty {
                path: path.to_owned(),
            })?;
        Ok(Self {
            path: path.to_owned(),
            finished: lines.units(&description)?,
            description,
        })
    }
}

fn locked(path: &Path, result: Result<(), TryLockError>) -> Result<(), SweepError> {
    result.map_err(|error| match error {
        TryLockError::WouldBlock => SweepError::JournalLocked {
            path: path.to_owned(),
        },
        TryLockError::Error(source) => SweepError::Journal {
            path: path.to_owned(),
            source,
        },
    })
}

/// Refuses a journal of another run, share or place.
fn check_same(
    path: &Path,
    expected: &RunDescription,
    found: &RunDescription,
) -> Result<(), SweepError> {
    let path = path.to_owned();
    let same_run = RunDescription {
        shard: found.shard,
        place: found.place,
        ..expected.clone()
    };
    if same_run != *found {
        return Err(SweepError::OtherRun {
            path,
            expected: expected.key.0.clone(),
            found: found.key.0.clone(),
        });
    }
    if found.shard != expected.shard {
        return Err(SweepError::OtherShard {
            path,
            expected: expected.shard,
            found: found.shard,
        });
    }
    if found.place != expected.place {
        return Err(SweepError::OtherPlace {
            path,
            expected: expected.place.saturating_add(1),
            found: found.place.saturating_add(1),
        });
    }
    Ok(())
}

/// The whole lines of a journal.
struct Lines<'a> {
    path: &'a Path,
    /// Empty, or ends with a newline.
    whole: &'a [u8],
    torn: bool,
}

impl<'a> Lines<'a> {
    fn new(path: &'a Path, bytes: &'a [u8]) -> Self {
        // A line without its newline is one whose writing was cut off.
        let newline = bytes.iter().rposition(|byte| *byte == b'\n');
        let (whole, rest) = bytes.split_at(newline.map_or(0, |last| last + 1));
        Self {
            path,
            whole,
            torn: !rest.is_empty(),
        }
    }

    /// Lines without their newlines, numbered from 1.
    fn numbered(&self) -> impl Iterator<Item = (usize, &'a [u8])> {
        let lines = self.whole.split_inclusive(|byte| *byte == b'\n');
        (1..).zip(lines.map(|line| line.strip_suffix(b"\n").unwrap_or(line)))
    }

    /// The first line; `None` where there is none.
    fn description(&self) -> Result<Option<RunDescription>, SweepError> {
        let first = self.numbered().next();
        first.map(|(at, line)| self.read(at, line)).transpose()
    }

    /// The lines after the first, which must be units of the run.
    fn units<T: DeserializeOwned>(
        &self,
        run: &RunDescription,
    ) -> Result<BTreeMap<usize, Vec<T>>, SweepError> {
        let mut finished = BTreeMap::new();
        for (at, line) in self.numbered().skip(1) {
            let unit: Unit<T> = self.read(at, line)?;
            let belongs = unit.sequence < run.sequences
                && run.shard.contains(&run.key, unit.sequence)
                && unit.sums.len() == run.schedules.len();
            if !belongs || finished.insert(unit.sequence, unit.sums).is_some() {
                return Err(self.damaged(at));
            }
        }
        Ok(finished)
    }

    fn read<T: DeserializeOwned>(&self, at: usize, line: &[u8]) -> Result<T, SweepError> {
        let (sum, json) = line
            .split_at_checked(CHECKSUM)
            .and_then(|(sum, rest)| Some((sum, rest.strip_prefix(b" ")?)))
            .ok_or_else(|| self.damaged(at))?;
        if sum != checksum(json).as_bytes() {
            return Err(self.damaged(at));
        }
        serde_json::from_slice(json).map_err(|_| self.damaged(at))
    }

    fn damaged(&self, line: usize) -> SweepError {
        SweepError::JournalDamaged {
            path: self.path.to_owned(),
            line,
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
    use std::fmt::Debug;

    /// That of a sweep.
    type Journal = super::Journal<Sums>;

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

    /// A run of ten sequences.
    fn run(key: &str, schedules: usize) -> RunDescription {
        let label = |at: usize| Label {
            family: "drop(l)".to_owned(),
            edit: format!("drop({at})"),
            l: Some(at),
            m: None,
        };
        RunDescription {
            key: RunKey::of([key.as_bytes()]),
            model: "tiny".to_owned(),
            place: 0,
            sequences: 10,
            shard: Shard::WHOLE,
            schedules: (0..schedules).map(label).collect(),
        }
    }

    #[test]
    fn parts_of_a_key_do_not_run_together() {
        assert_ne!(
            RunKey::of([b"ab".as_slice(), b"c"]),
            RunKey::of([b"a".as_slice(), b"bc"])
        );
    }

    /// Results of one type for two schedules, on the sequences 4 and 1.
    fn check<T>(results: [[T; 2]; 2])
    where
        T: Serialize + DeserializeOwned + Clone + PartialEq + Debug,
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let open = || super::Journal::<T>::open(&path, &run("a", 2), false).unwrap();
        let mut journal = open();
        let [first, second] = results.map(Vec::from);
        journal.record(4, first.clone()).unwrap();
        journal.record(1, second.clone()).unwrap();
        drop(journal);
        assert!(!open().was_torn());
        let found = open().into_finished();
        assert_eq!(found, BTreeMap::from([(1, second), (4, first)]));
    }

    #[test]
    fn what_is_recorded_is_read_back() {
        check([
            [sums(0.1), sums(1e-300)],
            [sums(f64::MIN_POSITIVE), sums(-0.0)],
        ]);
        check([[true, false], [false, false]]);
        check([[u64::MAX, 0], [f64::NAN.to_bits(), 1]]);
        check([[Some("a \n\u{0}".to_owned()), None], [None, None]]);
        check([
            [BTreeMap::from([(7, 3), (9, 1)]), BTreeMap::new()],
            [BTreeMap::new(), BTreeMap::new()],
        ]);
    }

    #[test]
    fn results_of_another_type_are_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path, &run("a", 1), false).unwrap();
        journal.record(3, vec![sums(1.0)]).unwrap();
        drop(journal);
        let error = super::Journal::<bool>::open(&path, &run("a", 1), false).unwrap_err();
        assert!(
            matches!(error, SweepError::JournalDamaged { line: 2, .. }),
            "{error}"
        );
    }

    #[test]
    fn a_journal_is_held_by_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let _held = Journal::open(&path, &run("a", 1), false).unwrap();
        let error = Journal::open(&path, &run("a", 1), false).unwrap_err();
        assert!(matches!(error, SweepError::JournalLocked { .. }), "{error}");
    }

    #[test]
    fn another_run_is_refused_unless_fresh() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        Journal::open(&path, &run("a", 1), false)
            .unwrap()
            .record(0, vec![sums(1.0)])
            .unwrap();
        let longer = RunDescription {
            sequences: 11,
            ..run("a", 1)
        };
        for other in [run("b", 1), run("a", 2), longer] {
            let error = Journal::open(&path, &other, false).unwrap_err();
            assert!(matches!(error, SweepError::OtherRun { .. }), "{error}");
        }
        let shard = RunDescription {
            shard: "1/2".parse().unwrap(),
            ..run("a", 1)
        };
        let error = Journal::open(&path, &shard, false).unwrap_err();
        assert!(matches!(error, SweepError::OtherShard { .. }), "{error}");
        let place = RunDescription {
            place: 1,
            ..run("a", 1)
        };
        let error = Journal::open(&path, &place, false).unwrap_err();
        assert!(
            matches!(
                error,
                SweepError::OtherPlace {
                    found: 1,
                    expected: 2,
                    ..
                }
            ),
            "{error}"
        );
        assert!(
            Journal::open(&path, &run("b", 1), true)
                .unwrap()
                .finished()
                .is_empty()
        );
    }

    #[test]
    fn units_that_are_not_of_the_run_are_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut shard = run("a", 1);
        shard.shard = "1/2".parse().unwrap();
        let inside: Vec<usize> = (0..10)
            .filter(|at| shard.shard.contains(&shard.key, *at))
            .collect();
        let outside = (0..10).find(|at| !inside.contains(at)).unwrap();
        for (sequence, count) in [(outside, 1), (10, 1), (inside[0], 2), (inside[1], 1)] {
            let mut journal = Journal::open(&path, &shard, true).unwrap();
            journal.record(inside[1], vec![sums(1.0)]).unwrap();
            journal.record(sequence, vec![sums(1.0); count]).unwrap();
            drop(journal);
            let error = Recorded::read(&path).unwrap_err();
            assert!(
                matches!(error, SweepError::JournalDamaged { line: 3, .. }),
                "{sequence}: {error}"
            );
        }
    }

    #[test]
    fn reading_leaves_a_journal_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path, &run("a", 1), false).unwrap();
        journal.record(3, vec![sums(1.0)]).unwrap();
        journal.record(4, vec![sums(2.0)]).unwrap();
        let error = Recorded::read(&path).unwrap_err();
        assert!(matches!(error, SweepError::JournalLocked { .. }), "{error}");
        drop(journal);
        let bytes = std::fs::read(&path).unwrap();
        let torn = &bytes[..bytes.len() - 1];
        std::fs::write(&path, torn).unwrap();
        let recorded = Recorded::read(&path).unwrap();
        assert_eq!(recorded.description, run("a", 1));
        assert_eq!(recorded.finished, BTreeMap::from([(3, vec![sums(1.0)])]));
        assert_eq!(std::fs::read(&path).unwrap(), torn);
        std::fs::write(&path, &bytes[..20]).unwrap();
        let error = Recorded::read(&path).unwrap_err();
        assert!(matches!(error, SweepError::JournalEmpty { .. }), "{error}");
        let error = Recorded::read(folder.path()).unwrap_err();
        assert!(
            matches!(error, SweepError::JournalNotFile { .. }),
            "{error}"
        );
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_a_damaged_one_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path, &run("a", 1), false).unwrap();
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
            let mut journal = Journal::open(&path, &run("a", 1), false).unwrap();
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
        let error = Journal::open(&path, &run("a", 1), false).unwrap_err();
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
            let _ = Recorded::read(&path);
            let _ = Journal::open(&path, &run("a", 1), false);
        }
    }
}
