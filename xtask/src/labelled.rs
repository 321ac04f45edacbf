//! Labelled data that figures need beside the corpus: benchmark items and word-in-context pairs.
//!
//! What the command line names is read whole before any model runs, and an error in it is an error of the run.
//! What it does not name is replaced by a stand-in made from the embedded text.

use crate::embedded;
use crate::experiments::core::data::Data;
use crate::experiments::{benchmarks, wic};
use crate::manifest::FileHash;
use std::path::{Path, PathBuf};

/// Where labelled data comes from, and how much of it is used.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// A folder with lambada_openai.jsonl, arc_easy.jsonl and hellaswag.jsonl in the form of llm-foundry, or as published:
    /// lambada_test.jsonl of OpenAI, ARC-Easy-Test.jsonl, hellaswag_val.jsonl [default: stand-ins from the embedded text]
    #[arg(long, value_name = "DIR")]
    pub benchmarks: Option<PathBuf>,
    /// Take the first N items of each benchmark task
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    pub items: u32,
    /// A folder with the WiC data set: train, dev and test as .data.txt and .gold.txt, each in a folder of its own as in the
    /// published archive or not [default: a stand-in from the embedded text]
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
    data: Data,
    /// The folders that were given and read.
    folders: Vec<PathBuf>,
}

impl Labelled {
    /// Reads what the experiments need.
    ///
    /// # Errors
    /// A folder that does not hold what it is named for.
    pub fn open(options: &Options, experiments: &[&str]) -> anyhow::Result<Self> {
        let chosen = |id: &str| experiments.contains(&id);
        let mut data = Data::default();
        let mut folders = Vec::new();
        if chosen("benchmarks") {
            let most = options.items as usize;
            data.insert(match &options.benchmarks {
                Some(folder) => benchmarks::data::from_folder(folder, most)?,
                None => benchmarks::data::standins(&embedded::documents()?, most),
            });
            folders.extend(options.benchmarks.clone());
        }
        if chosen("wic") {
            let most = options.pairs.map(|most| most as usize);
            let pairs = match &options.wic {
                Some(folder) => Some(wic::data::from_folder(folder, most)?),
                None => wic::data::standin(&embedded::documents()?),
            };
            if let Some(pairs) = pairs {
                data.insert(pairs);
            }
            folders.extend(options.wic.clone());
        }
        Ok(Self { data, folders })
    }

    /// The data sets.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The files of the folders that were given and read.
    ///
    /// # Errors
    /// One of them cannot be read any more.
    pub fn files(&self) -> anyhow::Result<Vec<FileHash>> {
        let mut files = Vec::new();
        for folder in &self.folders {
            files.extend(FileHash::of_folder(folder)?);
        }
        Ok(files)
    }
}
