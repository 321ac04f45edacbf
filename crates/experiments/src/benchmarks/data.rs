//! The tasks of the paper, from files; stand-ins made from text are [`layerwise_tasks::standins`].

use crate::core::data::{Limit, Source};
use crate::core::error::ExperimentError;
use layerwise_tasks::{DataSet, Task, Wanted, standins};
use std::path::Path;

/// The source of the items.
pub(crate) static SOURCE: Source = Source {
    option: "benchmarks",
    help: "A folder with lambada_openai.jsonl, arc_easy.jsonl and hellaswag.jsonl in llm-foundry's format, or as published: lambada_test.jsonl of OpenAI, ARC-Easy-Test.jsonl, hellaswag_val.jsonl [default: stand-ins from the embedded text]",
    title: "Benchmark items",
    limit: Limit {
        option: "items",
        help: "Take the first N items of each benchmark task [default: 100]",
        least: 1,
        default: Some(100),
    },
    read: |folder, most, data| {
        let tasks = from_folder(folder, most.unwrap_or(usize::MAX))?;
        let files = tasks.iter().flat_map(|task| task.files.clone()).collect();
        data.insert(tasks);
        Ok(files)
    },
    stand_in: |documents, most, data| {
        data.insert(standins(documents, most.unwrap_or(usize::MAX)));
    },
};

/// The tasks that the paper shows.
const TASKS: [&str; 3] = ["lambada_openai", "arc_easy", "hellaswag"];

/// The first `most` items of each of the paper's tasks, from a folder with `lambada_openai.jsonl`, `arc_easy.jsonl` and
/// `hellaswag.jsonl` in llm-foundry's format, or in the formats of OpenAI, the Allen Institute and HellaSwag's authors, in
/// these files or under their own names (`lambada_test.jsonl`, `ARC-Easy-Test.jsonl`, `hellaswag_val.jsonl`).
///
/// # Errors
/// A file is missing or not text, or the named line has another form.
pub fn from_folder(folder: &Path, most: usize) -> Result<Vec<Task>, ExperimentError> {
    let sets = TASKS.iter().filter_map(|name| DataSet::named(name));
    sets.map(|set| Ok(set.read(folder, Wanted::new(most))?))
        .collect()
}
