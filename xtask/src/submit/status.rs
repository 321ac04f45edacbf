//! How far an array is, as its journals say; Slurm is only asked which tasks it still has.

use super::folder::{ArrayFolder, Record};
use super::numbers::Tasks;
use super::state::State;
use super::{script, slurm};
use crate::output;
use anyhow::Context;
use layerwise::journal::{Seen, Units};
use layerwise::sweep::Described;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Options of `submit status`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The folder of the array (OUT.array), or the output of the whole run
    #[arg(value_name = "RUN")]
    run: PathBuf,
}

/// What a task has done of one measurement of one model.
#[derive(Clone, Debug)]
struct Part {
    task: u32,
    /// The model and the measure.
    of: (String, String),
    /// Units of the whole run.
    units: usize,
    finished: Vec<usize>,
    missing: usize,
    is_held: bool,
}

/// Runs the command.
///
/// # Errors
/// A folder that is none of an array, or a journal that cannot be read.
pub(super) fn status(arguments: &Arguments) -> anyhow::Result<()> {
    let mut folder = arguments.run.clone();
    if !folder.join("array.json").exists() {
        let beside = ArrayFolder::of(Path::new(""), &arguments.run)?;
        if beside.path().is_dir() {
            folder = beside.path().to_owned();
        }
    }
    let record = Record::read(&folder)?;
    let parts = parts_of(&folder, record.tasks)?;
    let is_done = |task: &u32| folder.join(format!("done-{task}")).is_file();
    let done: BTreeSet<u32> = (1..=record.tasks).filter(is_done).collect();
    let queue = match record.is_slurm {
        true => slurm::queue(&record.name),
        false => BTreeMap::new(),
    };
    let states = states(record.tasks, &parts, &done, &queue);
    let folder = fs::canonicalize(&folder).with_context(|| folder.display().to_string())?;
    let text = told(&folder, &record, &parts, &states);
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// What each task is at.
fn states(
    tasks: u32,
    parts: &[Part],
    done: &BTreeSet<u32>,
    queue: &BTreeMap<u32, State>,
) -> BTreeMap<u32, State> {
    let state = |task: u32| {
        let own: Vec<&Part> = parts.iter().filter(|part| part.task == task).collect();
        // A journal of earlier inputs may be left beside the one that took its place.
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

/// What the user reads.
fn told(folder: &Path, record: &Record, parts: &[Part], states: &BTreeMap<u32, State>) -> String {
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
    let mut lines = vec![format!("{}: {} tasks", folder.display(), record.tasks)];
    for state in all {
        let tasks = tasks_in(state);
        if !tasks.is_empty() {
            lines.push(format!("{state}: {} ({})", tasks.len(), Tasks(&tasks)));
        }
    }
    let mut runs: BTreeMap<&(String, String), (usize, BTreeSet<usize>)> = BTreeMap::new();
    for part in parts {
        let (units, finished) = runs.entry(&part.of).or_default();
        *units = part.units;
        finished.extend(&part.finished);
    }
    for ((model, measure), (units, finished)) in runs {
        let missing: Vec<usize> = (0..units).filter(|unit| !finished.contains(unit)).collect();
        let rest = match missing.is_empty() {
            true => String::new(),
            false => format!("; missing: {}", Units::from(missing)),
        };
        lines.push(format!(
            "{model}, {measure}: {} of {units} units are finished{rest}",
            finished.len()
        ));
    }
    let (missing, busy) = (
        tasks_in(State::Missing),
        !tasks_in(State::Running).is_empty() || !tasks_in(State::Waiting).is_empty(),
    );
    let in_folder = script::quoted(&folder.display().to_string());
    if missing.is_empty() && !busy {
        lines.push(format!(
            "all that is left is to merge, if it is not done: sh {in_folder}/merge.sh"
        ));
    } else if !missing.is_empty() {
        let expression = Tasks(&missing);
        lines.push(format!("run what is missing (array {expression}) by:"));
        lines.push(match (record.is_slurm, busy) {
            (true, false) => slurm::retry(folder, &expression),
            (true, true) => slurm::retry_before_merging(folder, &expression),
            (false, _) => {
                let tasks: Vec<String> = missing.iter().map(u32::to_string).collect();
                script::shell_loop(folder, &tasks.join(" "))
            }
        });
    }
    let plain = lines.iter().map(|line| output::plain(line) + "\n");
    plain.collect()
}

/// How deep journals lie in the folder of an array: `shards/MODEL/MEASURE.run`.
const DEPTH: usize = 3;

/// What the journals of an array say, in the order of their paths.
fn parts_of(folder: &Path, tasks: u32) -> anyhow::Result<Vec<Part>> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((next, depth)) = folders.pop() {
        let unreadable = || format!("{}: cannot be read", next.display());
        for entry in fs::read_dir(&next).with_context(unreadable)? {
            let entry = entry.with_context(unreadable)?;
            let path = entry.path();
            if entry.file_type().with_context(unreadable)?.is_dir() {
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
        // The mark of another end says nothing if the journal is not whole.
        check(from_ref(&half), &[2], &[], State::Missing);
        check(from_ref(&whole), &[2], &[], State::Finished);
        check(&[whole.clone(), half.clone()], &[2], &[], State::Finished);
        // Whole, and another measurement may follow.
        check(from_ref(&whole), &[], &[], State::Missing);
        check(from_ref(&whole), &[1], &[], State::Missing);
        check(&[whole, held], &[2], &[], State::Running);
        check(&[part(1, "sweep", &[0], 0, true)], &[], &[], State::Missing);
    }

    #[test]
    fn what_is_missing_is_told_with_the_way_to_run_it() {
        let record = |is_slurm| {
            let folder = ArrayFolder::of(Path::new("/d"), Path::new("a.csv")).unwrap();
            folder.record(3, is_slurm, &[])
        };
        let parts = [
            part(1, "sweep", &[0, 4], 0, false),
            part(2, "sweep", &[1], 1, true),
        ];
        let told = |record: &Record, states: [State; 3]| {
            let states = (1..=3).zip(states).collect();
            told(Path::new("/d/a.csv.array"), record, &parts, &states)
        };
        let (finished, running, missing) = (State::Finished, State::Running, State::Missing);
        assert_eq!(
            told(&record(true), [finished, running, missing]),
            "/d/a.csv.array: 3 tasks\nfinished: 1 (1)\nrunning: 1 (2)\nmissing: 1 (3)\n\
             gpt2, sweep: 3 of 6 units are finished; missing: units 2-3, 5\n\
             run what is missing (array 3) by:\n\
             cd /d/a.csv.array && sbatch --array=3 tasks.sh\n"
        );
        let text = told(&record(true), [finished, missing, missing]);
        assert!(
            text.contains("missing: 2 (2-3)\n") && text.contains("(array 2-3)"),
            "{text}"
        );
        assert!(
            text.contains("--array=2-3 tasks.sh") && text.contains("merge.sh"),
            "{text}"
        );
        let text = told(&record(false), [missing, finished, missing]);
        assert!(text.contains("for task in 1 3; do sh tasks.sh"), "{text}");
        let text = told(&record(true), [finished; 3]);
        assert!(text.ends_with("sh /d/a.csv.array/merge.sh\n"), "{text}");
    }
}
