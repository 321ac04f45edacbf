//! Runs that were stopped, in every way a run can be stopped, and resume.

use crate::{Outcome, Sandbox, narrow, tiny, token_ids};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const JOURNAL: &str = "out.csv.run/qwen2.journal";
const SEQUENCES: usize = 40;

/// A run that takes between some hundred milliseconds and a few seconds.
struct Stopped {
    sandbox: Sandbox,
    arguments: Vec<String>,
    /// The files and folders that it writes.
    output: String,
    belongings: Vec<&'static str>,
    /// The folder of its journal.
    journals: String,
    model: String,
    /// Its units of work.
    units: usize,
    unit: &'static str,
}

impl Stopped {
    fn new(sequences: usize) -> Self {
        let arguments = ["sweep", "--corpus", "ids.npy", "--out", "out.csv"];
        let edits = ["drop(l)", "swap(l,m)", "repeat(l..L)"];
        let mut arguments: Vec<String> = [&arguments[..], &edits]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect();
        arguments.extend(["--model".to_owned(), tiny("qwen2")]);
        Self {
            sandbox: Sandbox::with_ids(&token_ids(sequences, 64, 37)),
            arguments,
            output: "out.csv".to_owned(),
            belongings: vec!["out.csv", "out.csv.run"],
            journals: "out.csv.run".to_owned(),
            model: "qwen2".to_owned(),
            units: sequences,
            unit: "sequences of the sweep",
        }
    }

    /// The stand-ins for benchmarks, of which there are two kinds.
    fn benchmarks(items: usize) -> Self {
        let sandbox = Sandbox::new();
        let model = narrow(&sandbox).to_owned();
        let items_each = (items / 2).to_string();
        let arguments = ["reproduce", "benchmarks", "--out", "out", "--items"];
        let arguments = [&arguments[..], &[&items_each, "--model", &model]].concat();
        Self {
            sandbox,
            arguments: arguments.into_iter().map(str::to_owned).collect(),
            output: format!("out/{model}/benchmarks.csv"),
            belongings: vec!["out"],
            journals: format!("out/{model}/benchmarks.run"),
            model,
            units: items,
            unit: "items of benchmarks",
        }
    }

    fn arguments(&self) -> Vec<&str> {
        self.arguments.iter().map(String::as_str).collect()
    }

    fn run(&self) -> Outcome {
        self.sandbox.xtask(&self.arguments())
    }

    fn start(&self) -> Child {
        let arguments = [&self.arguments()[..], &["--threads", "2"]].concat();
        let mut command = self.sandbox.command(&arguments);
        command.stderr(Stdio::piped()).spawn().unwrap()
    }

    fn written(&self) -> Vec<u8> {
        self.sandbox.read(&self.output)
    }

    fn has_written(&self) -> bool {
        self.sandbox.path(&self.output).exists()
    }

    /// The table of an uninterrupted run.
    fn uninterrupted(&self) -> Vec<u8> {
        self.run().succeeded();
        self.written()
    }

    fn forget(&self) {
        for name in &self.belongings {
            let path = self.sandbox.path(name);
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }
    }

    /// The message of a run that resumes after a number of units.
    fn says(&self, finished: usize) -> String {
        format!(
            "{}: {finished} {} were finished by an earlier run",
            self.model, self.unit
        )
    }

    /// The number of units that the journal has finished.
    fn journalled(&self) -> usize {
        self.units_of("unit").len()
    }

    /// The units that complete lines of the journal give under this key, which comes first after their checksum.
    fn units_of(&self, key: &str) -> BTreeSet<u64> {
        let Ok(mut journals) = fs::read_dir(self.sandbox.path(&self.journals)) else {
            return BTreeSet::new();
        };
        let is_journal = |path: &PathBuf| path.extension().is_some_and(|e| e == "journal");
        let journal = journals.find_map(|entry| Some(entry.unwrap().path()).filter(is_journal));
        let bytes = fs::read(journal.unwrap_or_default()).unwrap_or_default();
        let whole = bytes.split_inclusive(|byte| *byte == b'\n');
        let whole = whole.filter(|line| line.ends_with(b"\n"));
        // The checksum and a space precede the JSON.
        let beginning = format!("{{\"{key}\":");
        let values = whole.filter_map(|line| line[17..].strip_prefix(beginning.as_bytes()));
        let unit = |value: &[u8]| {
            let mut numbers = serde_json::Deserializer::from_slice(value).into_iter();
            numbers.next().unwrap().unwrap()
        };
        values.map(unit).collect()
    }
}

