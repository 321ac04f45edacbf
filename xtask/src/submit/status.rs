//! The progress of an array, from its journals; Slurm is asked only which tasks it still has.

use super::slurm;
use crate::output;
use anyhow::Context;
use layerwise::arrays::{self, Measurement, Record, State, Status, Tasks};
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

/// Runs the command.
///
/// # Errors
/// The folder is not an array's, or a journal cannot be read.
pub(super) fn status(arguments: &Arguments) -> anyhow::Result<()> {
    let status = Status::read(&arguments.run)?;
    let record = status.record();
    let queue = match record.is_slurm {
        true => slurm::queue(&record.name),
        false => BTreeMap::new(),
    };
    let (states, folder) = (status.states(&queue), status.folder());
    let folder = fs::canonicalize(folder).with_context(|| folder.display().to_string())?;
    let text = told(&folder, record, &status.measurements(), &states);
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// The status, as the user reads it.
fn told(
    folder: &Path,
    record: &Record,
    measurements: &[Measurement],
    states: &BTreeMap<u32, State>,
) -> String {
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
    for own in measurements {
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
    let in_folder = arrays::quoted(&folder.display().to_string());
    if missing.is_empty() && !busy {
        lines.push(format!(
            "all tasks are finished; merge them, if that is not done: sh {in_folder}/merge.sh"
        ));
    } else if !missing.is_empty() {
        let expression = Tasks(&missing);
        lines.push(format!("run what is missing (array {expression}) with:"));
        lines.push(match (record.is_slurm, busy) {
            (true, false) => arrays::retry(folder, &expression),
            (true, true) => arrays::retry_before_merging(folder, &expression),
            (false, _) => {
                let tasks: Vec<String> = missing.iter().map(u32::to_string).collect();
                arrays::shell_loop(folder, &tasks.join(" "))
            }
        });
    }
    let plain = lines.iter().map(|line| output::plain(line) + "\n");
    plain.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise::arrays::ArrayFolder;
    use layerwise::journal::Units;

    #[test]
    fn what_is_missing_is_told_with_the_way_to_run_it() {
        let record = |is_slurm| {
            let folder = ArrayFolder::of(Path::new("/d"), Path::new("a.csv")).unwrap();
            folder.record(3, is_slurm, &[])
        };
        let measurements = [Measurement {
            model: "gpt2".to_owned(),
            measure: "sweep".to_owned(),
            units: 6,
            finished: 3,
            missing: Units::from(vec![2, 3, 5]),
        }];
        let told = |record: &Record, states: [State; 3]| {
            let states = (1..=3).zip(states).collect();
            told(Path::new("/d/a.csv.array"), record, &measurements, &states)
        };
        let (finished, running, missing) = (State::Finished, State::Running, State::Missing);
        assert_eq!(
            told(&record(true), [finished, running, missing]),
            "/d/a.csv.array: 3 tasks\nfinished: 1 (1)\nrunning: 1 (2)\nmissing: 1 (3)\n\
             gpt2, sweep: 3 of 6 units are finished; missing: units 2-3, 5\n\
             run what is missing (array 3) with:\n\
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
