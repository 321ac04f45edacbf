//! The tasks that are answered with one token.

use super::Tasks;
use crate::core::data::{Limit, Source};
use crate::core::error::ExperimentError;
use layerwise_tasks::{DataSet, Task, Wanted, standins_of_one_token};
use std::path::Path;

/// Where the items come from.
pub(crate) static SOURCE: Source = Source {
    option: "exit-tasks",
    help: "A folder with data sets of tasks for early-exit, at least one of mmlu (a folder with test and dev), arc_easy, arc_challenge, lambada_openai (.jsonl, there or in its folder zero-shot) and sst2 (a folder with train.tsv and dev.tsv), as published or in the form of llm-foundry [default: stand-ins from the embedded text]",
    title: "Tasks of one token",
    limit: Limit {
        option: "exit-items",
        help: "Test early-exit on N items of each task, and train it on as many others [default: 24]",
        least: 1,
        default: Some(24),
    },
    read: |folder, most, data| {
        data.insert(Tasks(found(folder, most.unwrap_or(usize::MAX / 2))?));
        Ok(())
    },
    stand_in: |documents, most, data| {
        let most = most.unwrap_or(usize::MAX / 2);
        data.insert(Tasks(standins_of_one_token(documents, 2 * most)));
    },
};

/// The data sets with answers of one token.
const SETS: [&str; 5] = [
    "mmlu",
    "arc_easy",
    "arc_challenge",
    "sst2",
    "lambada_openai",
];

/// The data sets that a folder has; at least one.
fn found(folder: &Path, most: usize) -> Result<Vec<Task>, ExperimentError> {
    let sets = SETS.iter().filter_map(|name| DataSet::named(name));
    let sets = sets.filter(|set| set.find(folder).is_some());
    let tasks: Vec<Task> = sets
        .map(|set| {
            // Where training items are kept apart, all others test; else every second one trains.
            let has_training = set
                .find(folder)
                .is_some_and(|path| path.join("train.tsv").is_file());
            let items = if has_training { most } else { 2 * most };
            Ok(set.read(folder, Wanted::new(items).training(most).of_one_token())?)
        })
        .collect::<Result<_, ExperimentError>>()?;
    match tasks.is_empty() {
        true => Err(ExperimentError::unexpected(
            "data sets of tasks, as arc_easy.jsonl or the folders mmlu and sst2",
            format!("none in {}", folder.display()),
        )),
        false => Ok(tasks),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_is_known() {
        for name in SETS {
            assert!(DataSet::named(name).is_some(), "{name}");
        }
    }
}
