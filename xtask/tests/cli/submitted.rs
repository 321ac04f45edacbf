//! Arrays of tasks, as scripts that a shell runs. Tests with Slurm cover the same scripts under Slurm.
#![cfg(unix)]

use crate::{Outcome, Sandbox, tiny, token_ids};
use std::fs;
use std::process::Command;

/// The command to divide, with words that a shell would interpret.
fn sweep(out: &str) -> Vec<String> {
    let words = [
        "sweep",
        "drop(l)",
        "swap(0,1);drop(2)",
        "--model",
        &tiny("gpt2"),
        "--corpus",
        "it's $(id).npy",
        "--out",
        out,
    ];
    words.map(str::to_owned).to_vec()
}

fn run(sandbox: &Sandbox, before: &[&str], command: &[String]) -> Outcome {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    sandbox.xtask(&[before, &words].concat())
}

/// Scripts change into their folder themselves, wherever they are started.
fn shell(arguments: &[&str]) -> Outcome {
    let mut command = Command::new("sh");
    Outcome::of(command.args(arguments).env_remove("LAYERWISE_CACHE"))
}

#[test]
fn a_shell_runs_the_tasks_and_what_is_missing_again() {
    let sandbox = Sandbox::new();
    let ids = crate::npy(&token_ids(9, 12, 29));
    sandbox.write("it's $(id).npy", &ids);
    run(&sandbox, &[], &sweep("whole.csv")).succeeded();
    let submit = ["submit", "shell", "--array", "3", "--cpus", "1"];

    let shown = run(
        &sandbox,
        &[&submit[..], &["--dry-run", "--"]].concat(),
        &sweep("a b.csv"),
    )
    .succeeded();
    assert!(
        shown.stdout.contains(r"'it'\''s $(id).npy'"),
        "{}",
        shown.stdout
    );
    assert!(!sandbox.path("a b.csv.array").exists());

    let outcome = run(
        &sandbox,
        &[&submit[..], &["--"]].concat(),
        &sweep("a b.csv"),
    )
    .succeeded();
    let folder = sandbox.path("a b.csv.array");
    assert_eq!(outcome.stdout.lines().last(), folder.to_str());
    let line = outcome
        .stderr
        .lines()
        .find_map(|line| line.strip_prefix("one task after the other: "));
    let line = line.unwrap().to_owned();
    let status = || {
        sandbox
            .xtask(&["submit", "status", "a b.csv"])
            .succeeded()
            .stdout
    };
    assert!(
        status().contains("3 tasks\nmissing: 3 (1-3)\nrun what is missing (array 1-3) with:\n")
    );

    // One task runs, and another was stopped halfway.
    let script = folder.join("tasks.sh");
    let task = |number: &str| shell(&[script.to_str().unwrap(), number]);
    task("3").succeeded();
    task("2").succeeded();
    let journal = folder.join("part-2.csv.run/gpt2.journal");
    let whole = fs::read(&journal).unwrap();
    fs::write(&journal, &whole[..whole.len() - 10]).unwrap();
    let told = status();
    assert!(told.contains("finished: 1 (3)\nmissing: 2 (1-2)\ngpt2, divergence: 5 of 9 units are finished; missing: units "), "{told}");
    let again = told.lines().last().unwrap().to_owned();
    assert!(again.contains("for task in 1 2; do"), "{again}");
    task("4").refused(&["--shard", "4/3"]);
    task("").refused(&["no number of a task"]);

    shell(&["-c", &again]).succeeded();
    assert!(sandbox.read("a b.csv") == sandbox.read("whole.csv"));
    let told = status();
    assert!(
        told.contains("finished: 3 (1-3)\n") && told.contains("all tasks are finished; merge them"),
        "{told}"
    );

    // The same command again reuses all work; another command is refused.
    fs::remove_file(sandbox.path("a b.csv")).unwrap();
    run(
        &sandbox,
        &[&submit[..], &["--"]].concat(),
        &sweep("a b.csv"),
    )
    .succeeded();
    shell(&["-c", &line]).succeeded();
    assert!(sandbox.read("a b.csv") == sandbox.read("whole.csv"));
    let mut other = sweep("a b.csv");
    other.extend(["--rows".to_owned(), "3".to_owned()]);
    run(&sandbox, &[&submit[..], &["--"]].concat(), &other)
        .refused(&["a b.csv.array: holds an array of 3 tasks"]);
}

