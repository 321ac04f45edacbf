//! The program `layerwise` (`cargo xtask` in a checkout): sweeps, figures and their manifests.
//!
//! Each command has a file, and so has each thing that several commands share.
//! Only commands read inputs and write files; the library crates measure, draw and judge.

pub mod activations;
pub mod arguments;
pub mod chosen;
mod command_line;
pub mod conversation;
pub mod diff_sites;
pub mod draw;
pub mod early_exit;
pub mod embedded;
pub mod ending;
pub mod facts;
pub mod fastest;
pub mod fetch;
pub mod first;
pub mod generate;
pub mod growth;
pub mod inputs;
pub mod interrupt;
pub mod labelled;
pub mod lens;
pub mod list;
pub mod manifest;
pub mod measurement;
pub mod memory;
pub mod merge;
pub mod names;
pub mod next;
pub mod other_text;
pub mod output;
pub mod pairs;
pub mod program;
pub mod progress;
pub mod prompted;
pub mod remedy;
pub mod reproduce;
pub mod rescore;
pub mod results;
pub mod rounding;
pub mod shell;
pub mod sources;
pub mod speed;
pub mod stopwatch;
pub mod submit;
pub mod sweep;
mod taken_up;
pub mod tasks;
pub mod tokens;
pub mod trial;
pub mod vectors;
pub mod version;

pub use layerwise::experiments;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use layerwise::kernels;
use std::ffi::OsString;
use std::process::ExitCode;

/// Measures what every layer of a language model contributes, by running the model under altered layer schedules.
#[derive(Parser)]
#[command(name = "layerwise", version = version::described())]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Draw the paper's figures: SVG, PNG, CSV and a manifest for each model
    Reproduce(reproduce::Arguments),
    /// Redraw figures and the report from the tables that reproduce wrote
    Draw(draw::Arguments),
    /// Run any edits or families of edits; print statistics on the terminal, or write them to CSV
    Sweep(sweep::Arguments),
    /// Write activations on a text, under the plain model or an edit, to a safetensors file
    Activations(Box<activations::Arguments>),
    /// Merge the shards of a sweep or of reproduce
    Merge(merge::Arguments),
    /// Run a sweep or reproduce as an array of tasks, under Slurm or from a shell
    Submit(submit::Arguments),
    /// Compare every activation of a model with a reference's, and name the first site that differs
    DiffSites(diff_sites::Arguments),
    /// Continue a prompt with the plain model and under any edits, one below the other
    Generate(Box<generate::Arguments>),
    /// Show what each residual stream of a prompt predicts for the next token, by both logit lenses
    Lens(lens::Arguments),
    /// Show the most likely next tokens of a prompt, for the plain model and under edits, side by side
    Next(next::Arguments),
    /// Time prompts and decoding under edits, next to what the number of bytes read predicts
    Speed(speed::Arguments),
    /// Find the fastest schedule that loses little on your own task, and print it as an edit
    Fastest(Box<fastest::Arguments>),
    /// Train a classifier that stops a model early, or report what a rule saves and loses on a task
    EarlyExit(Box<early_exit::Arguments>),
    /// Correct the N-best lists of a speech recogniser, and measure word error rates
    Rescore(Box<rescore::Arguments>),
    /// Write the states of words in their sentences to a safetensors file
    Vectors(vectors::Arguments),
    /// Estimate the cost of runs as models grow, from the speed of this machine
    Growth(growth::Arguments),
    /// List experiments, claims, models, model families and corpora, and what each needs
    List(list::Arguments),
    /// Print a shell script that completes commands and options
    Completions(shell::Completions),
    /// Write the manual pages
    Man(shell::Pages),
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    if let Err(error) = limit_instructions() {
        output::say(format_args!("error: {}", message(&error)));
        return ExitCode::FAILURE;
    }
    let command = Arguments::command().bin_name(program::name());
    let words: Vec<OsString> = std::env::args_os().collect();
    let arguments =
        command_line::parse(&command, &words).and_then(|found| Arguments::from_arg_matches(&found));
    let outcome = match arguments.unwrap_or_else(|error| error.exit()).command {
        Command::Reproduce(arguments) => reproduce::reproduce(&arguments),
        Command::Draw(arguments) => draw::draw(&arguments),
        Command::Sweep(arguments) => sweep::sweep(&arguments),
        Command::Activations(arguments) => activations::activations(&arguments),
        Command::Merge(arguments) => merge::merge(&arguments),
        Command::Submit(arguments) => submit::submit(&arguments),
        Command::DiffSites(arguments) => diff_sites::diff_sites(&arguments),
        Command::Generate(arguments) => generate::generate(&arguments),
        Command::Lens(arguments) => lens::lens(&arguments),
        Command::Next(arguments) => next::next(&arguments),
        Command::Speed(arguments) => speed::speed(&arguments),
        Command::Fastest(arguments) => fastest::run(&arguments),
        Command::EarlyExit(arguments) => early_exit::run(&arguments),
        Command::Rescore(arguments) => rescore::rescore(&arguments),
        Command::Vectors(arguments) => vectors::vectors(&arguments),
        Command::Growth(arguments) => growth::growth(&arguments),
        Command::List(arguments) => list::list(&arguments),
        Command::Completions(arguments) => shell::completions(&arguments, Arguments::command()),
        Command::Man(arguments) => shell::pages(&arguments, Arguments::command()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let remedy = remedy::of(&error).map_or(String::new(), |remedy| format!("; {remedy}"));
            if interrupt::is_cause_of(&error) {
                output::say(format_args!("{}{remedy}", message(&error)));
                return ExitCode::from(interrupt::EXIT_CODE);
            }
            // A closed pipe, as after `head`, is not a failure.
            if output::is_closed_pipe(&error) {
                return ExitCode::SUCCESS;
            }
            output::say(format_args!("error: {}{remedy}", message(&error)));
            ExitCode::FAILURE
        }
    }
}

