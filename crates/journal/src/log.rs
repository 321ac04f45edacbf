//! The journal file: its first line and the units after it, for reading and appending.
//!
//! JSON has no NaN and no infinities, so results that may be either need another representation.

use crate::description::RunDescription;
use crate::error::JournalError;
use crate::lines::{FORMAT, Found, Lines, Part, PartLine, Unit, line};
use crate::recorded::{Recorded, locked};
use layerwise_files::open_to_append;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The first line, with the format of all lines.
#[derive(Serialize)]
struct Header<'a, D> {
    format: u32,
    #[serde(flatten)]
    run: &'a RunDescription<D>,
}

/// An open, locked journal of a run whose units have results of type `T`.
#[derive(Debug)]
pub struct Journal<T> {
    path: PathBuf,
    file: File,
    /// The number of bytes of complete lines.
    length: u64,
    /// Whether a line could not be written.
    broken: bool,
    finished: BTreeMap<usize, T>,
    parts: BTreeMap<usize, Vec<Part<T>>>,
    torn: bool,
}

impl<T> Journal<T> {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The result of each finished unit, by its index in the run.
    pub fn finished(&self) -> &BTreeMap<usize, T> {
        &self.finished
    }

    /// Takes the known parts of units that were unfinished when the journal was opened or took up others.
    pub fn take_parts(&mut self) -> BTreeMap<usize, Vec<Part<T>>> {
        std::mem::take(&mut self.parts)
    }

    /// Takes the result of each finished unit.
    pub fn take_finished(&mut self) -> BTreeMap<usize, T> {
        std::mem::take(&mut self.finished)
    }

    /// Whether opening dropped a last line that a crash had left incomplete.
    pub fn was_torn(&self) -> bool {
        self.torn
    }
}

impl<T: Serialize + DeserializeOwned> Journal<T> {
    /// Opens the journal at `path` or creates it, with the folders above it, and locks it against other processes.
    ///
    /// With `fresh`, the contents of an existing journal are discarded.
    /// A last line that a crash left incomplete is dropped; [`Journal::was_torn`] reports it. If it is the first line too, it
    /// must be the beginning of the one that this run writes, since any other file could be meant.
    /// `fits` says whether a result has the form that this run gives it: that of a whole unit, or of the given parts of one. A
    /// result that does not fit is damage.
    ///
    /// # Errors
    /// The file cannot be opened, or is a link or not a regular file; another process holds it; it belongs to another run, shard
    /// or format; or a line other than an incomplete last one is damaged.
    pub fn open<D: Serialize + DeserializeOwned + PartialEq>(
        path: &Path,
        description: &RunDescription<D>,
        fresh: bool,
        fits: impl Fn(Option<&[usize]>, &T) -> bool,
    ) -> Result<Self, JournalError> {
        let io = |source| JournalError::Io {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|source| JournalError::Io {
                path: folder.to_owned(),
                source,
            })?;
        }
        let file = open_to_append(path)?;
        lock(path, &file)?;
        if fresh {
            file.set_len(0).map_err(io)?;
        }
        let mut lines = Lines::new(path, &file);
        let found = lines.description::<D>()?;
        let header = Header {
            format: FORMAT,
            run: description,
        };
        let Found { finished, parts } = match &found {
            None if !line(&header).map_err(io)?.starts_with(lines.incomplete()) => {
                return Err(JournalError::Damaged {
                    path: path.to_owned(),
                    line: 1,
                });
            }
            None => Found {
                finished: BTreeMap::new(),
                parts: BTreeMap::new(),
            },
            Some(found) => {
                check_same(path, description, found)?;
                lines.units(found, fits)?
            }
        };
        let (length, torn) = (lines.whole, lines.torn);
        let mut journal = Self {
            path: path.to_owned(),
            file,
            length,
            broken: false,
            finished,
            parts,
            torn,
        };
        journal.end_at(journal.length).map_err(io)?;
        if found.is_none() {
            journal.append([header])?;
        }
        Ok(journal)
    }

    /// Counts finished units, and known parts of others, that another journal of the same run holds. It does not write them to
    /// this journal.
    ///
    /// This journal's own units stay as they are.
    pub fn take_up<D>(&mut self, recorded: Recorded<D, T>) {
        for (unit, result) in recorded.finished {
            self.finished.entry(unit).or_insert(result);
            self.parts.remove(&unit);
        }
        for (unit, parts) in recorded.parts {
            if !self.finished.contains_key(&unit) {
                self.parts.entry(unit).or_default().extend(parts);
            }
        }
    }

    /// Records a finished unit.
    ///
    /// # Errors
    /// The file cannot be written (for example because the disk is full), or an earlier write failed. The journal stays readable
    /// up to the last recorded unit.
    pub fn record(&mut self, unit: usize, result: T) -> Result<(), JournalError> {
        let line = Unit { unit, result };
        self.append([&line])?;
        self.parts.remove(&unit);
        self.finished.insert(unit, line.result);
        Ok(())
    }

    /// Records parts of unfinished units, so that an interruption does not lose them. A result must not be in an earlier line of
    /// its unit. Parts are not kept in memory.
    ///
    /// # Errors
    /// As [`Journal::record`].
    pub fn record_parts(
        &mut self,
        parts: impl IntoIterator<Item = (usize, Part<T>)>,
    ) -> Result<(), JournalError> {
        self.append(parts.into_iter().map(|(part_of, part)| PartLine {
            part_of,
            at: part.at,
            results: part.results,
        }))
    }

    /// Writes lines, and returns once they are on disk.
    fn append(
        &mut self,
        lines: impl IntoIterator<Item = impl Serialize>,
    ) -> Result<(), JournalError> {
        let io = |source| JournalError::Io {
            path: self.path.clone(),
            source,
        };
        if self.broken {
            return Err(io(io::Error::other("an earlier line could not be written")));
        }
        let mut length = self.length;
        // Only one line at a time is in memory.
        let mut write = |value| {
            let line = line(&value)?;
            length += line.len() as u64;
            self.file.write_all(&line)
        };
        let written = lines.into_iter().try_for_each(&mut write);
        match written.and_then(|()| self.file.sync_data()) {
            Ok(()) => {
                self.length = length;
                Ok(())
            }
            Err(source) => {
                let error = io(source);
                // Nothing may follow an incomplete line. If it cannot be removed, the next opening drops it, or accepts it if it
                // is complete after all.
                self.broken = true;
                let _ = self.end_at(self.length);
                Err(error)
            }
        }
    }

    /// Truncates the file and continues writing there.
    fn end_at(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.file.seek(SeekFrom::Start(length)).map(drop)
    }
}

