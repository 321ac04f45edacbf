//! The output of Slurm's programs, and commands for users to run.

use crate::script::quoted;
use crate::state::State;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

/// The job number in the output of `sbatch --parsable`: `NUMBER` or `NUMBER;CLUSTER`.
pub fn job_number(said: &str) -> Option<String> {
    let number = said.trim().split(';').next()?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| number.to_owned())
}

/// The tasks in the output of `squeue`, which has a line for each with its number and state.
///
/// ```
/// use layerwise_arrays::{State, queued};
///
/// let states = queued("1 RUNNING\n2 PENDING\n3 COMPLETING\n");
/// assert_eq!(states, [(1, State::Running), (2, State::Waiting)].into()); // the third is ending
/// ```
pub fn queued(said: &str) -> BTreeMap<u32, State> {
    let mut found = BTreeMap::new();
    for line in said.lines() {
        let mut words = line.split_whitespace();
        let (Some(task), Some(state)) = (words.next(), words.next()) else {
            continue;
        };
        let state = match state {
            "PENDING" | "REQUEUED" | "REQUEUE_HOLD" | "SPECIAL_EXIT" | "SUSPENDED" => {
                State::Waiting
            }
            "RUNNING" | "CONFIGURING" | "STOPPED" => State::Running,
            // The task is ending.
            _ => continue,
        };
        if let Ok(task) = task.parse() {
            found.insert(task, state);
        }
    }
    found
}

/// The command that runs some tasks again, and then merges.
pub fn retry(folder: &Path, tasks: &impl Display) -> String {
    let folder = quoted(&folder.display().to_string());
    format!(
        "cd {folder} && job=$(sbatch --parsable --array={tasks} tasks.sh) && \
         sbatch --dependency=afterok:\"${{job%%;*}}\" --kill-on-invalid-dep=yes merge.sh"
    )
}

/// The command that runs some tasks again while others are still running.
pub fn retry_before_merging(folder: &Path, tasks: &impl Display) -> String {
    let folder = quoted(&folder.display().to_string());
    format!("cd {folder} && sbatch --array={tasks} tasks.sh")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_of_slurm_are_read() {
        let check = |said: &str, expected: Option<&str>| {
            assert_eq!(job_number(said).as_deref(), expected, "{said:?}")
        };
        check("17\n", Some("17"));
        check("17;west\n", Some("17"));
        check("", None);
        check("Submitted batch job 17\n", None);
        check("-1\n", None);
        let found = queued(
            "1 RUNNING\n  2 PENDING\n3 COMPLETING\n4 SUSPENDED\nN/A PENDING\n5\n\n9999999999 RUNNING\n",
        );
        let expected = [
            (1, State::Running),
            (2, State::Waiting),
            (4, State::Waiting),
        ];
        assert_eq!(found, BTreeMap::from(expected));
    }
}
