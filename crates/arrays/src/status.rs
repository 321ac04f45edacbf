//! The progress of an array, from its journals.

use crate::ArrayError;
use crate::folder::{ArrayFolder, Record};
use crate::state::State;
use layerwise_journal::{Seen, Units};
use layerwise_sweep::Described;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The progress of an array.
#[derive(Clone, Debug)]
pub struct Status {
    folder: PathBuf,
    record: Record,
    parts: Vec<Part>,
    /// Tasks that left the mark of success.
    done: BTreeSet<u32>,
}

/// One measurement of one model, over all tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// The model's name.
    pub model: String,
    /// The measure's name.
    pub measure: String,
    /// The number of units of the whole run.
    pub units: usize,
    /// The number of finished units.
    pub finished: usize,
    /// The unfinished units.
    pub missing: Units,
}

/// The work of one task on one measurement of one model.
#[derive(Clone, Debug)]
struct Part {
    task: u32,
    /// The model and the measure.
    of: (String, String),
    /// The number of units of the whole run.
    units: usize,
    finished: Vec<usize>,
    missing: usize,
    is_held: bool,
}

impl Status {
    /// The progress of the array in a folder, or next to the output of a whole run.
    ///
    /// # Errors
    /// The folder has no array, or a journal cannot be read.
    pub fn read(run: &Path) -> Result<Self, ArrayError> {
        let mut folder = run.to_owned();
        if !folder.join(Record::FILE).exists() {
            let beside = ArrayFolder::of(Path::new(""), run)?;
            if beside.path().is_dir() {
                folder = beside.path().to_owned();
            }
        }
        let record = Record::read(&folder)?;
        let parts = parts_of(&folder, record.tasks)?;
        let is_done = |task: &u32| folder.join(format!("done-{task}")).is_file();
        let done = (1..=record.tasks).filter(is_done).collect();
        Ok(Self {
            folder,
            record,
            parts,
            done,
        })
    }

    /// The folder of the array.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The record of the array.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The state of each task; `queue` holds the tasks that Slurm still has.
    pub fn states(&self, queue: &BTreeMap<u32, State>) -> BTreeMap<u32, State> {
        states(self.record.tasks, &self.parts, &self.done, queue)
    }

    /// The progress of all tasks together, by the names of models and measures.
    pub fn measurements(&self) -> Vec<Measurement> {
        measurements(&self.parts)
    }
}

fn measurements(parts: &[Part]) -> Vec<Measurement> {
    let mut runs: BTreeMap<&(String, String), (usize, BTreeSet<usize>)> = BTreeMap::new();
    for part in parts {
        let (units, finished) = runs.entry(&part.of).or_default();
        *units = part.units;
        finished.extend(&part.finished);
    }
    let all = runs
        .into_iter()
        .map(|((model, measure), (units, finished))| Measurement {
            model: model.clone(),
            measure: measure.clone(),
            units,
            finished: finished.len(),
            missing: Units::missing(units, &finished),
        });
    all.collect()
}

/// The state of each task.
fn states(
    tasks: u32,
    parts: &[Part],
    done: &BTreeSet<u32>,
    queue: &BTreeMap<u32, State>,
) -> BTreeMap<u32, State> {
    let state = |task: u32| {
        let own: Vec<&Part> = parts.iter().filter(|part| part.task == task).collect();
        // A journal for earlier inputs may remain next to the one that replaced it.
        let is_whole = |part: &&Part| {
            let others = own.iter().filter(|other| other.of == part.of);
            others.map(|other| other.missing).min() == Some(0)
        };
        if own.iter().any(|part| part.is_held) {
            State::Running
        } else if done.contains(&task) && own.iter().all(is_whole) {
            State::Finished
        } else {
            queue.get(&task).copied().unwrap_or(State::Missing)
        }
    };
    (1..=tasks).map(|task| (task, state(task))).collect()
}

/// The depth of journals in the folder of an array: `shards/MODEL/MEASURE.run`.
const DEPTH: usize = 3;

/// The contents of an array's journals, in the order of their paths.
fn parts_of(folder: &Path, tasks: u32) -> Result<Vec<Part>, ArrayError> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((next, depth)) = folders.pop() {
        let unreadable = |source| ArrayError::Unreadable {
            path: next.clone(),
            source,
        };
        for entry in fs::read_dir(&next).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            if entry.file_type().map_err(unreadable)?.is_dir() {
                if depth < DEPTH {
                    folders.push((path, depth + 1));
                }
            } else if path.extension().is_some_and(|end| end == "journal") {
                found.push(path);
            }
        }
    }
    found.sort();
    let mut parts = Vec::new();
    for path in found {
        let Some(seen) = Seen::<Described>::look(&path)? else {
            continue;
        };
        let description = seen.description;
        if description.shard.count() != tasks {
            continue;
        }
        parts.push(Part {
            task: description.shard.index(),
            of: (description.name, description.about.measure),
            units: description.units,
            finished: seen.finished,
            missing: seen.missing.len(),
            is_held: seen.is_held,
        });
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice::from_ref;

    fn part(task: u32, measure: &str, finished: &[usize], missing: usize, is_held: bool) -> Part {
        Part {
            task,
            of: ("gpt2".to_owned(), measure.to_owned()),
            units: 6,
            finished: finished.to_vec(),
            missing,
            is_held,
        }
    }

    #[test]
    fn journals_say_what_a_task_is_at() {
        let check = |parts: &[Part], done: &[u32], queue: &[(u32, State)], expected: State| {
            let done = done.iter().copied().collect();
            let queue = queue.iter().copied().collect();
            assert_eq!(states(2, parts, &done, &queue)[&2], expected, "{parts:?}");
        };
        let (whole, half) = (
            part(2, "sweep", &[1, 3], 0, false),
            part(2, "sweep", &[1], 1, false),
        );
        let held = part(2, "plain", &[], 2, true);
        check(&[], &[], &[], State::Missing);
        check(&[], &[], &[(2, State::Waiting)], State::Waiting);
        check(&[], &[], &[(2, State::Running)], State::Running);
        check(from_ref(&half), &[], &[], State::Missing);
        check(from_ref(&half), &[], &[(2, State::Waiting)], State::Waiting);
        // A mark that an earlier run left says nothing if the journal is incomplete.
        check(from_ref(&half), &[2], &[], State::Missing);
        check(from_ref(&whole), &[2], &[], State::Finished);
        check(&[whole.clone(), half.clone()], &[2], &[], State::Finished);
        // Complete, but another measurement may follow.
        check(from_ref(&whole), &[], &[], State::Missing);
        check(from_ref(&whole), &[1], &[], State::Missing);
        check(&[whole, held], &[2], &[], State::Running);
        check(&[part(1, "sweep", &[0], 0, true)], &[], &[], State::Missing);
    }

    #[test]
    fn what_tasks_have_finished_is_counted_once() {
        let parts = [
            part(1, "sweep", &[0, 4], 0, false),
            part(2, "sweep", &[1, 4], 1, true),
            part(2, "plain", &[0, 1, 2, 3, 4, 5], 0, false),
        ];
        let found = measurements(&parts);
        let [plain, sweep] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!((plain.measure.as_str(), plain.finished), ("plain", 6));
        assert!(plain.missing.is_empty());
        assert_eq!((sweep.finished, sweep.units), (3, 6));
        assert_eq!(sweep.missing, Units::from(vec![2, 3, 5]));
    }
}