#[test]
fn memory_and_time_are_foretold_by_the_first_items() {
    let sandbox = Sandbox::with_ids(&token_ids(9, 12, 29));
    let check = |command: &[&str], given: &[&str], mentioned: &[&str], unmentioned: &[&str]| {
        let before = sandbox.contents();
        let slurm = [
            "submit",
            "slurm",
            "--dry-run",
            "--array",
            "2",
            "--cpus",
            "1",
        ];
        let outcome = sandbox
            .xtask(&[&slurm, given, &["--"], command].concat())
            .succeeded();
        for part in mentioned {
            assert!(
                outcome.stdout.contains(part),
                "no {part:?} in {}",
                outcome.stdout
            );
        }
        for part in unmentioned {
            assert!(
                !outcome.stderr.contains(part),
                "{part:?} in {}",
                outcome.stderr
            );
        }
        assert_eq!(sandbox.contents(), before, "a trial keeps nothing");
    };
    let model = tiny("gpt2");
    let of_ids = ["--corpus", "ids.npy", "--model", &model, "--out", "out.csv"];
    let sweep = [&["sweep", "drop(l)"], &of_ids[..]].concat();
    check(
        &sweep,
        &[],
        &[
            "#SBATCH --mem=513M\n",
            "#SBATCH --time=0-00:0",
            "--max-memory 513M",
        ],
        &[],
    );
    check(
        &sweep,
        &["--time", "7"],
        &["#SBATCH --mem=513M\n", "#SBATCH --time=7\n"],
        &[],
    );
    check(
        &sweep,
        &["--memory", "2G"],
        &["#SBATCH --mem=2048M\n", "#SBATCH --time=0-00:0"],
        &[],
    );
    // With both, no model is opened.
    let both = ["--time", "7", "--memory", "2G", "--partition", "long"];
    check(&sweep, &both, &["--partition=long\n"], &["schedules"]);
    let few = [
        "benchmarks",
        "robustness",
        "shift",
        "cka",
        "--tokens",
        "200",
        "--context",
        "48",
        "--items",
        "2",
    ];
    let reproduce = [
        &["reproduce", "--model", "gpt2-8x160", "--out", "figures"],
        &few[..],
    ]
    .concat();
    check(
        &reproduce,
        &[],
        &[
            "#SBATCH --mem=",
            "#SBATCH --time=0-00:",
            "figures.array/shards",
        ],
        &[],
    );
    // The questions are encoded in full, for they say which items there are.
    check(
        &reproduce,
        &["--time", "7"],
        &["#SBATCH --mem=", "#SBATCH --time=7\n"],
        &[],
    );
}

#[test]
fn without_slurm_nothing_is_written() {
    let sandbox = Sandbox::with_ids(&token_ids(2, 12, 29));
    let before = sandbox.contents();
    let mut command = sandbox.command(&[
        "submit",
        "slurm",
        "--time",
        "5",
        "--memory",
        "1G",
        "--",
        "sweep",
        "drop(0)",
        "--corpus",
        "ids.npy",
        "--model",
        "gpt2-8x160",
        "--out",
        "out.csv",
    ]);
    Outcome::of(command.env("PATH", "/nowhere")).refused(&["sbatch", "submit shell"]);
    assert_eq!(sandbox.contents(), before);
}

#[test]
fn what_cannot_be_timed_needs_a_limit() {
    let sandbox = Sandbox::new();
    let submit = |limits: &[&str]| {
        let slurm = [
            "submit",
            "slurm",
            "--dry-run",
            "--array",
            "2",
            "--cpus",
            "1",
        ];
        let weights = [
            "--",
            "reproduce",
            "neurons",
            "--model",
            "gpt2-8x160",
            "--out",
            "out",
        ];
        sandbox.xtask(&[&slurm, limits, &weights].concat())
    };
    submit(&["--memory", "1G"]).refused(&["this run has no items", "give --time T"]);
    let shown = submit(&["--time", "5"]).succeeded().stdout;
    assert!(shown.contains("#SBATCH --time=5\n"), "{shown}");
}