#[test]
fn a_journal_cut_anywhere_gives_the_same_table() {
    let stopped = Stopped::new(6);
    let expected = stopped.uninterrupted();
    let journal = stopped.sandbox.read(JOURNAL);
    let ends: Vec<usize> = (1..=journal.len())
        .filter(|end| journal[end - 1] == b'\n')
        .collect();
    assert_eq!(ends.len(), 7, "a header and six units");
    let mut cuts = vec![0, 1, ends[0] / 2, ends[0] - 1];
    for unit in [1, 3, 6] {
        let (start, end) = (ends[unit - 1], ends[unit]);
        cuts.extend([start, start + 1, (start + end) / 2, end - 1]);
    }
    for cut in cuts {
        fs::remove_file(stopped.sandbox.path("out.csv")).unwrap();
        stopped.sandbox.write(JOURNAL, &journal[..cut]);
        let said = stopped.run().succeeded().stderr;
        assert!(
            stopped.sandbox.read("out.csv") == expected,
            "cut at byte {cut}"
        );
        assert_eq!(stopped.journalled(), 6, "cut at byte {cut}");

        let finished = ends.iter().filter(|end| **end <= cut).count();
        let finished = finished.saturating_sub(1);
        let says =
            format!("qwen2: {finished} sequences of the sweep were finished by an earlier run");
        assert_eq!(
            said.contains(&says),
            finished > 0,
            "cut at byte {cut}: {said}"
        );
        let torn = cut > 0 && !ends.contains(&cut);
        assert_eq!(
            said.contains("the last line was cut off"),
            torn,
            "cut at byte {cut}: {said}"
        );
    }
}

/// The number of kills, unless the environment says otherwise.
const KILLS: usize = 6;

/// Kills runs (on Unix with signal 9) after a random number of units and a random time. Each run adds to what those before it
/// have finished; once one has finished, the next starts over.
fn check_kills(stopped: &Stopped) {
    let kills = std::env::var("LAYERWISE_TEST_KILLS");
    let kills = kills.map_or(KILLS, |kills| kills.parse().unwrap());
    let begin = Instant::now();
    let expected = stopped.uninterrupted();
    let unit = begin.elapsed() / stopped.units as u32;
    stopped.forget();
    let random = |at: usize, below: usize| token_ids(1, 2 * kills, below as u64)[0][at] as usize;
    let mut met = 0;
    for kill in 0..kills {
        let before = stopped.journalled();
        let wanted = before + random(2 * kill, stopped.units / 4);
        let mut child = stopped.start();
        while stopped.journalled() < wanted && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(unit.mul_f64(random(2 * kill + 1, 100) as f64 / 50.0));
        child.kill().unwrap();
        let killed = !child.wait().unwrap().success();
        let after = stopped.journalled();
        assert!(
            after >= before,
            "kill {kill}: {after} units, before {before}"
        );
        met += usize::from(killed && after < stopped.units);
        if stopped.has_written() {
            assert!(
                stopped.written() == expected,
                "kill {kill}: an output is whole or not there"
            );
            stopped.forget();
        } else if kill % 2 == 1 {
            // Every second one runs to the end.
            let said = stopped.run().succeeded().stderr;
            let says = stopped.says(after);
            assert!(after == 0 || said.contains(&says), "kill {kill}: {said}");
            assert!(stopped.written() == expected, "kill {kill}");
            stopped.forget();
        }
    }
    assert!(met > 0, "no kill met a run with work left");
    println!("{met} of {kills} kills met a run with work left");
    assert!(stopped.uninterrupted() == expected);
}

#[test]
fn killed_runs_go_on_to_the_same_table() {
    check_kills(&Stopped::new(SEQUENCES));
}

#[test]
fn killed_benchmarks_go_on_to_the_same_table() {
    check_kills(&Stopped::benchmarks(32));
}

