//! Parses a command line, and refuses options that would have no effect.

use crate::{inputs, output};
use clap::builder::Resettable::Reset;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, Error};
use std::ffi::OsStr;
use std::path::PathBuf;

/// Parses the words of a command line.
///
/// clap does not ask for a required option that conflicts with a given one, so that an option which requires it would
/// be ignored. Here such an option is refused, too.
///
/// # Errors
/// As those of clap, or an option is given without another one that it requires, or `--field` without a text that has fields.
pub(crate) fn parse(command: &Command, words: &[impl AsRef<OsStr>]) -> Result<ArgMatches, Error> {
    let found = command.clone().try_get_matches_from(words)?;
    let without_conflicts = with_options(command.clone(), &|own| own.conflicts_with(Reset));
    match without_conflicts.try_get_matches_from(words) {
        Ok(_) => check_field(command, &found).map(|()| found),
        Err(error) => Err(explained(command, words, &found).unwrap_or(error)),
    }
}

/// Refuses `--field` if no text that is read has fields.
fn check_field(command: &Command, mut found: &ArgMatches) -> Result<(), Error> {
    while let Some((_, below)) = found.subcommand() {
        found = below;
    }
    let is_known = found.try_contains_id("field").is_ok();
    let is_given = is_known && found.value_source("field") == Some(ValueSource::CommandLine);
    let text = |id| found.try_get_one::<PathBuf>(id).ok().flatten();
    let Some(corpus) = text("corpus").filter(|_| is_given) else {
        return Ok(());
    };
    let mut texts = ["corpus", "reference", "shift_corpus"].into_iter();
    if texts.any(|id| text(id).is_some_and(|path| inputs::has_fields(path))) {
        return Ok(());
    }
    let message = format!(
        "'--field' has no effect on {}: it is for the lines of a .jsonl file and the columns of a .parquet file; leave it out",
        output::plain(&corpus.to_string_lossy())
    );
    let kind = ErrorKind::ArgumentConflict;
    Err(command.clone().error(kind, message))
}

/// A command and all commands below it, with every option changed.
fn with_options(command: Command, change: &dyn Fn(Arg) -> Arg) -> Command {
    command
        .mut_args(change)
        .mut_subcommands(|below| with_options(below, change))
}

/// An error that names the option, what it requires, and what rules that out.
fn explained(command: &Command, words: &[impl AsRef<OsStr>], found: &ArgMatches) -> Option<Error> {
    let mut built = command.clone();
    built.build();
    let (mut own, mut found) = (&mut built, found);
    while let Some((name, below)) = found.subcommand() {
        own = own.find_subcommand_mut(name)?;
        found = below;
    }
    let is_given = |arg: &&Arg| {
        let mut ids = found.ids().filter(|id| *id == arg.get_id());
        ids.any(|id| found.value_source(id.as_str()) == Some(ValueSource::CommandLine))
    };
    let given: Vec<Arg> = own.get_arguments().filter(is_given).cloned().collect();
    let needed_by = |arg: &Arg| {
        let alone = |other: Arg| match other.get_id() == arg.get_id() {
            true => other.conflicts_with(Reset),
            false => other.conflicts_with(Reset).requires(Reset),
        };
        let alone = with_options(command.clone(), &alone);
        let error = alone.try_get_matches_from(words).err()?;
        match error.get(ContextKind::InvalidArg)? {
            ContextValue::Strings(names) => names.first().cloned(),
            _ => None,
        }
    };
    let (option, needed) = given.iter().find_map(|arg| Some((arg, needed_by(arg)?)))?;
    let required = own.get_arguments().find(|arg| arg.to_string() == needed)?;
    let conflict = |one: &Arg, other: &Arg| {
        let against = own.get_arg_conflicts_with(one);
        against.iter().any(|arg| arg.get_id() == other.get_id())
    };
    let bar = given
        .iter()
        .find(|arg| conflict(arg, required) || conflict(required, arg))?;
    let message = format!(
        "the argument '{option}' needs '{needed}', which cannot be used with '{bar}'; leave out '{option}' or '{bar}'"
    );
    Some(own.error(ErrorKind::MissingRequiredArgument, message))
}
