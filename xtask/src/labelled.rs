//! Labelled data that figures need beside the corpus: benchmark items and word-in-context pairs.
//!
//! What the command line names is read whole before any model runs, and an error in it is an error of the run.
//! What it does not name is replaced by a stand-in made from the embedded text.

use crate::arguments::{Bos, Inputs, Run};
use crate::figures::{FigureId, Pass};
use crate::inputs::{self, OpenedModel};
use crate::output;
use crate::readings::items::{self, Task};
use crate::readings::scoring;
use crate::results::Results;
use anyhow::bail;
use std::path::PathBuf;

/// Where labelled data comes from, and how much of it is used.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// A folder with lambada_openai.jsonl, arc_easy.jsonl and hellaswag.jsonl [default: stand-ins from the embedded text]
    #[arg(long, value_name = "DIR")]
    pub benchmarks: Option<PathBuf>,
    /// Take the first N items of each benchmark task
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    pub items: u32,
}

/// The labelled data of a run.
pub struct Labelled {
    options: Options,
    tasks: Vec<Task>,
}

impl Labelled {
    /// Reads what the figures need.
    ///
    /// # Errors
    /// A folder that does not hold what it is named for.
    pub fn open(options: &Options, figures: &[FigureId]) -> anyhow::Result<Self> {
        let needs = |pass: Pass| figures.iter().any(|figure| figure.passes().contains(&pass));
        let most = options.items as usize;
        let tasks = match &options.benchmarks {
            _ if !needs(Pass::Benchmarks) => Vec::new(),
            Some(folder) => items::from_folder(folder, most)?,
            None => items::standins(&inputs::embedded_documents()?, most),
        };
        Ok(Self {
            options: options.clone(),
            tasks,
        })
    }

    /// Records a model's accuracy on the benchmark items.
    ///
    /// # Errors
    /// As [`scoring::read`], and items that were asked for with a model that has no tokenizer.
    pub fn score(
        &self,
        opened: &OpenedModel,
        inputs: &Inputs,
        run: &Run,
        results: &mut Results,
    ) -> anyhow::Result<()> {
        let Some(tokenizer) = inputs::open_tokenizer(opened)? else {
            if let Some(folder) = &self.options.benchmarks {
                bail!(
                    "--benchmarks {}: {} needs a tokenizer.json to read them, found none in {}",
                    folder.display(),
                    opened.name,
                    opened.folder.display()
                );
            }
            output::say(format_args!(
                "{}: benchmarks is left empty: no tokenizer.json to read items with",
                opened.name
            ));
            return Ok(());
        };
        let bos = match inputs.bos {
            Bos::Id(id) => Some(id),
            Bos::Auto | Bos::None => None,
        };
        scoring::read(opened, &tokenizer, bos, &self.tasks, run, results)
    }
}