/// A run is interrupted after its first unit.
#[cfg(unix)]
fn check_interrupt(stopped: &Stopped) {
    let expected = stopped.uninterrupted();
    stopped.forget();
    let mut child = stopped.start();
    while stopped.journalled() == 0 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let (finished, all) = (stopped.journalled(), stopped.units);
    match output.status.code() {
        Some(130) => {
            // Each worker may have written a part of the same unit.
            let parts = match stopped.units_of("part_of").len() {
                0 => String::new(),
                parts => format!(", and parts of {parts} more"),
            };
            let says = format!(
                "interrupted: {finished} of {all} {} are finished and kept{parts}; \
                 the same command resumes there",
                stopped.unit
            );
            assert!(said.contains(&says), "{says}\n{said}");
            assert!(finished < all, "{finished}");
            assert!(!stopped.has_written());
        }
        // The interrupt came after the last unit.
        Some(0) => assert_eq!(finished, all),
        code => panic!("exit code {code:?}: {said}"),
    }
    let said = stopped.run().succeeded().stderr;
    assert!(stopped.written() == expected);
    let says = stopped.says(finished);
    assert_eq!(said.contains(&says), finished > 0, "{said}");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_says_how_to_go_on() {
    check_interrupt(&Stopped::new(SEQUENCES));
}

/// One sequence under many schedules is cut between them.
#[cfg(unix)]
#[test]
fn an_interrupt_cuts_a_long_unit_and_loses_no_schedule() {
    let mut stopped = Stopped::new(1);
    let edits = ["zero(attn.head_out[l,h])", "swap(l,m);swap(0,1)"];
    stopped.arguments.extend(edits.map(str::to_owned));
    let expected = stopped.uninterrupted();
    let whole = stopped.sandbox.read(JOURNAL);
    stopped.forget();
    let mut parts = 0;
    // It is not known in advance when a part of the schedules is finished.
    for wait in (0..).map(Duration::from_millis).take(400) {
        let mut child = stopped.start();
        while !stopped.sandbox.path(JOURNAL).exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(wait);
        interrupt(&child);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        parts = stopped.units_of("part_of").len();
        if parts > 0 || output.status.success() {
            assert!(
                parts == 0 || said.contains("finished and kept, and parts of 1 more;"),
                "{said}"
            );
            break;
        }
    }
    if parts > 0 {
        let said = stopped.run().succeeded().stderr;
        assert!(
            said.contains("qwen2: of 1 more, some schedules were"),
            "{said}"
        );
        assert!(stopped.written() == expected);
        let line = |journal: &[u8]| {
            journal
                .rsplit(|byte| *byte == b'\n')
                .nth(1)
                .map(<[u8]>::to_vec)
        };
        assert_eq!(line(&stopped.sandbox.read(JOURNAL)), line(&whole));
    }
}

#[cfg(unix)]
fn interrupt(child: &Child) {
    let sent = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .stderr(Stdio::null())
        .status();
    sent.unwrap();
}

#[cfg(unix)]
#[test]
fn interrupted_benchmarks_say_how_to_go_on() {
    check_interrupt(&Stopped::benchmarks(32));
}

#[test]
fn a_run_is_held_by_one_process() {
    let stopped = Stopped::new(2);
    let expected = stopped.uninterrupted();
    fs::remove_file(stopped.sandbox.path("out.csv")).unwrap();
    let held = File::open(stopped.sandbox.path(JOURNAL)).unwrap();
    held.lock().unwrap();
    stopped
        .run()
        .refused(&["qwen2.journal", "another process is working on this run"]);
    assert!(!stopped.sandbox.path("out.csv").exists());
    held.unlock().unwrap();
    stopped.run().succeeded();
    assert!(stopped.sandbox.read("out.csv") == expected);
}

#[test]
fn a_damaged_journal_is_refused_by_line_until_fresh() {
    let stopped = Stopped::new(4);
    let expected = stopped.uninterrupted();
    let journal = stopped.sandbox.read(JOURNAL);
    let lines: Vec<&[u8]> = journal.split_inclusive(|byte| *byte == b'\n').collect();
    for (line, text) in lines.iter().enumerate() {
        fs::remove_file(stopped.sandbox.path("out.csv")).unwrap();
        let start: usize = lines[..line].iter().map(|line| line.len()).sum();
        let mut damaged = journal.clone();
        damaged[start + text.len() / 2] ^= 1;
        stopped.sandbox.write(JOURNAL, &damaged);
        let says = format!("line {} is damaged", line + 1);
        stopped
            .run()
            .refused(&["qwen2.journal", &says, "start over with --fresh"]);
        assert!(!stopped.sandbox.path("out.csv").exists());
        assert!(stopped.sandbox.read(JOURNAL) == damaged, "nothing is lost");
        let mut fresh = stopped.arguments();
        fresh.push("--fresh");
        stopped.sandbox.xtask(&fresh).succeeded();
        assert!(stopped.sandbox.read("out.csv") == expected);
    }
}

/// A limit on file sizes stands in for a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_keeps_what_fits() {
    let stopped = Stopped::new(6);
    // One thread finishes sequences in corpus order.
    let alone = [&stopped.arguments()[..], &["--threads", "1"]].concat();
    stopped.sandbox.xtask(&alone).succeeded();
    let expected = stopped.sandbox.read("out.csv");
    let journal = stopped.sandbox.read(JOURNAL);
    stopped.forget();
    // The limit is in units of 512 bytes; two thirds of a journal end within a line.
    let blocks = (journal.len() * 2 / 3 / 512).to_string();
    let mut limited = std::process::Command::new("sh");
    limited
        .current_dir(stopped.sandbox.folder.path())
        .args(["-c", "trap '' XFSZ; ulimit -f $0; exec \"$@\"", &blocks])
        .arg(crate::program())
        .args(alone);
    let output = limited.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("qwen2.journal: File too large"), "{said}");
    assert!(!stopped.sandbox.path("out.csv").exists());
    let finished = stopped.journalled();
    assert!((1..6).contains(&finished), "{finished}");
    assert!(
        journal.starts_with(&stopped.sandbox.read(JOURNAL)),
        "the line that did not fit is taken back"
    );
    let said = stopped.run().succeeded().stderr;
    let says = format!("qwen2: {finished} sequences of the sweep were finished by an earlier run");
    assert!(said.contains(&says), "{said}");
    assert!(!said.contains("cut off"), "{said}");
    assert!(stopped.sandbox.read("out.csv") == expected);
}

