//! Arrays under a real Slurm, which the test starts and stops: a task is killed midway, the missing part is run again, and the
//! merged results have the bytes of undivided runs.
//!
//! If Slurm is not installed, or its daemons cannot be started, the test says so and does nothing.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(unix)]

mod cluster;

use cluster::{Cluster, Unavailable};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_layerwise");
/// The memory of a task; given, so that no first item runs to predict it.
const LIMITS: [&str; 10] = [
    "submit", "slurm", "--array", "4", "--cpus", "1", "--memory", "400M", "--time", "5",
];
const SWEEP: [&str; 6] = [
    "sweep",
    "swap(l,m)",
    "--model",
    "gpt2-8x160",
    "--rows",
    "16",
];
const REPRODUCE: [&str; 9] = [
    "reproduce",
    "robustness",
    "mlp-norm",
    "benchmarks",
    "--tokens",
    "1024",
    "--items",
    "2",
    "--context=128",
];

/// Runs a command to its end, which must be a success; returns its output.
#[track_caller]
fn run(cluster: &Cluster, mut command: Command) -> String {
    let output = command.current_dir(cluster.path("work")).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {stderr}\n{}",
        cluster.told()
    );
    String::from_utf8(output.stdout).unwrap()
}

fn program(cluster: &Cluster, arguments: &[&str]) -> Command {
    let mut command = cluster.command(PROGRAM);
    command
        .args(arguments)
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("LAYERWISE_CACHE");
    command
}

/// The finished, missing and other tasks, according to `submit status`.
fn status(cluster: &Cluster, out: &str) -> String {
    run(cluster, program(cluster, &["submit", "status", out]))
}

/// The jobs that Slurm has, each with its state.
fn queue(cluster: &Cluster) -> Vec<(String, String)> {
    let mut command = cluster.command("squeue");
    command.args(["--noheader", "--array", "--format=%i %T"]);
    let said = run(cluster, command);
    let lines = said.lines().filter_map(|line| line.trim().split_once(' '));
    lines
        .map(|(job, state)| (job.to_owned(), state.to_owned()))
        .collect()
}

#[test]
fn arrays_under_slurm_make_the_bytes_of_undivided_runs() {
    let cluster = match Cluster::start(3) {
        Ok(cluster) => cluster,
        Err(Unavailable(why)) => {
            eprintln!("skipped: {why}");
            return;
        }
    };
    let work = cluster.path("work");
    fs::create_dir(&work).unwrap();

    let sweep = [&LIMITS[..], &["--"], &SWEEP[..], &["--out", "sweep.csv"]].concat();
    run(&cluster, program(&cluster, &sweep));
    // The third task is killed after it has finished an item, but before it has finished all.
    let journal = work.join("sweep.csv.array/part-3.csv.run/gpt2-8x160.journal");
    let lines =
        || fs::read(&journal).map_or(0, |bytes| bytes.split(|byte| *byte == b'\n').count() - 1);
    cluster.wait("the first item of the third task", || lines() >= 2);
    let third = queue(&cluster)
        .into_iter()
        .find(|(job, _)| job.ends_with("_3"));
    let (third, _) = third.unwrap_or_else(|| panic!("no third task\n{}", cluster.told()));
    let mut cancel = cluster.command("scancel");
    cancel.arg(&third);
    run(&cluster, cancel);

    let reproduce = [&LIMITS[..], &["--"], &REPRODUCE[..], &["--out", "figures"]].concat();
    run(&cluster, program(&cluster, &reproduce));
    run(
        &cluster,
        program(
            &cluster,
            &[&SWEEP[..], &["--out", "whole.csv", "--threads", "1"]].concat(),
        ),
    );
    run(
        &cluster,
        program(
            &cluster,
            &[&REPRODUCE[..], &["--out", "whole", "--threads", "1"]].concat(),
        ),
    );

    // Whatever depends on the killed task is given up, and the rest continues. The marks come first: asking for the status
    // starts programs, which would take the time of the tasks.
    let are_marked = || {
        let mut marks = ["done-1", "done-2", "done-4"].iter();
        marks.all(|mark| work.join("sweep.csv.array").join(mark).exists())
    };
    cluster.wait("the tasks that were not killed", || {
        are_marked()
            && status(&cluster, "sweep.csv").contains("finished: 3 (1-2,4)\nmissing: 1 (3)\n")
    });
    assert!(!work.join("sweep.csv").exists(), "a part was merged");
    let told = status(&cluster, "sweep.csv");
    assert!(
        told.contains("of 16 units are finished; missing: unit"),
        "{told}"
    );
    let before = lines();
    assert!(
        (2..5).contains(&before),
        "the task was not stopped midway: {before} lines"
    );
    let retry = told.lines().last().unwrap();
    assert!(retry.contains("--array=3 "), "{told}");
    let mut again = cluster.command("sh");
    again.args(["-c", retry]);
    run(&cluster, again);

    for (out, finished) in [
        ("sweep.csv", "sweep.csv"),
        ("figures", "figures/manifest.json"),
    ] {
        cluster.wait(finished, || work.join(finished).exists());
        let told = status(&cluster, out);
        assert!(told.contains("finished: 4 (1-4)\n"), "{told}");
    }
    assert_eq!(lines(), 5, "what the killed task had finished is kept");
    assert!(fs::read(work.join("sweep.csv")).unwrap() == fs::read(work.join("whole.csv")).unwrap());
    let (expected, found) = (results(&work.join("whole")), results(&work.join("figures")));
    assert!(expected.len() > 10 && expected.keys().eq(found.keys()));
    for (path, bytes) in &expected {
        assert!(found[path] == *bytes, "{}", path.display());
    }
    cluster.wait("an empty queue", || queue(&cluster).is_empty());
}

/// The bytes of every file of results below a folder, by its path.
fn results(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let end = path
                .extension()
                .map(|end| end.to_string_lossy().into_owned());
            let is_result =
                ["csv", "svg", "png", "html"].contains(&end.unwrap_or_default().as_str());
            if path.is_dir() {
                folders.push(path);
            } else if is_result {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}
