//! Slurm's own programs.

use anyhow::{Context, ensure};
use layerwise::arrays::{ArrayFolder, State, job_number, queued};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};

/// Refuses a machine without Slurm.
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

/// Submits the array and, after it, the merge; returns the numbers of both jobs.
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
            "the tasks were submitted as job {array}, but not the merge; `scancel {array}` ends them"
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
    job_number(&said)
        .with_context(|| format!("sbatch: expected the number of a job, found {said:.200?}"))
}

/// Slurm's list of the tasks of jobs with a name; empty if Slurm cannot be asked.
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
