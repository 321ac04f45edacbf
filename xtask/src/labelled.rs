//! Labelled data that experiments need in addition to the corpus.
//!
//! Data that the command line names is read completely before any model runs, so that an error in it stops the run at
//! once. A stand-in made from the embedded text replaces data that the command line does not name. Experiments describe
//! their data ([`Source`]); each has an option for its folder and one for a number of items.

use crate::embedded;
use crate::experiments::core::data::{Data, Source};
use crate::experiments::{EXPERIMENTS, asr_correction, lexical_semantics};
use crate::manifest::FileHash;
use crate::output::Named;
use anyhow::ensure;
use clap::{Arg, ArgMatches, Command, value_parser};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Where labelled data comes from, and how much of it is used, by experiment, as far as the user says.
#[derive(Clone, Debug)]
pub struct Options {
    folders: BTreeMap<&'static str, PathBuf>,
    limits: BTreeMap<&'static str, u32>,
}

/// Names of experiments and where their data comes from, in the order of the report.
fn sources() -> impl Iterator<Item = (&'static str, &'static Source)> {
    let experiments = EXPERIMENTS.iter();
    experiments.filter_map(|experiment| Some((experiment.id(), experiment.source()?)))
}

impl clap::Args for Options {
    fn augment_args(command: Command) -> Command {
        sources().fold(command, |command, (_, source)| {
            let folder = Arg::new(source.option)
                .long(source.option)
                .value_name("DIR")
                .help(source.help)
                .value_parser(value_parser!(PathBuf));
            let limit = Arg::new(source.limit.option)
                .long(source.limit.option)
                .value_name("N")
                .help(source.limit.help)
                .value_parser(value_parser!(u32).range(i64::from(source.limit.least)..));
            command.arg(folder).arg(limit)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Options {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let folder = |(id, source): (_, &Source)| {
            let folder = matches.get_one::<PathBuf>(source.option)?;
            Some((id, folder.clone()))
        };
        let limit = |(id, source): (_, &Source)| {
            let given = matches.get_one::<u32>(source.limit.option);
            Some((id, *given?))
        };
        Ok(Self {
            folders: sources().filter_map(folder).collect(),
            limits: sources().filter_map(limit).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Options {
    /// The folder that was given for an experiment.
    pub fn given(&self, experiment: &str) -> Option<&Path> {
        self.folders.get(experiment).map(PathBuf::as_path)
    }

    /// The files of the given folders, which no result may replace.
    pub fn named_files(&self) -> impl Iterator<Item = Named> {
        let entries = self.folders.values().filter_map(|it| fs::read_dir(it).ok());
        let paths = entries
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()));
        let files = paths.filter(|path| path.is_file());
        files.map(|path| ("the labelled data", Some(path)))
    }

    /// The name of each experiment's data, and its folder or stand-in.
    pub fn told(&self) -> impl Iterator<Item = (&'static str, String)> {
        sources().map(|(id, source)| {
            let told = match self.given(id) {
                Some(folder) => folder.display().to_string(),
                None => "stand-ins made from the embedded text".to_owned(),
            };
            (source.title, told)
        })
    }
}

/// Refuses an option of which none of the experiments that are to run takes notice; `readers` are those that would.
///
/// # Errors
/// The message names these.
pub fn check_read(
    option: &str,
    is_given: bool,
    readers: &[&str],
    experiments: &[&str],
) -> anyhow::Result<()> {
    let is_read = || readers.iter().any(|reader| experiments.contains(reader));
    let named = readers.join(" or ");
    ensure!(
        !is_given || is_read(),
        "--{option}: the experiment {named} reads it, which is not among those to run; name {named} too, or leave the option out"
    );
    Ok(())
}

/// How models are prompted with labelled data.
#[derive(clap::Args, Clone, Debug)]
pub struct Prompts {
    /// In lexical-semantics, give both words of a pair the prompt of the first; the published prompts differ in one character
    #[arg(long)]
    same_template: bool,
    /// In asr-correction, let the model write corrections of the first N utterances of each set [default: 40]
    #[arg(long, value_name = "N")]
    asr_written: Option<NonZeroUsize>,
}

/// The labelled data of a run.
pub struct Labelled {
    data: Data,
    /// The files that were read of the folders that were given.
    files: BTreeSet<PathBuf>,
}

impl Labelled {
    /// Reads what the experiments need.
    ///
    /// # Errors
    /// A folder does not contain the data set it was given for, or no experiment reads what an option gives.
    pub fn open(options: &Options, experiments: &[&str]) -> anyhow::Result<Self> {
        for (id, source) in sources() {
            let folder = options.folders.contains_key(id);
            let limit = options.limits.contains_key(id);
            for (option, is_given) in [(source.option, folder), (source.limit.option, limit)] {
                check_read(option, is_given, &[id], experiments)?;
            }
        }
        let mut data = Data::default();
        let mut files = BTreeSet::new();
        for (id, source) in sources().filter(|(id, _)| experiments.contains(id)) {
            let most = options.limits.get(id).copied().or(source.limit.default);
            let most = most.map(|most| most as usize);
            match options.given(id) {
                Some(folder) => files.extend((source.read)(folder, most, &mut data)?),
                None => (source.stand_in)(&embedded::documents()?, most, &mut data),
            }
        }
        Ok(Self { data, files })
    }

    /// Adds the options of how models are prompted.
    ///
    /// # Errors
    /// No experiment prompts models so.
    pub fn ask(&mut self, prompts: &Prompts, experiments: &[&str]) -> anyhow::Result<()> {
        let written = prompts.asr_written.is_some();
        for (option, is_given, reader) in [
            ("same-template", prompts.same_template, "lexical-semantics"),
            ("asr-written", written, "asr-correction"),
        ] {
            check_read(option, is_given, &[reader], experiments)?;
        }
        if prompts.same_template {
            self.data.insert(lexical_semantics::Template::Same);
        }
        if let Some(utterances) = prompts.asr_written {
            self.data.insert(asr_correction::Written(utterances.get()));
        }
        Ok(())
    }

    /// The data sets.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The files that were read of the folders that were given.
    ///
    /// # Errors
    /// One of them can no longer be read.
    pub fn files(&self) -> anyhow::Result<Vec<FileHash>> {
        let files = self.files.iter();
        files.map(|path| FileHash::of_file(path)).collect()
    }
}
