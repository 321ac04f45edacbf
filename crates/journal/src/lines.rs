//! Reads the lines of a journal.

use crate::description::RunDescription;
use crate::error::JournalError;
use crate::key::{CHECKSUM, checksum};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// The format of the lines. Journals from before the format was recorded have format 1.
pub(crate) const FORMAT: u32 = 3;

/// The largest number of bytes of a line: a thousand for each of a million schedules.
const LONGEST: u64 = 1 << 30;

/// A line: JSON after its checksum.
pub(crate) fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let json = serde_json::to_string(value)?;
    Ok(format!("{} {json}\n", checksum(json.as_bytes())).into_bytes())
}

/// The part of the first line that says whether the rest can be read.
#[derive(Deserialize)]
struct FormatOnly {
    #[serde(default = "oldest_format")]
    format: u32,
}

fn oldest_format() -> u32 {
    1
}

/// A line after the first: a finished unit.
#[derive(Serialize, Deserialize)]
pub(crate) struct Unit<T> {
    pub(crate) unit: usize,
    pub(crate) result: T,
}

/// A line after the first: parts of an unfinished unit. It shares no field name with [`Unit`].
#[derive(Serialize, Deserialize)]
pub(crate) struct PartLine<T> {
    pub(crate) part_of: usize,
    pub(crate) at: Vec<usize>,
    pub(crate) results: T,
}

/// Parts of an unfinished unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<T> {
    /// The indices of the parts, ascending; no other [`Part`] of the unit has any of them.
    pub at: Vec<usize>,
    /// Their results.
    pub results: T,
}

/// The contents of the lines after the first.
pub(crate) struct Found<T> {
    pub(crate) finished: BTreeMap<usize, T>,
    /// By unfinished unit.
    pub(crate) parts: BTreeMap<usize, Vec<Part<T>>>,
}

/// Reads the complete lines of a journal, one at a time.
pub(crate) struct Lines<'a> {
    path: &'a Path,
    reader: BufReader<&'a File>,
    /// The line read last, without its newline, or what there is of an incomplete one.
    line: Vec<u8>,
    /// Its number, from 1.
    at: usize,
    /// The number of bytes of the complete lines so far.
    pub(crate) whole: u64,
    /// Whether the file ends with a line without newline: its writing was interrupted.
    pub(crate) torn: bool,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(path: &'a Path, file: &'a File) -> Self {
        Self {
            path,
            reader: BufReader::new(file),
            line: Vec::new(),
            at: 0,
            whole: 0,
            torn: false,
        }
    }

    /// Reads the next line; returns false if there is no further complete one.
    fn advance(&mut self) -> Result<bool, JournalError> {
        self.line.clear();
        let mut reader = self.reader.by_ref().take(LONGEST);
        let read = reader.read_until(b'\n', &mut self.line);
        let read = read.map_err(|source| JournalError::Io {
            path: self.path.to_owned(),
            source,
        })?;
        match self.line.pop() {
            Some(b'\n') => {
                self.at += 1;
                self.whole += read as u64;
                Ok(true)
            }
            _ if read as u64 == LONGEST => {
                self.at += 1;
                Err(self.damaged())
            }
            last => {
                self.torn = last.is_some();
                self.line.extend(last);
                Ok(false)
            }
        }
    }

    /// What there is of an incomplete last line, after the complete ones.
    pub(crate) fn incomplete(&self) -> &[u8] {
        &self.line
    }

    /// The first line; `None` if there is none.
    pub(crate) fn description<D: DeserializeOwned>(
        &mut self,
    ) -> Result<Option<RunDescription<D>>, JournalError> {
        if !self.advance()? {
            return Ok(None);
        }
        let json = self.checked()?;
        let FormatOnly { format } = self.parsed(json)?;
        if format != FORMAT {
            return Err(JournalError::OtherFormat {
                path: self.path.to_owned(),
                expected: FORMAT,
                found: format,
            });
        }
        // First reads the part that every run has, so that damage is not reported as another kind of run.
        let _: RunDescription<IgnoredAny> = self.parsed(json)?;
        let description = serde_json::from_slice(json);
        description.map(Some).map_err(|_| JournalError::OtherKind {
            path: self.path.to_owned(),
        })
    }

    /// The lines after the first, which must be units of the run or parts of them.
    ///
    /// `fits` says whether a result has the form that the run gives it: that of a whole unit, or of the given parts.
    pub(crate) fn units<D, T: DeserializeOwned>(
        &mut self,
        run: &RunDescription<D>,
        fits: impl Fn(Option<&[usize]>, &T) -> bool,
    ) -> Result<Found<T>, JournalError> {
        let (mut finished, mut parts) = (BTreeMap::new(), BTreeMap::<usize, Vec<Part<T>>>::new());
        let mut known = BTreeSet::new();
        while self.advance()? {
            let json = self.checked()?;
            let belongs = match serde_json::from_slice(json) {
                Ok(Unit { unit, result }) => {
                    parts.remove(&unit);
                    run.holds(unit)
                        && fits(None, &result)
                        && finished.insert(unit, result).is_none()
                }
                Err(_) => {
                    let PartLine {
                        part_of,
                        at,
                        results,
                    } = self.parsed(json)?;
                    let belongs = run.holds(part_of)
                        && !finished.contains_key(&part_of)
                        && at.is_sorted_by(|a, b| a < b)
                        && fits(Some(&at), &results)
                        && at.iter().all(|part| known.insert((part_of, *part)));
                    let own = parts.entry(part_of).or_default();
                    own.push(Part { at, results });
                    belongs
                }
            };
            if !belongs {
                return Err(self.damaged());
            }
        }
        Ok(Found { finished, parts })
    }

    /// The JSON of the line, after checking the checksum.
    fn checked(&self) -> Result<&[u8], JournalError> {
        let split = self.line.split_at_checked(CHECKSUM);
        split
            .and_then(|(sum, rest)| Some((sum, rest.strip_prefix(b" ")?)))
            .filter(|(sum, json)| *sum == checksum(json).as_bytes())
            .map(|(_, json)| json)
            .ok_or_else(|| self.damaged())
    }

    fn parsed<T: DeserializeOwned>(&self, json: &[u8]) -> Result<T, JournalError> {
        serde_json::from_slice(json).map_err(|_| self.damaged())
    }

    fn damaged(&self) -> JournalError {
        JournalError::Damaged {
            path: self.path.to_owned(),
            line: self.at,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Journal, JournalError, RunDescription, RunKey};
    use std::fs;

    #[test]
    fn a_first_line_that_is_incomplete_must_be_of_this_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let open = |key: &str, fresh| {
            let key = RunKey::of([key.as_bytes()]);
            let run = RunDescription::new(key, "tiny".to_owned(), 3, ());
            Journal::<bool>::open(&path, &run, fresh, |_, _| true)
        };
        drop(open("a", false).unwrap());
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(open("a", false).unwrap().was_torn(), cut > 0);
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
        let other = &whole[..whole.len() - 1];
        for bytes in [b"{\"layers\": 12}".as_slice(), b"7", other] {
            fs::write(&path, bytes).unwrap();
            let error = open("b", false).unwrap_err();
            assert!(
                matches!(error, JournalError::Damaged { line: 1, .. }),
                "{error}"
            );
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        drop(open("b", true).unwrap());
    }
}