/// The variable of the environment that limits vector instructions.
const INSTRUCTIONS: &str = "LAYERWISE_INSTRUCTIONS";

/// Limits the kernels to the instruction set that the user names, before anything chooses one.
fn limit_instructions() -> anyhow::Result<()> {
    match std::env::var_os(INSTRUCTIONS) {
        Some(set) if !set.is_empty() => {
            kernels::limit_instructions(&set.to_string_lossy()).context(INSTRUCTIONS)
        }
        _ => Ok(()),
    }
}

/// An error and its causes. Many errors repeat their cause in their own text; such a cause is left out. Text that ends the
/// message and begins the cause, such as the text of an edit, is printed once.
fn message(error: &anyhow::Error) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if message.ends_with(&cause) {
            continue;
        }
        let (about, _) = cause.split_once(": ").unwrap_or_default();
        match message.strip_suffix(about) {
            Some(before) if !about.is_empty() => message = format!("{before}{cause}"),
            _ => message = format!("{message}: {cause}"),
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Opening;
    use anyhow::anyhow;
    use clap::builder::Resettable::Reset;
    use clap::builder::ValueParser;
    use clap::error::{ContextKind, ContextValue};
    use clap::{Arg, Args as _};

    /// clap wraps help texts itself; a text that is already wrapped would come out ragged.
    #[test]
    fn help_is_wrapped_once() {
        let mut commands = vec![Arguments::command()];
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands().cloned());
            let help = command.get_after_help().map(ToString::to_string);
            for line in help.unwrap_or_default().lines() {
                let is_whole =
                    line.is_empty() || line.starts_with("  ") || line.ends_with(['.', ':']);
                assert!(is_whole, "{}: {line}", command.get_name());
            }
            // clap takes `{n}` for the end of a line.
            for own in command.get_arguments() {
                let texts = [own.get_help(), own.get_long_help()];
                for text in texts.into_iter().flatten() {
                    assert!(!text.to_string().contains("{n}"), "{}", own.get_id());
                }
            }
        }
    }

    /// Messages of what opens models advise these options.
    #[test]
    fn every_command_that_opens_models_has_the_options_for_it() {
        let opening = Opening::augment_args(clap::Command::new("opening"));
        let mut opens = Vec::new();
        let mut commands = vec![Arguments::command()];
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands().cloned());
            let has = |id: &str| command.get_arguments().any(|own| own.get_id() == id);
            if has("model") {
                opens.push(command.get_name().to_owned());
                for own in opening.get_arguments() {
                    let (name, id) = (command.get_name(), own.get_id().as_str());
                    assert!(has(id), "{name} lacks {id}");
                }
            }
        }
        assert_eq!(opens.len(), 13, "{opens:?}");
    }

    /// A command that takes any values, and in which nothing is required but what options require of each other.
    fn relaxed(command: &clap::Command) -> clap::Command {
        command.clone().mut_args(|own| {
            let own = own.required(false).required_unless_present(Reset);
            match own.get_action().takes_values() {
                true => own.value_parser(ValueParser::string()),
                false => own,
            }
        })
    }

    fn words(given: &[&Arg]) -> Vec<String> {
        let mut words = vec!["layerwise".to_owned()];
        for own in given {
            words.extend(own.get_long().map(|long| format!("--{long}")));
            if own.get_action().takes_values() {
                let count = own.get_num_args().map_or(1, |count| count.min_values());
                words.extend(vec!["1".to_owned(); count]);
            }
        }
        words
    }

    /// What the given arguments require and is not given, whatever conflicts with it.
    fn lacking<'a>(command: &'a clap::Command, given: &[&Arg]) -> Vec<&'a Arg> {
        let alone = command.clone().mut_args(|own| own.conflicts_with(Reset));
        let Err(error) = alone.try_get_matches_from(words(given)) else {
            return Vec::new();
        };
        let Some(ContextValue::Strings(names)) = error.get(ContextKind::InvalidArg) else {
            panic!("{error}");
        };
        // Only arguments of a built command have texts.
        let mut built = command.clone();
        built.build();
        let named = built.get_arguments();
        let named: Vec<&Arg> = named
            .filter(|own| names.contains(&own.to_string()))
            .collect();
        let is_named = |own: &&Arg| named.iter().any(|named| named.get_id() == own.get_id());
        command.get_arguments().filter(is_named).collect()
    }

    #[test]
    fn no_option_of_any_command_is_accepted_without_what_it_requires() {
        let mut refused = 0;
        let mut commands = vec![Arguments::command()];
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands().cloned());
            let command = relaxed(&command);
            if command.has_subcommands() {
                continue;
            }
            let conflict = |one: &Arg, other: &Arg| {
                [(one, other), (other, one)].iter().any(|(one, other)| {
                    let against = command.get_arg_conflicts_with(one);
                    against.iter().any(|own| own.get_id() == other.get_id())
                })
            };
            // Adds what is required, unless something given conflicts with it.
            let complete = |given: &[&'_ Arg]| {
                let mut given: Vec<Arg> = given.iter().map(|own| (*own).clone()).collect();
                loop {
                    let mut more = lacking(&command, &given.iter().collect::<Vec<_>>());
                    more.retain(|own| !given.iter().any(|given| conflict(own, given)));
                    if more.is_empty() {
                        return given;
                    }
                    given.extend(more.into_iter().cloned());
                }
            };
            for option in command
                .get_arguments()
                .filter(|own| own.get_long().is_some())
            {
                let whole = complete(&[option]);
                let rules_out = |bar: &&Arg| {
                    let mut required = whole[1..].iter();
                    required.any(|own| conflict(bar, own)) && !conflict(bar, option)
                };
                for bar in command.get_arguments().filter(rules_out) {
                    let given = complete(&[option, bar]);
                    let words = words(&given.iter().collect::<Vec<_>>());
                    let said = command_line::parse(&command, &words)
                        .unwrap_err()
                        .to_string();
                    let named = said.contains("' needs '") && said.contains("cannot be used with");
                    assert!(named, "{} {words:?}: {said}", command.get_name());
                    refused += 1;
                }
            }
        }
        assert!(refused > 40, "{refused}");
    }

    #[test]
    fn what_a_cause_repeats_is_told_once() {
        let check = |cause: &'static str, context: &'static str, expected: &str| {
            assert_eq!(message(&anyhow!(cause).context(context)), expected);
        };
        check("no file", "model", "model: no file");
        check("no file", "model: no file", "model: no file");
        check(
            "`drop(9)`: no block",
            "edit `drop(9)`",
            "edit `drop(9)`: no block",
        );
        check(": odd", "model", "model: : odd");
    }
}