/// Items in the form of the real data set; one may be changed.
fn items(sandbox: &Sandbox, answer: &str, gold: usize) {
    let passage = r#"{"context": "the people of the", "continuation": "united states"}"#;
    let question = |query: &str, choices: [&str; 2], gold: usize| {
        serde_json::json!({ "query": query, "choices": choices, "gold": gold }).to_string()
    };
    let easy = question("Question: What is a state?", [answer, "a law"], gold);
    let swag = question("The people of this", ["country", "of the"], 0);
    fs::create_dir_all(sandbox.path("items")).unwrap();
    for (name, line) in [
        ("lambada_openai", passage),
        ("arc_easy", &easy),
        ("hellaswag", &swag),
    ] {
        sandbox.write(
            &format!("items/{name}.jsonl"),
            format!("{line}\n{line}\n").as_bytes(),
        );
    }
}

#[test]
fn answers_to_other_items_are_not_taken_up() {
    let sandbox = Sandbox::new();
    let model = narrow(&sandbox);
    let run = |out: &str, options: &[&str]| {
        let given = ["reproduce", "benchmarks", "--benchmarks", "items"];
        let on = ["--model", model, "--out", out];
        let said = sandbox
            .xtask(&[&given[..], &on, options].concat())
            .succeeded();
        let taken_up = said
            .stderr
            .contains("6 items of benchmarks were finished by an earlier run");
        (
            taken_up,
            sandbox.read(&format!("{out}/{model}/benchmarks.csv")),
        )
    };
    items(&sandbox, "a country", 0);
    let (_, before) = run("out", &[]);
    // The journal contains log-likelihoods, which do not depend on which answer counts as right.
    for (at, (answer, gold, options, same_likelihoods)) in [
        ("a country of", 0, &[][..], false),
        ("a country", 1, &[], true),
        ("a country", 0, &["--bos", "7"], false),
        ("a country", 0, &["--items", "1"], false),
    ]
    .into_iter()
    .enumerate()
    {
        items(&sandbox, answer, gold);
        let (taken_up, found) = run("out", options);
        assert_eq!(taken_up, same_likelihoods, "{answer} {gold} {options:?}");
        let (_, expected) = run(&format!("fresh-{at}"), options);
        assert!(found == expected, "{answer} {gold} {options:?}");
    }
    // Nothing was lost in the meantime.
    items(&sandbox, "a country", 0);
    assert!(run("out", &[]) == (true, before.clone()));
    assert!(run("out", &["--fresh"]) == (false, before));
}

/// Every reading that keeps finished work, started again.
#[test]
fn what_every_reading_keeps_is_taken_up() {
    let sandbox = Sandbox::new();
    let model = narrow(&sandbox);
    let figures = [
        "robustness",
        "mlp-norm",
        "shift",
        "suffix-probe",
        "benchmarks",
    ];
    let on = ["--rows", "24", "--context", "256", "--items", "2"];
    let to = ["--model", model, "--out", "out"];
    let arguments = [&["reproduce"], &figures[..], &on, &to].concat();
    let files = || -> Vec<(PathBuf, Vec<u8>)> {
        let all = sandbox.contents().into_iter();
        let files = all.filter(|path| sandbox.path("").join(path).is_file());
        files
            // It shows the time.
            .filter(|path| !path.ends_with("manifest.json"))
            .map(|path| (path.clone(), fs::read(sandbox.path("").join(path)).unwrap()))
            .collect()
    };
    let said = sandbox.xtask(&arguments).succeeded().stderr;
    assert!(!said.contains("were finished"), "{said}");
    let first = files();
    let said = sandbox.xtask(&arguments).succeeded().stderr;
    for (kept, times) in [
        ("24 sequences of the sweep", 1),
        // Of both texts.
        ("24 sequences of the plain pass", 2),
        ("contexts of suffix-probe", 1),
        ("4 items of benchmarks", 1),
    ] {
        let says = format!("{kept} were finished by an earlier run");
        assert_eq!(said.matches(&says).count(), times, "{says}\n{said}");
    }
    assert!(files() == first);
}
