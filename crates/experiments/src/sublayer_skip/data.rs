//! The tasks for choices.

use super::Tasks;
use crate::core::data::{Limit, Source};
use crate::core::error::ExperimentError;
use layerwise_tasks::{DATA_SETS, Task, Wanted, standins};
use std::path::Path;

/// The source of the items.
pub(crate) static SOURCE: Source = Source {
    option: "tasks",
    help: "A folder with data sets of tasks for sublayer-skip, at least one of lambada_openai, arc_easy, arc_challenge, hellaswag, piqa, winogrande, boolq (.jsonl, there or in its folder zero-shot) and mmlu (a folder with test and dev), as published or in llm-foundry's format [default: stand-ins from the embedded text]",
    title: "Tasks",
    limit: Limit {
        option: "task-items",
        help: "Take the first N items of each task for sublayer-skip, which runs some forty schedules on all of them, and continue at most N prompts [default: 4]",
        least: 1,
        default: Some(4),
    },
    read: |folder, most, data| {
        let tasks = found(folder, most.unwrap_or(usize::MAX))?;
        let files = tasks.iter().flat_map(|task| task.files.clone()).collect();
        data.insert(Tasks(tasks));
        Ok(files)
    },
    stand_in: |documents, most, data| {
        data.insert(Tasks(standins(documents, most.unwrap_or(usize::MAX))));
    },
};

/// The data sets in a folder, except SST-2, which is not a choice among continuations; at least one.
fn found(folder: &Path, most: usize) -> Result<Vec<Task>, ExperimentError> {
    let sets = DATA_SETS.iter().filter(|set| set.name != "sst2");
    let sets = sets.filter(|set| set.find(folder).is_some());
    let tasks: Vec<Task> = sets
        .map(|set| Ok(set.read(folder, Wanted::new(most))?))
        .collect::<Result<_, ExperimentError>>()?;
    match tasks.is_empty() {
        true => Err(ExperimentError::unexpected(
            "data sets of tasks, as arc_easy.jsonl or the folder mmlu",
            format!("none in {}", folder.display()),
        )),
        false => Ok(tasks),
    }
}