/// Locks a journal. Waits for readers, because shards that begin together look at each other's journals.
fn lock(path: &Path, file: &File) -> Result<(), JournalError> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) if file.try_lock_shared().is_ok() => {
            let held = file.lock();
            held.map_err(|source| JournalError::NoLocks {
                path: path.to_owned(),
                source,
            })
        }
        outcome => locked(path, outcome),
    }
}

/// Refuses a journal of another run, share or place.
fn check_same<D: PartialEq>(
    path: &Path,
    expected: &RunDescription<D>,
    found: &RunDescription<D>,
) -> Result<(), JournalError> {
    let path = path.to_owned();
    let same_run = (
        &expected.key,
        &expected.name,
        expected.units,
        &expected.about,
    ) == (&found.key, &found.name, found.units, &found.about);
    if !same_run {
        return Err(JournalError::OtherRun {
            path,
            expected: expected.key.as_str().to_owned(),
            found: found.key.as_str().to_owned(),
        });
    }
    if (found.shard, &found.share) != (expected.shard, &expected.share) {
        return Err(JournalError::OtherShard {
            path,
            expected: expected.shard,
            found: found.shard,
        });
    }
    if found.place != expected.place {
        return Err(JournalError::OtherPlace {
            path,
            expected: expected.place.saturating_add(1),
            found: found.place.saturating_add(1),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Units;
    use crate::key::{RunKey, checksum};
    use layerwise_files::Links;
    use proptest::prelude::{any as arbitrary, proptest};
    use std::fmt::Debug;

    type Journal = super::Journal<Vec<f64>>;
    type Recorded = crate::recorded::Recorded<String, Vec<f64>>;

    /// Accepts every result.
    fn any<T>(_: Option<&[usize]>, _: &T) -> bool {
        true
    }

    /// A run of ten units with `numbers` numbers each.
    fn run(key: &str, numbers: usize) -> RunDescription<String> {
        let key = RunKey::of([key.as_bytes()]);
        RunDescription::new(key, "tiny".to_owned(), 10, format!("{numbers} numbers"))
    }

    fn open(path: &Path, run: &RunDescription<String>) -> Result<Journal, JournalError> {
        Journal::open(path, run, false, any)
    }

    fn read(path: &Path) -> Result<Recorded, JournalError> {
        Recorded::read(path, |_, _, _| true)
    }

    /// Checks results of one type, of the units 4 and 1.
    fn check<T>([first, second]: [T; 2])
    where
        T: Serialize + DeserializeOwned + Clone + PartialEq + Debug,
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let open = || super::Journal::<T>::open(&path, &run("a", 2), false, any).unwrap();
        let mut journal = open();
        journal.record(4, first.clone()).unwrap();
        journal.record(1, second.clone()).unwrap();
        drop(journal);
        assert!(!open().was_torn());
        let found = open().take_finished();
        assert_eq!(found, BTreeMap::from([(1, second), (4, first)]));
    }

    #[test]
    fn what_is_recorded_is_read_back() {
        check([vec![0.1, 1e-300], vec![f64::MIN_POSITIVE, -0.0]]);
        check([true, false]);
        check([u64::MAX, f64::NAN.to_bits()]);
        check([Some("a \n\u{0}".to_owned()), None]);
        check([(), ()]);
        check([BTreeMap::from([(7, 3), (9, 1)]), BTreeMap::new()]);
    }

    fn part(at: &[usize]) -> Part<Vec<f64>> {
        let results = at.iter().map(|at| 0.1 * *at as f64).collect();
        Part {
            at: at.to_vec(),
            results,
        }
    }

    #[test]
    fn parts_are_read_back_until_their_unit_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = open(&path, &run("a", 3)).unwrap();
        journal
            .record_parts([(4, part(&[1])), (7, part(&[0, 2]))])
            .unwrap();
        journal.record_parts([(7, part(&[1]))]).unwrap();
        drop(journal);
        let expected =
            BTreeMap::from([(4, vec![part(&[1])]), (7, vec![part(&[0, 2]), part(&[1])])]);
        assert_eq!(read(&path).unwrap().parts, expected);
        let mut journal = open(&path, &run("a", 3)).unwrap();
        assert!(journal.finished().is_empty());
        journal.record(7, vec![1.0]).unwrap();
        assert_eq!(
            journal.take_parts(),
            BTreeMap::from([(4, vec![part(&[1])])])
        );
        assert!(journal.take_parts().is_empty());
        drop(journal);

        // Another journal of the run takes them up, except those that it has finished itself.
        let other = folder.path().join("other");
        let mut journal = open(&other, &run("a", 3)).unwrap();
        journal.take_up(read(&path).unwrap());
        assert_eq!(journal.finished(), &BTreeMap::from([(7, vec![1.0])]));
        assert_eq!(
            journal.take_parts(),
            BTreeMap::from([(4, vec![part(&[1])])])
        );
        journal.record(4, vec![2.0]).unwrap();
        journal.take_up(read(&path).unwrap());
        assert!(journal.take_parts().is_empty());
    }

    #[test]
    fn parts_that_cannot_be_are_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let check = |lines: &[(usize, Part<Vec<f64>>)], line: usize| {
            let mut journal = Journal::open(&path, &run("a", 3), true, any).unwrap();
            journal.record(3, vec![1.0]).unwrap();
            journal.record_parts(lines.iter().cloned()).unwrap();
            drop(journal);
            let fits = |parts: Option<&[usize]>, result: &Vec<f64>| {
                parts.is_none_or(|at| at.len() == result.len() && at.iter().all(|at| *at < 3))
            };
            let found = Journal::open(&path, &run("a", 3), false, fits).map(drop);
            match (line, found) {
                (0, Ok(())) => {}
                (expected, Err(JournalError::Damaged { line, .. })) => assert_eq!(line, expected),
                (_, found) => panic!("{lines:?}: {found:?}"),
            }
        };
        check(&[(2, part(&[0, 1])), (2, part(&[2]))], 0);
        check(&[(2, part(&[0, 1])), (2, part(&[1, 2]))], 4);
        check(&[(2, part(&[1, 0]))], 3);
        check(&[(2, part(&[0, 0]))], 3);
        check(&[(2, part(&[3]))], 3);
        // Parts of a finished unit, and of a unit out of range.
        check(&[(3, part(&[0]))], 3);
        check(&[(10, part(&[0]))], 3);
    }

    #[test]
    fn results_that_do_not_fit_are_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = open(&path, &run("a", 1)).unwrap();
        journal.record(3, vec![1.0]).unwrap();
        drop(journal);
        let of_type = super::Journal::<bool>::open(&path, &run("a", 1), false, any).map(drop);
        let of_form =
            Journal::open(&path, &run("a", 1), false, |_, result| result.len() == 2).map(drop);
        let read = Recorded::read(&path, |about, _, _| about == "2 numbers").map(drop);
        for outcome in [of_type, of_form, read] {
            let error = outcome.unwrap_err();
            assert!(
                matches!(error, JournalError::Damaged { line: 2, .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn another_kind_of_run_and_another_format_are_told_apart_from_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        drop(open(&path, &run("a", 1)).unwrap());
        let error =
            crate::recorded::Recorded::<[u8; 2], ()>::read(&path, |_, _, _| true).unwrap_err();
        assert!(matches!(error, JournalError::OtherKind { .. }), "{error}");

        // The first line of version 0.1.0, which had no format.
        let json =
            r#"{"key":"00","model":"tiny","place":0,"sequences":1,"shard":"1/1","schedules":[]}"#;
        std::fs::write(&path, format!("{} {json}\n", checksum(json.as_bytes()))).unwrap();
        let opened = open(&path, &run("a", 1)).map(drop);
        for outcome in [opened, read(&path).map(drop)] {
            let error = outcome.unwrap_err();
            let JournalError::OtherFormat {
                found, expected, ..
            } = error
            else {
                panic!("{error}")
            };
            assert_eq!((found, expected), (1, FORMAT));
        }
        let fresh = Journal::open(&path, &run("a", 1), true, any).unwrap();
        assert!(fresh.finished().is_empty());
        drop(fresh);

        for json in ["7", "{}", r#"{"format":2}"#] {
            std::fs::write(&path, format!("{} {json}\n", checksum(json.as_bytes()))).unwrap();
            let error = read(&path).unwrap_err();
            assert!(
                !matches!(error, JournalError::OtherKind { .. }),
                "{json}: {error}"
            );
        }
    }

    #[test]
    fn a_journal_is_held_by_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let _held = open(&path, &run("a", 1)).unwrap();
        let error = open(&path, &run("a", 1)).unwrap_err();
        assert!(matches!(error, JournalError::Locked { .. }), "{error}");
    }

    #[test]
    fn a_journal_that_is_only_read_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        drop(open(&path, &run("a", 1)).unwrap());
        let reader = layerwise_files::open(&path, Links::Refuse).unwrap();
        let reader = reader.into_file().unwrap();
        reader.lock_shared().unwrap();
        let opened = std::thread::spawn({
            let path = path.clone();
            move || open(&path, &run("a", 1)).map(drop)
        });
        reader.unlock().unwrap();
        opened.join().unwrap().unwrap();
    }

    #[test]
    fn a_journal_is_seen_while_it_is_written() {
        type Seen = crate::recorded::Seen<String>;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let shard = run("a", 1).part("1/2".parse().unwrap(), &[1; 10]);
        let share = shard.share.clone().unwrap();
        let mut journal = open(&path, &shard).unwrap();
        journal.record(share[2], vec![1.0]).unwrap();
        let seen = Seen::look(&path).unwrap().unwrap();
        assert!(seen.is_held);
        assert_eq!(seen.finished, [share[2]]);
        let others: Vec<usize> = share.iter().copied().filter(|at| *at != share[2]).collect();
        assert_eq!(seen.missing, Units::from(others));
        journal.record(share[0], vec![1.0]).unwrap();
        drop(journal);
        let seen = Seen::look(&path).unwrap().unwrap();
        assert!(!seen.is_held);
        assert_eq!(seen.finished, [share[0], share[2]]);
        assert_eq!(seen.description, shard);

        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(Seen::look(&path).unwrap().unwrap().finished, [share[2]]);
        std::fs::write(&path, &bytes[..20]).unwrap();
        assert!(Seen::look(&path).unwrap().is_none());
        std::fs::write(&path, "no journal\n").unwrap();
        let error = Seen::look(&path).unwrap_err();
        assert!(
            matches!(error, JournalError::Damaged { line: 1, .. }),
            "{error}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_refused_and_what_it_leads_to_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("journal"), folder.path().join("other"));
        std::os::unix::fs::symlink(&other, &path).unwrap();
        let check = || {
            for fresh in [false, true] {
                let error = Journal::open(&path, &run("a", 1), fresh, any).unwrap_err();
                assert!(matches!(error, JournalError::File(_)), "{error}");
            }
            let error = read(&path).unwrap_err();
            assert!(matches!(error, JournalError::File(_)), "{error}");
        };
        check();
        assert!(!other.exists());
        std::fs::write(&other, "of somebody else").unwrap();
        check();
        assert_eq!(std::fs::read(&other).unwrap(), b"of somebody else");
    }

    #[test]
    fn another_run_is_refused_unless_fresh() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        open(&path, &run("a", 1))
            .unwrap()
            .record(0, vec![1.0])
            .unwrap();
        let longer = RunDescription {
            units: 11,
            ..run("a", 1)
        };
        for other in [run("b", 1), run("a", 2), longer] {
            let error = open(&path, &other).unwrap_err();
            assert!(matches!(error, JournalError::OtherRun { .. }), "{error}");
        }
        let shard = run("a", 1).part("1/2".parse().unwrap(), &[1; 10]);
        let error = open(&path, &shard).unwrap_err();
        assert!(matches!(error, JournalError::OtherShard { .. }), "{error}");
        let place = RunDescription {
            place: 1,
            ..run("a", 1)
        };
        let error = open(&path, &place).unwrap_err();
        assert!(
            matches!(
                error,
                JournalError::OtherPlace {
                    found: 1,
                    expected: 2,
                    ..
                }
            ),
            "{error}"
        );
        assert!(
            Journal::open(&path, &run("b", 1), true, any)
                .unwrap()
                .finished()
                .is_empty()
        );
    }

    #[test]
    fn units_that_are_not_of_the_run_are_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let shard = run("a", 1).part("1/2".parse().unwrap(), &[1; 10]);
        let inside = shard.share.clone().unwrap();
        let outside = (0..10).find(|at| !inside.contains(at)).unwrap();
        for unit in [outside, 10, inside[1]] {
            let mut journal = Journal::open(&path, &shard, true, any).unwrap();
            journal.record(inside[1], vec![1.0]).unwrap();
            journal.record(unit, vec![1.0]).unwrap();
            drop(journal);
            let error = read(&path).unwrap_err();
            assert!(
                matches!(error, JournalError::Damaged { line: 3, .. }),
                "{unit}: {error}"
            );
        }
    }

    #[test]
    fn what_is_taken_up_is_finished_and_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = open(&path, &run("a", 1)).unwrap();
        journal.record(3, vec![1.0]).unwrap();
        let other = folder.path().join("other");
        let mut others = open(&other, &run("a", 1)).unwrap();
        others.record(3, vec![9.0]).unwrap();
        others.record(4, vec![2.0]).unwrap();
        drop(others);
        journal.take_up(read(&other).unwrap());
        let expected = BTreeMap::from([(3, vec![1.0]), (4, vec![2.0])]);
        assert_eq!(*journal.finished(), expected);
        drop(journal);
        assert_eq!(read(&path).unwrap().finished.len(), 1);
    }

    #[test]
    fn reading_leaves_a_journal_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = open(&path, &run("a", 1)).unwrap();
        journal.record(3, vec![1.0]).unwrap();
        journal.record(4, vec![2.0]).unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(error, JournalError::Locked { .. }), "{error}");
        drop(journal);
        let bytes = std::fs::read(&path).unwrap();
        let torn = &bytes[..bytes.len() - 1];
        std::fs::write(&path, torn).unwrap();
        let recorded = read(&path).unwrap();
        assert_eq!(recorded.description, run("a", 1));
        assert_eq!(recorded.finished, BTreeMap::from([(3, vec![1.0])]));
        assert_eq!(std::fs::read(&path).unwrap(), torn);
        std::fs::write(&path, &bytes[..20]).unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(error, JournalError::Empty { .. }), "{error}");
        let error = read(folder.path()).unwrap_err();
        assert!(matches!(error, JournalError::File(_)), "{error}");
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_a_damaged_one_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = open(&path, &run("a", 1)).unwrap();
        for unit in 0..3 {
            journal.record(unit, vec![unit as f64]).unwrap();
        }
        drop(journal);
        let bytes = std::fs::read(&path).unwrap();
        let header = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for cut in header..bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let mut journal = open(&path, &run("a", 1)).unwrap();
            assert_eq!(journal.was_torn(), bytes[cut - 1] != b'\n');
            // The incomplete line is written again, and the file ends as if it had never been interrupted.
            for unit in journal.finished().len()..3 {
                journal.record(unit, vec![unit as f64]).unwrap();
            }
            drop(journal);
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
        let mut damaged = bytes.clone();
        damaged[header + 40] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let error = open(&path, &run("a", 1)).unwrap_err();
        assert!(
            matches!(error, JournalError::Damaged { line: 2, .. }),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_journal_or_an_error(bytes in proptest::collection::vec(arbitrary::<u8>(), 0..200)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal");
            std::fs::write(&path, bytes).unwrap();
            let _ = read(&path);
            let _ = open(&path, &run("a", 1));
        }
    }
}
