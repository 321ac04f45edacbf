//! The command to divide: `sweep` or `reproduce`, as the user gave it.

use crate::trial::Trial;
use crate::{command_line, reproduce, sweep};
use anyhow::{Context, bail, ensure};
use clap::{CommandFactory, FromArgMatches, Parser};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// A command of which every task runs one shard.
pub(super) struct Command {
    parsed: Parsed,
    /// `sweep` or `reproduce`.
    name: String,
    /// The arguments after the name, without the output.
    rest: Vec<String>,
    /// The output of the whole run.
    pub out: PathBuf,
}

#[derive(Parser)]
#[command(name = "layerwise", no_binary_name = true)]
enum Parsed {
    Reproduce(Box<reproduce::Arguments>),
    Sweep(Box<sweep::Arguments>),
}

/// Options that the program sets for each task, or that do not work in an array, and what to do instead.
const OWN: [(&str, &str); 13] = [
    ("--shard", "--array N says how many there are"),
    ("--threads", "--cpus C says how many each task has"),
    (
        "--dry-run",
        "put it before the command: submit … --dry-run -- …",
    ),
    (
        "--fresh",
        "a task that starts again resumes from its journal; give another --out, or remove the old one",
    ),
    (
        "--until-se",
        "only a whole run can be judged against a target; give --rows or --tokens",
    ),
    (
        "--baseline",
        "give it to `merge`, with the same shards and another --out",
    ),
    (
        "--per-item",
        "give it to `merge`, with the same shards and another --out",
    ),
    (
        "--per-token",
        "only a whole run writes this file; run the sweep itself, without `submit`",
    ),
    (
        "--classes",
        "only a whole run writes this file; run the sweep itself, without `submit`",
    ),
    (
        "--labels",
        "it is for --classes, which only a whole run writes; run the sweep itself, without `submit`",
    ),
    ("--sort", "the rows of a file are in the order of the edits"),
    (
        "--open",
        "the report is there after the merge; open it then",
    ),
    (
        "--list-files",
        "only the merge writes results, and `draw --list-files` lists them after it",
    ),
];

impl Command {
    /// Parses a command line as the program itself does.
    ///
    /// # Errors
    /// The command cannot be divided, the program does not accept it, it has no output, or it has an option that the tasks set
    /// themselves.
    pub(super) fn parse(words: &[String]) -> anyhow::Result<Self> {
        let (name, rest) = words
            .split_first()
            .context("expected a command after `--`")?;
        ensure!(
            ["reproduce", "sweep"].contains(&name.as_str()),
            "`{name:.200}`: expected reproduce or sweep, the commands that have shards"
        );
        for (option, instead) in OWN {
            ensure!(
                place_of(rest, option).is_none(),
                "`{option}` is not for the command of an array: {instead}"
            );
        }
        let parsed = command_line::parse(&Parsed::command(), words)
            .and_then(|found| Parsed::from_arg_matches(&found));
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                let message = error.to_string();
                let message = message.strip_prefix("error: ").unwrap_or(&message);
                let first: Vec<&str> = message
                    .lines()
                    .take_while(|line| !line.is_empty())
                    .collect();
                bail!("the command after `--`: {}", first.join(" "));
            }
        };
        let out = match &parsed {
            Parsed::Reproduce(arguments) => arguments.out(),
            Parsed::Sweep(arguments) => arguments.out().context(
                "the command after `--`: expected --out FILE for the table of the sweep",
            )?,
        };
        Ok(Self {
            name: name.clone(),
            out: out.to_owned(),
            rest: without(rest, "--out"),
            parsed,
        })
    }

    /// Whether it is a sweep, which has an output for each shard.
    pub(super) fn is_sweep(&self) -> bool {
        matches!(self.parsed, Parsed::Sweep(_))
    }

    /// Refuses outputs of a sweep that would replace each other or an input: tasks have outputs of their own, and the merge does
    /// not know the inputs.
    ///
    /// # Errors
    /// As [`sweep::Arguments::check_distinct`].
    pub(super) fn check_distinct(&self) -> anyhow::Result<()> {
        match &self.parsed {
            Parsed::Sweep(arguments) => arguments.check_distinct([]),
            Parsed::Reproduce(_) => Ok(()),
        }
    }

    /// `sweep` or `reproduce`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The arguments after the name, without the output.
    pub(super) fn rest(&self) -> &[String] {
        &self.rest
    }

    /// Whether an option is among the arguments.
    pub(super) fn has(&self, option: &str) -> bool {
        place_of(&self.rest, option).is_some()
    }

    /// Runs the first items, on this many threads.
    ///
    /// # Errors
    /// Inputs are invalid, memory is insufficient on this machine, or the user presses Ctrl-C.
    pub(super) fn run_trial(
        self,
        trial: &'static Trial,
        threads: NonZeroUsize,
    ) -> anyhow::Result<()> {
        match self.parsed {
            Parsed::Reproduce(arguments) => reproduce::reproduce(&arguments.tried(trial, threads)),
            Parsed::Sweep(arguments) => sweep::sweep(&arguments.tried(trial, threads)),
        }
    }
}

