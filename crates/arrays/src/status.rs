//! The progress of an array, from its journals.

use crate::ArrayError;
use crate::folder::{ArrayFolder, Record};
use crate::numbers::Tasks;
use crate::script::{quoted, shell_loop};
use crate::slurm::{retry, retry_before_merging};
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

    /// The status as lines of text: the tasks in each state, the finished units of each measurement, and what to run next.
    ///
    /// `folder` is the array's as the commands name it: the absolute path, if they shall work anywhere. `queue` is that of
    /// [`Status::states`]. Names from journals stay as they are, so escape control characters before a terminal shows them.
    ///
    /// ```no_run
    /// use layerwise_arrays::Status;
    /// use std::collections::BTreeMap;
    /// use std::path::Path;
    ///
    /// let status = Status::read(Path::new("/data/out.csv.array"))?;
    /// for line in status.told(status.folder(), &BTreeMap::new()) {
    ///     println!("{}", line.escape_debug());
    /// }
    /// # Ok::<(), layerwise_arrays::ArrayError>(())
    /// ```
    pub fn told(&self, folder: &Path, queue: &BTreeMap<u32, State>) -> Vec<String> {
        let states = self.states(queue);
        let tasks_in = |state: State| -> BTreeSet<u32> {
            let own = states.iter().filter(|(_, found)| **found == state);
            own.map(|(task, _)| *task).collect()
        };
        let all = [
            State::Finished,
            State::Running,
            State::Waiting,
            State::Missing,
        ];
        let mut lines = vec![format!("{}: {} tasks", folder.display(), self.record.tasks)];
        for state in all {
            let tasks = tasks_in(state);
            if !tasks.is_empty() {
                lines.push(format!("{state}: {} ({})", tasks.len(), Tasks(&tasks)));
            }
        }
        for own in self.measurements() {
            let rest = match own.missing.is_empty() {
                true => String::new(),
                false => format!("; missing: {}", own.missing),
            };
            lines.push(format!(
                "{}, {}: {} of {} units are finished{rest}",
                own.model, own.measure, own.finished, own.units
            ));
        }
        let (missing, busy) = (
            tasks_in(State::Missing),
            !tasks_in(State::Running).is_empty() || !tasks_in(State::Waiting).is_empty(),
        );
        let in_folder = quoted(&folder.display().to_string());
        if missing.is_empty() && !busy {
            lines.push(format!(
                "all tasks are finished; merge them, if that is not done: sh {in_folder}/merge.sh"
            ));
        } else if !missing.is_empty() {
            let expression = Tasks(&missing);
            lines.push(format!("run what is missing (array {expression}) with:"));
            lines.push(match (self.record.is_slurm, busy) {
                (true, false) => retry(folder, &expression),
                (true, true) => retry_before_merging(folder, &expression),
                (false, _) => {
                    let tasks: Vec<String> = missing.iter().map(u32::to_string).collect();
                    shell_loop(folder, &tasks.join(" "))
                }
            });
        }
        lines
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

    #[test]
    fn what_is_missing_is_told_with_the_way_to_run_it() {
        let folder = ArrayFolder::of(Path::new("/d"), Path::new("a.csv")).unwrap();
        let told = |is_slurm: bool, found: [State; 3]| {
            let tasks: BTreeMap<u32, State> = (1..=3).zip(found).collect();
            let done = tasks.iter().filter(|(_, state)| **state == State::Finished);
            let status = Status {
                folder: folder.path().to_owned(),
                record: folder.record(3, is_slurm, &[]),
                parts: vec![part(1, "sweep", &[0, 1, 4], 0, false)],
                done: done.map(|(task, _)| *task).collect(),
            };
            assert_eq!(status.states(&tasks), tasks);
            status.told(Path::new("/d/a.csv.array"), &tasks).join("\n")
        };
        let (finished, running, missing) = (State::Finished, State::Running, State::Missing);
        assert_eq!(
            told(true, [finished, running, missing]),
            "/d/a.csv.array: 3 tasks\nfinished: 1 (1)\nrunning: 1 (2)\nmissing: 1 (3)\n\
             gpt2, sweep: 3 of 6 units are finished; missing: units 2-3, 5\n\
             run what is missing (array 3) with:\n\
             cd /d/a.csv.array && sbatch --array=3 tasks.sh"
        );
        let text = told(true, [finished, missing, missing]);
        assert!(
            text.contains("missing: 2 (2-3)\n") && text.contains("(array 2-3)"),
            "{text}"
        );
        assert!(
            text.contains("--array=2-3 tasks.sh") && text.contains("merge.sh"),
            "{text}"
        );
        let text = told(false, [missing, finished, missing]);
        assert!(text.contains("for task in 1 3; do sh tasks.sh"), "{text}");
        let text = told(true, [finished; 3]);
        assert!(text.ends_with("sh /d/a.csv.array/merge.sh"), "{text}");
    }
}
