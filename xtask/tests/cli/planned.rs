//! Messages before a run, and runs that stop when a standard error is reached.

use crate::statistics::embedded_model;
use crate::{Sandbox, Table, tiny, token_ids};
use std::fs;
use std::path::PathBuf;

const SEQUENCES: usize = 30;

/// A run whose corpus can be shortened.
struct Adaptive {
    sandbox: Sandbox,
    model: String,
}

impl Adaptive {
    fn new() -> Self {
        Self {
            sandbox: Sandbox::with_ids(&token_ids(SEQUENCES, 12, 29)),
            model: tiny("gpt2"),
        }
    }

    /// The messages printed before the table.
    fn run(&self, options: &[&str]) -> (String, Vec<u8>) {
        let on = ["--model", &self.model, "drop(l)", "swap(l,l+1)"];
        let outcome = self.sandbox.sweep(&[&on, options].concat()).succeeded();
        (outcome.stderr, self.sandbox.read("out.csv"))
    }

    /// The largest standard error of KL over the first sequences alone.
    fn worst(&self, sequences: usize) -> f64 {
        let rows = sequences.to_string();
        let table = Table::new(&self.run(&["--fresh", "--rows", &rows]).1);
        let errors = (0..table.rows.len()).map(|row| table.number(row, "kl_nats_se"));
        errors.fold(0.0, f64::max)
    }
}

#[test]
fn as_many_sequences_as_a_standard_error_takes_whatever_the_threads() {
    let adaptive = Adaptive::new();
    let errors: Vec<f64> = (8..=SEQUENCES).map(|n| adaptive.worst(n)).collect();
    // Between the smallest error and the first, so that some sequences suffice but the fewest do not.
    let target = errors[0] * 0.5 + errors.iter().copied().fold(f64::MAX, f64::min) * 0.5;
    let enough = 8 + errors.iter().position(|error| *error <= target).unwrap();
    assert!((9..SEQUENCES).contains(&enough), "{errors:?}");

    let (_, expected) = adaptive.run(&["--fresh", "--rows", &enough.to_string()]);
    let until = format!("--until-se=kl_nats={target}");
    let says = format!("reached by the first {enough} of {SEQUENCES} sequences; the largest is");
    for threads in ["1", "2", "5"] {
        let (said, table) = adaptive.run(&["--fresh", &until, "--threads", threads]);
        assert!(said.contains(&says), "{says}\n{said}");
        assert!(table == expected, "{threads} threads");
    }
    let manifest = adaptive.sandbox.json("out.csv.run/manifest.json");
    let run = &manifest["runs"][0];
    assert_eq!(run["sequences"], enough);
    assert_eq!(run["until_se_reached"], true);
    assert_eq!(run["corpus"]["sequences"], SEQUENCES);

    // From the journal alone, and from a journal with more than is needed.
    let (said, table) = adaptive.run(&[&until]);
    assert!(said.contains("were finished by an earlier run"), "{said}");
    assert!(table == expected);
    let (_, whole) = adaptive.run(&[]);
    assert!(whole != expected);
    assert!(adaptive.run(&[&until]).1 == expected);

    // A target that cannot be reached takes all sequences.
    let (said, table) = adaptive.run(&["--until-se", "kl_nats=1e-12"]);
    let says = format!("not reached by all {SEQUENCES} sequences; the largest is");
    assert!(said.contains(&says), "{said}");
    assert!(table == whole);
    let manifest = adaptive.sandbox.json("out.csv.run/manifest.json");
    assert_eq!(manifest["runs"][0]["until_se_reached"], false);
}

/// The journal of a run that a standard error ended lacks sequences, which `merge` cannot know to be none of it.
#[test]
fn merging_what_a_standard_error_ended_names_the_option() {
    let adaptive = Adaptive::new();
    let until = ["--until-se", "kl_nats=10", "--threads", "1"];
    adaptive.run(&until);
    let merge = ["merge", "out.csv.run", "--baseline", "id"];
    let merge = [&merge[..], &["--out", "merged.csv"]].concat();
    adaptive.sandbox.xtask(&merge).refused(&[
        "out.csv.run/gpt2.journal: shard 1/1 is not finished: missing units",
        "if it is finished because --until-se ended it, nothing is missing",
    ]);
    adaptive.run(&[&until[..], &["--baseline", "id"]].concat());
    let table = Table::new(&adaptive.sandbox.read("out.csv"));
    assert_eq!(table.text(1, "baseline"), "id");
}

