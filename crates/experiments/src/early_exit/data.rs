//! Tasks with one-token answers.

use super::Tasks;
use crate::core::data::{Limit, Source};
use crate::core::error::ExperimentError;
use layerwise_tasks::{DataSet, Item, Task, Wanted, standins_of_one_token};
use std::path::Path;

/// The source of the items.
pub(crate) static SOURCE: Source = Source {
    option: "exit-tasks",
    help: "A folder with data sets of tasks for early-exit, at least one of mmlu (a folder with test and dev), arc_easy, arc_challenge, lambada_openai (.jsonl, there or in its folder zero-shot) and sst2 (a folder with train.tsv and dev.tsv), as published or in llm-foundry's format [default: stand-ins from the embedded text]",
    title: "Tasks with one-token answers",
    limit: Limit {
        option: "exit-items",
        help: "Test early-exit on at most N items of each task (500 of mmlu and of both ARC, 872 of sst2, 1000 of lambada_openai), and train it on as many others, at most 1000 [default: 24]",
        least: 1,
        default: Some(24),
    },
    read: |folder, most, data| {
        let tasks = found(folder, most.unwrap_or(usize::MAX / 2))?;
        let files = tasks.iter().flat_map(|task| task.files.clone()).collect();
        data.insert(Tasks(tasks));
        Ok(files)
    },
    stand_in: |documents, most, data| {
        let most = most.unwrap_or(usize::MAX / 2);
        data.insert(Tasks(standins_of_one_token(documents, 2 * most)));
    },
};

/// The data sets with one-token answers, and the most test items of each.
const SETS: [(&str, usize); 5] = [
    ("mmlu", 500),
    ("arc_easy", 500),
    ("arc_challenge", 500),
    ("sst2", 872),
    ("lambada_openai", 1000),
];

/// The most training items of a data set.
const MOST_TRAINING: usize = 1000;

/// The data sets in a folder; at least one.
fn found(folder: &Path, most: usize) -> Result<Vec<Task>, ExperimentError> {
    let sets = SETS
        .iter()
        .filter_map(|(name, test)| Some((DataSet::named(name)?, *test)));
    let sets = sets.filter(|(set, _)| set.find(folder).is_some());
    let tasks: Vec<Task> = sets
        .map(|(set, most_test)| {
            let (test, training) = (most.min(most_test), most.min(MOST_TRAINING));
            let is_apart = set
                .find(folder)
                .is_some_and(|path| path.join("train.tsv").is_file());
            if is_apart {
                let wanted = Wanted::new(test).training(training).of_one_token();
                return Ok(set.read(folder, wanted)?);
            }
            let items = 2 * test.max(training);
            let task = set.read(folder, Wanted::new(items).of_one_token())?;
            Ok(split(task, test, training))
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

/// Items at even indices train, items at odd indices test.
fn split(mut task: Task, test: usize, training: usize) -> Task {
    let mut sides = [Vec::new(), Vec::new()];
    for (at, item) in task.items.drain(..).enumerate() {
        sides[at % 2].push(item);
    }
    let [even, odd] = sides;
    task.training = evenly(even, training);
    task.items = evenly(odd, test);
    task
}

/// At most this many items, at equal distances.
fn evenly(items: Vec<Item>, most: usize) -> Vec<Item> {
    let count = items.len();
    let is_kept = |at: usize| count <= most || (at + 1) * most / count > at * most / count;
    let places = items.into_iter().enumerate();
    let kept = places.filter(|(at, _)| is_kept(*at));
    kept.map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise_sweep::Rule;

    #[test]
    fn every_set_is_known() {
        for (name, _) in SETS {
            assert!(DataSet::named(name).is_some(), "{name}");
        }
    }

    #[test]
    fn even_items_train_and_odd_ones_test() {
        let mut task = Task::new("numbers", Rule::Choice);
        task.items = (0..20)
            .map(|at| Item::new(at.to_string(), ["a", "b"]))
            .collect();
        let prompts = |items: &[Item]| -> Vec<usize> {
            let each = items.iter();
            each.map(|item| item.prompt.parse().unwrap()).collect()
        };
        let whole = split(task.clone(), 10, 10);
        assert_eq!(
            prompts(&whole.training),
            (0..20).step_by(2).collect::<Vec<_>>()
        );
        assert_eq!(
            prompts(&whole.items),
            (1..20).step_by(2).collect::<Vec<_>>()
        );
        let few = split(task, 5, 4);
        assert_eq!(prompts(&few.items), [3, 7, 11, 15, 19]);
        assert_eq!(few.training.len(), 4);
        assert!(prompts(&few.training).iter().all(|at| at % 2 == 0));
    }
}
