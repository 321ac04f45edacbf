//! The project's list of 93 bad inputs, through the built program.
//!
//! Every case builds its input in code, in a folder of its own, from a checkpoint and texts that are good (a test checks
//! that), and runs the program there. Refused means: exit code 1 or 2; a message that names the file, the item, what was
//! expected and what was found; no panic; no output; and all of it with limited memory, in limited time.
//! `README.md` lists all cases; it is generated from them, and a test keeps it current.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(unix)]

mod architecture;
mod checkpoint;
mod config;
mod faults;
mod folder;
mod generation;
mod journals;
mod links;
mod numbers;
mod parquet;
mod results;
mod runs;
mod safetensors;
mod sandbox;
mod table;
mod tasks;
mod text;
mod values;

use sandbox::{Outcome, Sandbox};
use std::path::{Path, PathBuf};

/// An experiment on the model and the token ids of a sandbox.
const REPRODUCE: [&str; 8] = [
    "reproduce",
    "robustness",
    "--model",
    "model",
    "--corpus",
    "ids.npy",
    "--out",
    "out",
];

/// The expected outcome of a case.
#[derive(Clone, Copy, PartialEq)]
enum Expected {
    /// An error, and no output.
    Refused,
    /// An error after the run has begun: its journal stays, and there is no result.
    Stopped,
    /// A result, and a message about what is unusual.
    Accepted,
}

/// One bad input.
struct Case {
    /// Number in the list of bad inputs.
    number: u8,
    what: &'static str,
    expected: Expected,
    /// Puts the input into a sandbox that is otherwise good.
    make: Box<dyn Fn(&Sandbox)>,
    /// Text that the message, or for accepted inputs the messages, must contain.
    says: Vec<String>,
    command: Command,
}

/// The commands that run on a case's input.
enum Command {
    /// `sweep`, `sweep --no-mmap` and `reproduce`, all on token ids; they must agree.
    Model,
    /// `sweep` on a corpus, with more arguments.
    Sweep(&'static str, Vec<&'static str>),
    /// Exactly these arguments.
    Exactly(Vec<&'static str>),
}

impl Case {
    fn new(
        (number, what): (u8, &'static str),
        expected: Expected,
        make: impl Fn(&Sandbox) + 'static,
        says: &[&str],
    ) -> Self {
        Self {
            number,
            what,
            expected,
            make: Box::new(make),
            says: says.iter().map(|part| (*part).to_owned()).collect(),
            command: Command::Model,
        }
    }

    /// A model that must be refused.
    fn refused(name: (u8, &'static str), make: impl Fn(&Sandbox) + 'static, says: &[&str]) -> Self {
        Self::new(name, Expected::Refused, make, says)
    }

    /// A model that must load, with a message about it.
    fn accepted(
        name: (u8, &'static str),
        make: impl Fn(&Sandbox) + 'static,
        says: &[&str],
    ) -> Self {
        Self::new(name, Expected::Accepted, make, says)
    }

    /// The same input, for `sweep` on this corpus.
    fn on(self, corpus: &'static str, arguments: &[&'static str]) -> Self {
        let command = Command::Sweep(corpus, arguments.to_vec());
        Self { command, ..self }
    }

    /// The same input, for this command line.
    fn exactly(self, arguments: &[&'static str]) -> Self {
        let command = Command::Exactly(arguments.to_vec());
        Self { command, ..self }
    }

    fn command_lines(&self) -> Vec<Vec<&'static str>> {
        let sweep = |corpus, arguments: &[&'static str]| {
            let fixed = [
                "sweep", "drop(l)", "--model", "model", "--corpus", corpus, "--out", "out.csv",
            ];
            [&fixed, arguments].concat()
        };
        match (&self.command, self.expected) {
            (Command::Model, Expected::Refused | Expected::Stopped) => vec![
                sweep("ids.npy", &[]),
                sweep("ids.npy", &["--no-mmap"]),
                REPRODUCE.to_vec(),
            ],
            (Command::Model, Expected::Accepted) => {
                vec![sweep("ids.npy", &[]), sweep("ids.npy", &["--no-mmap"])]
            }
            (Command::Sweep(corpus, arguments), _) => vec![sweep(corpus, arguments)],
            (Command::Exactly(arguments), _) => vec![arguments.clone()],
        }
    }

    /// Everything that is wrong with how the program handles the case.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for arguments in self.command_lines() {
            let sandbox = Sandbox::new();
            (self.make)(&sandbox);
            let before = sandbox.contents();
            let outcome = sandbox.run(&arguments);
            let mut fault = |what: String| {
                let how = [arguments.first(), arguments.last()];
                faults.push(format!(
                    "{} {} ({how:.80?}): {what}",
                    self.number, self.what
                ));
            };
            match self.expected {
                Expected::Refused | Expected::Stopped => {
                    if !matches!(outcome.code, Some(1 | 2)) {
                        fault(format!("exit code {:?}: {}", outcome.code, outcome.stderr));
                    }
                    let mut after = sandbox.contents();
                    if self.expected == Expected::Stopped {
                        let is_journal = |path: &Path| path.extension() == Some("journal".as_ref());
                        let paths = after.iter().map(|(path, _)| path.clone());
                        let journals: Vec<PathBuf> =
                            paths.filter(|path| is_journal(path)).collect();
                        // A journal, and its folders.
                        after.retain(|(path, _)| !journals.iter().any(|j| j.starts_with(path)));
                    }
                    if after != before {
                        fault(format!("left something: {after:?}"));
                    }
                }
                Expected::Accepted => {
                    if outcome.code != Some(0) {
                        fault(format!("exit code {:?}: {}", outcome.code, outcome.stderr));
                    }
                    let table = std::fs::read_to_string(sandbox.path("out.csv"));
                    if !table.is_ok_and(|table| table.lines().count() == 4) {
                        fault("no table of three schedules".to_owned());
                    }
                }
            }
            faults_of_words(&outcome, &self.says, &mut fault);
        }
        faults
    }
}

/// What is wrong with the messages, whatever the outcome.
fn faults_of_words(outcome: &Outcome, says: &[String], fault: &mut impl FnMut(String)) {
    let said = &outcome.stderr;
    if said.contains("panicked") || said.contains("RUST_BACKTRACE") {
        fault(format!("a panic: {said}"));
    }
    // The message must be readable.
    if said.len() > 10_000 {
        let start: String = said.chars().take(200).collect();
        fault(format!("{} bytes of messages: {start}…", said.len()));
    }
    if said.chars().any(|c| c.is_control() && c != '\n') {
        fault(format!("control characters: {said:?}"));
    }
    for part in says {
        if !said.contains(part.as_str()) {
            fault(format!("{part:?} is not in: {said}"));
        }
    }
}

/// Runs cases, and reports all faults together.
fn check(cases: Vec<Case>) {
    let faults: Vec<String> = cases.iter().flat_map(Case::faults).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The inputs that the cases start from are good.
#[test]
fn the_sandbox_is_good() {
    for corpus in ["ids.npy", "text.txt", "text.jsonl"] {
        for family in ["llama", "gpt2"] {
            let outcome = Case::accepted((0, "good"), move |s| s.write_model(family), &["model"])
                .on(corpus, &[]);
            check(vec![outcome]);
        }
    }
}