/// Too few sequences for a standard error are reported, whatever the target: it was neither reached nor missed.
#[test]
fn few_sequences_are_not_judged() {
    let adaptive = Adaptive::new();
    let targets = ["kl_nats=10", "kl_nats=0.0001", "loss_nats=0.5"];
    // Every number of rows, and every target.
    for (rows, target) in (1..8).zip(targets.into_iter().cycle()) {
        let rows = rows.to_string();
        let arguments = ["--fresh", "--rows", &rows, "--until-se", target];
        let (said, _) = adaptive.run(&arguments);
        let says = format!(
            "{target} is not judged: that needs at least 8 sequences, but there are {rows};"
        );
        assert!(said.contains(&says), "{says}\n{said}");
        assert!(!said.contains("reached"), "{said}");
    }
    let (said, _) = adaptive.run(&["--fresh", "--rows", "8", "--until-se", "kl_nats=10"]);
    assert!(
        said.contains("reached by the first 8 of 8 sequences"),
        "{said}"
    );
}

#[test]
fn what_is_no_target_is_refused() {
    let adaptive = Adaptive::new();
    for (wrong, mentioned) in [
        ("kl=0.1", "expected kl_nats, top1_agreement"),
        ("kl_nats", "expected STATISTIC=VALUE"),
        ("kl_nats=0", "positive number"),
        ("kl_nats=nan", "positive number"),
    ] {
        let on = ["--model", &adaptive.model, "drop(l)", "--until-se", wrong];
        adaptive
            .sandbox
            .sweep(&on)
            .refused(&["--until-se", mentioned]);
    }
}

#[test]
fn a_dry_run_says_the_plan_and_leaves_nothing() {
    let adaptive = Adaptive::new();
    let before = adaptive.sandbox.contents();
    let on = ["--model", &adaptive.model, "drop(l)", "swap(l,l+1)"];
    let dry = |options: &[&str]| {
        let arguments = [&on[..], &["--dry-run"], options].concat();
        let outcome = adaptive.sandbox.sweep(&arguments).succeeded();
        assert_eq!(adaptive.sandbox.contents(), before, "{options:?}");
        assert_eq!(outcome.stdout, "");
        outcome.stderr
    };
    let said = dry(&[]);
    // Three blocks of two steps: 6 + 3·4 + 2·6 alone, twice 3² together.
    assert!(
        said.contains(
            "gpt2: 6 schedules, 18 steps (30 without sharing), on 30 sequences, 360 tokens"
        ),
        "{said}"
    );
    assert!(
        said.contains("gpt2: at most ") && said.contains("MiB a thread besides the weights"),
        "{said}"
    );
    let said = dry(&["--shard", "2/3"]);
    assert!(said.contains("gpt2: shard 2/3 has "), "{said}");
    let said = dry(&["--until-se", "loss_nats=0.5"]);
    assert!(said.contains("standard error of loss_nats=0.5"), "{said}");
    // A dry run refuses what a run would refuse.
    let wrong = [&on[..2], &["--dry-run", "drop(9)"]].concat();
    adaptive
        .sandbox
        .sweep(&wrong)
        .refused(&["drop(9)", "out of range"]);
    // An earlier run's files stay untouched.
    adaptive.run(&[]);
    let journal = adaptive.sandbox.read("out.csv.run/gpt2.journal");
    adaptive.sandbox.write("out.csv", b"mine");
    adaptive
        .sandbox
        .sweep(&[&on[..], &["--dry-run", "--fresh"]].concat())
        .succeeded();
    assert!(adaptive.sandbox.read("out.csv.run/gpt2.journal") == journal);
    assert_eq!(adaptive.sandbox.read("out.csv"), b"mine");
}

