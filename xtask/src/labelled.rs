//! Labelled data that figures need beside the corpus: benchmark items and word-in-context pairs.
//!
//! What the command line names is read whole before any model runs, and an error in it is an error of the run.
//! What it does not name is replaced by a stand-in made from the embedded text.

use crate::arguments::{Bos, Inputs, Run};
use crate::embedded;
use crate::experiments::core::tables::Tables;
use crate::inputs::{self, OpenedCorpus, OpenedModel};
use crate::manifest::FileHash;
use crate::output;
use crate::readings::items::{self, Task};
use crate::readings::pairs::{self, Pairs};
use crate::readings::scoring::Scoring;
use crate::readings::{senses, words};
use layerwise::corpus::Tokenizer;
use std::path::{Path, PathBuf};

/// Where labelled data comes from, and how much of it is used.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// A folder with lambada_openai.jsonl, arc_easy.jsonl and hellaswag.jsonl [default: stand-ins from the embedded text]
    #[arg(long, value_name = "DIR")]
    pub benchmarks: Option<PathBuf>,
    /// Take the first N items of each benchmark task
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    pub items: u32,
    /// A folder with the WiC data set: train, dev and test as .data.txt and .gold.txt [default: a stand-in from the embedded text]
    #[arg(long, value_name = "DIR")]
    pub wic: Option<PathBuf>,
    /// Take the first N training pairs of WiC [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..))]
    pub pairs: Option<u32>,
}

impl Options {
    /// The folder that was given for an experiment.
    pub fn given(&self, experiment: &str) -> Option<&Path> {
        match experiment {
            "benchmarks" => self.benchmarks.as_deref(),
            "wic" => self.wic.as_deref(),
            _ => None,
        }
    }
}

/// The labelled data of a run.
pub struct Labelled {
    options: Options,
    tasks: Vec<Task>,
    pairs: Option<Pairs>,
}

impl Labelled {
    /// Reads what the experiments need.
    ///
    /// # Errors
    /// A folder that does not hold what it is named for.
    pub fn open(options: &Options, experiments: &[&str]) -> anyhow::Result<Self> {
        let chosen = |id: &str| experiments.contains(&id);
        let most = options.items as usize;
        let tasks = match &options.benchmarks {
            _ if !chosen("benchmarks") => Vec::new(),
            Some(folder) => items::from_folder(folder, most)?,
            None => items::standins(&embedded::documents()?, most),
        };
        let pairs = match &options.wic {
            _ if !chosen("wic") => None,
            Some(folder) => {
                let most = options.pairs.map(|most| most as usize);
                Some(pairs::from_folder(folder, most)?)
            }
            None => pairs::standin(&embedded::documents()?),
        };
        Ok(Self {
            options: options.clone(),
            tasks,
            pairs,
        })
    }

    /// The files of the folders that were given and read.
    ///
    /// # Errors
    /// One of them cannot be read any more.
    pub fn files(&self) -> anyhow::Result<Vec<FileHash>> {
        let benchmarks = self.options.benchmarks.as_ref();
        let wic = self.options.wic.as_ref();
        let folders = [
            benchmarks.filter(|_| !self.tasks.is_empty()),
            wic.filter(|_| self.pairs.is_some()),
        ];
        let mut files = Vec::new();
        for folder in folders.into_iter().flatten() {
            files.extend(FileHash::of_folder(folder)?);
        }
        Ok(files)
    }

    /// The benchmark items as a model reads them; `None` where it has no tokenizer.
    ///
    /// # Errors
    /// As [`Scoring::new`], and a tokenizer that cannot be read.
    pub fn scoring(
        &self,
        opened: &OpenedModel,
        inputs: &Inputs,
        run: &Run,
    ) -> anyhow::Result<Option<Scoring<'_>>> {
        let Some(tokenizer) = tokenizer(opened, "benchmarks")? else {
            return Ok(None);
        };
        let bos = match inputs.bos {
            Bos::Id(id) => Some(id),
            Bos::Auto | Bos::None => None,
        };
        Scoring::new(opened, &tokenizer, bos, &self.tasks, run).map(Some)
    }

    /// The word-in-context pairs, where there are any.
    pub fn pairs(&self) -> Option<&Pairs> {
        self.pairs.as_ref()
    }

    /// Records how well word senses can be read from a model's residual streams.
    ///
    /// # Errors
    /// As [`senses::read`], and a tokenizer that cannot be read.
    pub fn probe(
        &self,
        opened: &OpenedModel,
        corpus: &OpenedCorpus,
        run: &Run,
        tables: &mut Tables,
    ) -> anyhow::Result<()> {
        let Some(tokenizer) = tokenizer(opened, "wic")? else {
            return Ok(());
        };
        match &self.pairs {
            Some(pairs) => senses::read(opened, &tokenizer, words::bos(corpus), pairs, run, tables),
            None => Ok(()),
        }
    }
}

/// A model's tokenizer. Where it has none, the experiment stays empty.
fn tokenizer(opened: &OpenedModel, experiment: &str) -> anyhow::Result<Option<Tokenizer>> {
    let tokenizer = inputs::open_tokenizer(opened)?;
    if tokenizer.is_none() {
        output::say(format_args!(
            "{}: {} is left empty: no tokenizer.json to read text with",
            opened.name, experiment
        ));
    }
    Ok(tokenizer)
}
