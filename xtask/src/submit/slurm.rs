//! Slurm's own programs.

use super::folder::ArrayFolder;
use super::script::quoted;
use super::state::State;
use anyhow::{Context, ensure};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::process::{Command, Stdio};

/// Refuses a machine that has no Slurm.
///
/// # Errors
/// `sbatch` cannot be run.
pub(super) fn check() -> anyhow::Result<()> {
    let version = Command::new("sbatch")
        .arg("--version")
        .stdin(Stdio::null())
        .output();
    let found = version.is_ok_and(|output| output.status.success());
    ensure!(
        found,
        "`sbatch --version` cannot be run here; give --dry-run to see the scripts, or `submit shell` to run without Slurm"
    );
    Ok(())
}

/// The array and, after it, the merge: numbers of both jobs.
///
/// # Errors
/// `sbatch` refuses one of them.
pub(super) fn submit(folder: &ArrayFolder) -> anyhow::Result<[String; 2]> {
    let array = sbatch(folder, &["--parsable", "tasks.sh"])?;
    let after = format!("--dependency=afterok:{array}");
    let merge = [
        "--parsable",
        &after,
        "--kill-on-invalid-dep=yes",
        "merge.sh",
    ];
    let merge = sbatch(folder, &merge).with_context(|| {
        format!(
            "the tasks are submitted as job {array}, which `scancel {array}` ends; the merge is not"
        )
    })?;
    Ok([array, merge])
}

fn sbatch(folder: &ArrayFolder, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("sbatch")
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("sbatch cannot be run")?;
    ensure!(
        output.status.success(),
        "sbatch refused {}, {}; the scripts are in {}",
        arguments[arguments.len() - 1],
        output.status,
        folder.path().display()
    );
    let said = String::from_utf8_lossy(&output.stdout);
    job(&said).with_context(|| format!("sbatch: expected the number of a job, found {said:.200?}"))
}

/// The number in what `sbatch --parsable` prints: `NUMBER` or `NUMBER;CLUSTER`.
fn job(said: &str) -> Option<String> {
    let number = said.trim().split(';').next()?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| number.to_owned())
}

/// What Slurm says of the tasks of jobs of a name; nothing where it cannot be asked.
pub(super) fn queue(name: &str) -> BTreeMap<u32, State> {
    let asked = Command::new("squeue")
        .args(["--noheader", "--array", "--me", "--format=%K %T"])
        .arg(format!("--name={name}"))
        .stdin(Stdio::null())
        .output();
    match asked {
        Ok(output) if output.status.success() => queued(&String::from_utf8_lossy(&output.stdout)),
        _ => BTreeMap::new(),
    }
}

/// The tasks in the answer of `squeue`: a line for each, with its number and state.
fn queued(said: &str) -> BTreeMap<u32, State> {
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
            // It is ending.
            _ => continue,
        };
        if let Ok(task) = task.parse() {
            found.insert(task, state);
        }
    }
    found
}

/// The command that runs some tasks again, and then merges.
pub(super) fn retry(folder: &Path, tasks: &impl Display) -> String {
    let folder = quoted(&folder.display().to_string());
    format!(
        "cd {folder} && job=$(sbatch --parsable --array={tasks} tasks.sh) && \
         sbatch --dependency=afterok:\"${{job%%;*}}\" --kill-on-invalid-dep=yes merge.sh"
    )
}

/// The command that runs some tasks again while others are under way.
pub(super) fn retry_before_merging(folder: &Path, tasks: &impl Display) -> String {
    let folder = quoted(&folder.display().to_string());
    format!("cd {folder} && sbatch --array={tasks} tasks.sh")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_of_slurm_are_read() {
        let check = |said: &str, expected: Option<&str>| {
            assert_eq!(job(said).as_deref(), expected, "{said:?}")
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