#[test]
fn a_dry_run_of_experiments_says_every_pass_and_leaves_nothing() {
    let [name, _] = embedded_model();
    let sandbox = Sandbox::new();
    let on = ["--model", &name, "--rows", "3", "--context", "20"];
    let dry = |figures: &[&str]| {
        let arguments = [&["reproduce", "--dry-run"], figures, &on].concat();
        let outcome = sandbox.xtask(&arguments).succeeded();
        assert_eq!(sandbox.contents(), Vec::<PathBuf>::new(), "{figures:?}");
        assert_eq!(outcome.stdout, "");
        outcome.stderr
    };
    let said = dry(&["--items", "2"]);
    for says in [
        // Eight blocks of two steps: 8 drops, 7 swaps, 6 repeats of three and 4 of five.
        "26 schedules, 254 steps (476 without sharing), on 3 sequences, 60 tokens",
        "plain: on 3 sequences, 60 tokens",
        "plain, other text: on 3 sequences, 60 tokens",
        "weights: 8 blocks",
        "windows of words, looked for in whole documents",
        "word senses: 600 pairs, then 240 and 360",
        "contexts of an ending: on 3 sequences, 60 tokens",
        // Two items of one continuation, two of four.
        "benchmarks: 20 schedules, 212 steps (344 without sharing), on 4 items, 10 sequences, ",
    ] {
        assert!(said.contains(&format!("{name}: {says}")), "{says}\n{said}");
    }
    let experiments = "\nexperiments: robustness, attention-locality, neurons, stages, ";
    assert!(said.contains(experiments), "{said}");
    // The name of a claim selects the experiments it is judged from.
    let said = dry(&["D22"]);
    let told: Vec<&str> = said
        .lines()
        .filter(|line| !line.ends_with("by the habit of the family"))
        .collect();
    let (estimate, told) = told.split_last().unwrap();
    let plan = format!("{name}: plain: on 3 sequences, 60 tokens");
    assert_eq!(told, ["experiments: mlp-norm", &plan]);
    assert!(estimate.starts_with("1 pass: about "), "{estimate}");
    let said = dry(&["robustness", "--shard", "1/8"]);
    assert!(said.contains(" for all 8 shards together, "), "{said}");
    let said = dry(&["robustness", "--until-se", "kl_nats=0.1"]);
    assert!(said.contains("standard error of kl_nats=0.1"), "{said}");
}

#[test]
fn figures_take_as_many_sequences_as_a_standard_error_takes() {
    let adaptive = Adaptive::new();
    let target = 0.5 * (adaptive.worst(8) + adaptive.worst(SEQUENCES));
    let run = |out: &str, options: &[&str]| {
        let on = ["reproduce", "robustness", "--model", &adaptive.model];
        let to = ["--corpus", "ids.npy", "--out", out];
        let arguments = [&on[..], &to, options].concat();
        adaptive.sandbox.xtask(&arguments).succeeded();
        let manifest = adaptive.sandbox.json(&format!("{out}/manifest.json"));
        let table = adaptive.sandbox.read(&format!("{out}/gpt2/robustness.csv"));
        (manifest["runs"][0]["sequences"].as_u64().unwrap(), table)
    };
    let (enough, table) = run("some", &[&format!("--until-se=kl_nats={target}")]);
    assert!((9..SEQUENCES as u64).contains(&enough), "{enough}");
    let (all, whole) = run("all", &[]);
    assert_eq!(all, SEQUENCES as u64);
    assert!(table != whole);
    assert!(run("first", &["--rows", &enough.to_string()]) == (enough, table));
}

#[test]
fn the_first_sequence_tells_how_long_the_others_take() {
    let adaptive = Adaptive::new();
    let (said, _) = adaptive.run(&[]);
    assert_eq!(
        said.matches("gpt2: the first sequence of the sweep took ")
            .count(),
        1
    );
    assert!(said.contains(" left for 29 more"), "{said}");
    let (said, _) = adaptive.run(&["--fresh", "--until-se", "kl_nats=1e-9"]);
    assert!(said.contains(" left for at most 29 more"), "{said}");
    fs::remove_file(adaptive.sandbox.path("out.csv")).unwrap();
    let (said, _) = adaptive.run(&["--fresh", "--rows", "1"]);
    assert!(
        !said.contains("the first sequence of the sweep took"),
        "{said}"
    );
}
