//! Runs that were stopped, in every way a run can be stopped, and go on.

use crate::{Outcome, Sandbox, tiny, token_ids};
use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const JOURNAL: &str = "out.csv.run/qwen2.journal";
const SEQUENCES: usize = 40;

/// A run of some hundred milliseconds.
struct Stopped {
    sandbox: Sandbox,
    arguments: Vec<String>,
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

    /// The table of a run that nothing stops.
    fn uninterrupted(&self) -> Vec<u8> {
        self.run().succeeded();
        self.sandbox.read("out.csv")
    }

    fn forget(&self) {
        fs::remove_file(self.sandbox.path("out.csv")).unwrap();
        fs::remove_dir_all(self.sandbox.path("out.csv.run")).unwrap();
    }

    /// Whole lines of the journal, without the first.
    fn journalled(&self) -> usize {
        let bytes = fs::read(self.sandbox.path(JOURNAL)).unwrap_or_default();
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        lines.saturating_sub(1)
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
        let says = format!("qwen2: {finished} sequences were finished by an earlier run");
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

/// How often runs are killed, where the environment does not say.
const KILLS: usize = 6;

/// Runs are killed (on Unix with signal 9) after a random number of units and a random time, each adding to what those
/// before it have finished; once one has come to its end, all is begun anew.
#[test]
fn killed_runs_go_on_to_the_same_table() {
    let kills = std::env::var("LAYERWISE_TEST_KILLS");
    let kills = kills.map_or(KILLS, |kills| kills.parse().unwrap());
    let stopped = Stopped::new(SEQUENCES);
    let begin = Instant::now();
    let expected = stopped.uninterrupted();
    let unit = begin.elapsed() / SEQUENCES as u32;
    stopped.forget();
    let random = |at: usize, below: usize| token_ids(1, 2 * kills, below as u64)[0][at] as usize;
    let mut met = 0;
    for kill in 0..kills {
        let before = stopped.journalled();
        let wanted = before + random(2 * kill, SEQUENCES / 4);
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
        met += usize::from(killed && after < SEQUENCES);
        if stopped.sandbox.path("out.csv").exists() {
            assert!(
                stopped.sandbox.read("out.csv") == expected,
                "kill {kill}: an output is whole or not there"
            );
            stopped.forget();
        } else if kill % 2 == 1 {
            // Every second one goes on to the end.
            let said = stopped.run().succeeded().stderr;
            let says = format!("qwen2: {after} sequences were finished by an earlier run");
            assert!(after == 0 || said.contains(&says), "kill {kill}: {said}");
            assert!(stopped.sandbox.read("out.csv") == expected, "kill {kill}");
            stopped.forget();
        }
    }
    assert!(met > 0, "no kill met a run with work left");
    println!("{met} of {kills} kills met a run with work left");
    assert!(stopped.uninterrupted() == expected);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_says_how_to_go_on() {
    let stopped = Stopped::new(SEQUENCES);
    let expected = stopped.uninterrupted();
    stopped.forget();
    let mut child = stopped.start();
    while stopped.journalled() == 0 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let killed = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .stderr(Stdio::null())
        .status();
    killed.unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let finished = stopped.journalled();
    match output.status.code() {
        Some(130) => {
            let says = format!(
                "interrupted: {finished} of {SEQUENCES} sequences are finished and kept; \
                 the same command goes on from there"
            );
            assert!(said.contains(&says), "{says}\n{said}");
            assert!(finished > 0 && finished < SEQUENCES, "{finished}");
            assert!(!stopped.sandbox.path("out.csv").exists());
        }
        // The interrupt came after the last sequence.
        Some(0) => assert_eq!(finished, SEQUENCES),
        code => panic!("exit code {code:?}: {said}"),
    }
    let said = stopped.run().succeeded().stderr;
    assert!(stopped.sandbox.read("out.csv") == expected);
    let says = format!("qwen2: {finished} sequences were finished by an earlier run");
    assert!(said.contains(&says), "{said}");
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
        .refused(&["qwen2.journal", "another process holds this run"]);
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

/// A limit on the size of files stands for a full disk.
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
    // In units of 512 bytes; a journal of two thirds ends within a line.
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
    let says = format!("qwen2: {finished} sequences were finished by an earlier run");
    assert!(said.contains(&says), "{said}");
    assert!(!said.contains("cut off"), "{said}");
    assert!(stopped.sandbox.read("out.csv") == expected);
}