/// The index of an option, as `--name` or `--name=VALUE`; nothing after `--` is an option.
fn place_of(words: &[String], option: &str) -> Option<usize> {
    let words = words.iter().take_while(|word| *word != "--");
    let is_it = |word: &String| {
        let rest = word.strip_prefix(option);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    };
    words.clone().position(is_it)
}

/// The words, without an option that has a value.
fn without(words: &[String], option: &str) -> Vec<String> {
    let mut words = words.to_vec();
    if let Some(at) = place_of(&words, option) {
        let width = if words[at] == option { 2 } else { 1 };
        words.drain(at..words.len().min(at + width));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_output_is_taken_out_of_a_command() {
        let check = |text: &str, out: &str, rest: &str| {
            let command = Command::parse(&words(text)).unwrap();
            assert_eq!(command.out, PathBuf::from(out), "{text}");
            assert_eq!(command.rest().join(" "), rest, "{text}");
        };
        check(
            "sweep drop(l) --out a.csv --rows 3",
            "a.csv",
            "drop(l) --rows 3",
        );
        check("sweep --out=a.csv drop(l)", "a.csv", "drop(l)");
        check("sweep --out a.csv -- drop(l)", "a.csv", "-- drop(l)");
        check("reproduce stages --out b", "b", "stages");
        check("reproduce", "layerwise-out", "");
    }

    #[test]
    fn commands_that_cannot_be_divided_are_refused() {
        let check = |text: &str, mentioned: &str| {
            let error = Command::parse(&words(text)).map(|it| it.out).unwrap_err();
            assert!(error.to_string().contains(mentioned), "{text}: {error}");
        };
        check("generate text", "`generate`: expected reproduce or sweep");
        check("sweep drop(l)", "expected --out FILE");
        check("sweep --out a.csv", "<EDIT>");
        check("sweep drop(l) --out", "--out");
        check("sweep drop(l) --out a.csv --out b.csv", "--out");
        check("sweep drop(l) --out a.csv --shard 1/2", "--array N");
        check("sweep drop(l) --out a.csv --shard=1/2", "--array N");
        check("sweep drop(l) --out a.csv --threads 3", "--cpus C");
        check(
            "sweep drop(l) --out a.csv --fresh",
            "resumes from its journal",
        );
        check(
            "sweep drop(l) --out a.csv --until-se kl_nats=1",
            "whole run",
        );
        for (option, instead) in [
            ("--per-item i.csv", "give it to `merge`"),
            ("--per-token t.st", "without `submit`"),
            ("--classes c.csv", "without `submit`"),
            ("--labels l.jsonl", "--classes"),
        ] {
            check(&format!("sweep drop(l) --out a.csv {option}"), instead);
        }
        check(
            "sweep drop(l) --out a.csv --pairs p --items 1",
            "'--items <N>' needs '--tasks",
        );
        check("reproduce --open", "after the merge");
        check("reproduce --dry-run", "before the command");
        check("reproduce nonsense", "nonsense");
        check("sweep drop(l) --nonsense", "--nonsense");
    }

    /// Otherwise the scripts would be written, and every task would refuse its command line.
    #[test]
    fn no_option_that_conflicts_with_a_shard_reaches_a_task() {
        let mut found = 0;
        for command in Parsed::command().get_subcommands() {
            let shard = command.get_arguments().find(|own| own.get_id() == "shard");
            let shard = shard.unwrap();
            let against = |own: &&clap::Arg| {
                let both = [(*own, shard), (shard, *own)];
                both.iter().any(|(one, other)| {
                    let conflicts = command.get_arg_conflicts_with(one);
                    conflicts.iter().any(|own| own.get_id() == other.get_id())
                })
            };
            for option in command.get_arguments().filter(against) {
                let name = format!("--{}", option.get_long().unwrap());
                assert!(OWN.iter().any(|(own, _)| *own == name), "{name}");
                found += 1;
            }
        }
        assert!(found > 5, "{found}");
    }
}
