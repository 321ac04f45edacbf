//! Accuracy on benchmark items under altered schedules: `benchmarks` (paper B.4).
//!
//! `acc` as in lm-evaluation-harness; [`Encoder`](layerwise_tasks::Encoder) says how items become tokens.

use super::table::{Intervention, Record};
use crate::core::error::{ExperimentError, Place};
use crate::core::harness::questions;
use crate::core::models::relative_depth;
use crate::core::sample::Units;
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_corpus::Tokenizer;
use layerwise_metrics::ClusteredMean;
use layerwise_schedule::{DEFAULT_MAX_MEMBERS, EditFamily};
use layerwise_sweep::{Counted, LogLikelihood, Plan, Question, cost};
use layerwise_tasks::Task;
use layerwise_transformer::Model;
use std::sync::Arc;

/// The families of the figures, with the intervention of each and the distance from l to the block that gives the depth.
const FAMILIES: [(&str, Intervention, usize); 3] = [
    ("drop(l)", Intervention::Drop, 0),
    ("swap(l,l+1)", Intervention::Swap, 0),
    ("repeat(l..l+5)", Intervention::RepeatFive, 2),
];

/// The fewest blocks that a model needs for each family.
fn blocks_needed(intervention: Intervention) -> usize {
    match intervention {
        Intervention::None => 1,
        // A schedule needs at least one step.
        Intervention::Drop | Intervention::Swap => 2,
        Intervention::RepeatFive => 5,
    }
}

/// The items of all tasks as token ids, task after task, and the schedules that they are scored under.
struct Scoring {
    plan: Plan,
    questions: Counted<Vec<Question>>,
}

impl Scoring {
    /// Encodes the items for a model.
    fn new(
        subject: &Subject<'_>,
        tokenizer: &Tokenizer,
        tasks: &[Task],
    ) -> Result<Self, ExperimentError> {
        Ok(Self {
            plan: plan(subject.model)?,
            questions: questions(subject, tokenizer, tasks)?,
        })
    }
}

/// The tasks, and their items as a model reads them.
type Encoded<'a> = (&'a [Task], Arc<Scoring>);

/// The tasks, and their items as a model reads them; `None` without tasks or tokenizer.
fn scoring<'a>(subject: &Subject<'a>) -> Result<Option<Encoded<'a>>, ExperimentError> {
    let (Some(tasks), Some(tokenizer)) = (subject.data.get::<Vec<Task>>(), subject.tokenizer)
    else {
        return Ok(None);
    };
    let scoring = subject
        .shared
        .get(|| Scoring::new(subject, tokenizer, tasks))?;
    Ok(Some((tasks, scoring)))
}

/// Describes the runs.
///
/// # Errors
/// An item cannot be encoded, or the user interrupts.
pub(super) fn announce(subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
    let Some((_, scoring)) = scoring(subject)? else {
        return Ok(Vec::new());
    };
    let requests = || scoring.questions.iter().flat_map(|q| &q.continuations);
    Ok(vec![format!(
        "benchmarks: {} schedules, {} steps ({} without sharing), on {} items, {} sequences, {} tokens",
        scoring.plan.entries().len(),
        scoring.plan.planned_steps(),
        scoring.plan.naive_steps(),
        scoring.questions.len(),
        requests().count(),
        requests().map(|r| r.tokens.len()).sum::<usize>(),
    )])
}

/// Multiply-adds of the runs.
///
/// # Errors
/// As for [`announce`].
pub(super) fn work(subject: &Subject<'_>) -> Result<f64, ExperimentError> {
    let Some((_, scoring)) = scoring(subject)? else {
        return Ok(0.0);
    };
    let requests = scoring.questions.iter().flat_map(|q| &q.continuations);
    let tokens = requests.map(|request| request.tokens.len()).sum();
    Ok(cost::of_plan(subject.model, &scoring.plan, tokens))
}

/// Scores every item under every schedule and records the accuracies.
///
/// # Errors
/// Logits are not finite, a journal cannot be used, or the user interrupts.
pub(super) fn measure(subject: &Subject<'_>, tables: &mut Tables) -> Result<(), ExperimentError> {
    let Some((tasks, scoring)) = scoring(subject)? else {
        return Ok(());
    };
    let (plan, questions) = (&scoring.plan, &scoring.questions);
    let likelihood = LogLikelihood::of("benchmarks", questions);
    let measured = subject.runs.measure(plan, &likelihood, questions);
    let measured = measured.map_err(|error| {
        let item = match &error {
            ExperimentError::Sweep(error) => error.item(),
            _ => None,
        };
        match item {
            Some(item) => ExperimentError::In {
                place: format!("{}: {}", subject.name, name_of(tasks, item)),
                source: Box::new(error),
            },
            None => error,
        }
    })?;
    let answers = questions.iter().zip(&measured.results);
    let answers = answers.map(|(question, schedules)| -> Vec<bool> {
        let right = schedules.iter();
        right
            .map(|likelihoods| question.is_right(likelihoods) == Some(true))
            .collect()
    });
    let mut answers = answers;
    for task in tasks {
        let own: Vec<Vec<bool>> = answers.by_ref().take(task.items.len()).collect();
        record(subject, &scoring.plan, task, &own, tables)?;
    }
    Ok(())
}

/// The task of an item, and the item's index in it.
fn name_of(tasks: &[Task], mut item: usize) -> String {
    for task in tasks {
        match item.checked_sub(task.items.len()) {
            Some(beyond) => item = beyond,
            None => return format!("{} item {item}", task.name),
        }
    }
    format!("item {item}")
}

/// The curve of differences from the plain model's accuracy, by the first block of the intervention.
pub(super) fn curve_name(intervention: Intervention, task: &str) -> String {
    format!("accuracy difference {intervention:?} {task}")
}

fn plan(model: &Model) -> Result<Plan, ExperimentError> {
    let layers = model.config().layers;
    // Families that need most blocks come last, so that a family's index is the same for every model.
    let families = FAMILIES
        .iter()
        .take_while(|(_, intervention, _)| blocks_needed(*intervention) <= layers)
        .map(|(family, ..)| family.parse::<EditFamily>())
        .collect::<Result<Vec<_>, _>>()?;
    Plan::new(model.stack(), &families, DEFAULT_MAX_MEMBERS).at(|| "benchmarks".to_owned())
}

fn record(
    subject: &Subject<'_>,
    plan: &Plan,
    task: &Task,
    answers: &[Vec<bool>],
    tables: &mut Tables,
) -> Result<(), ExperimentError> {
    let config = subject.model.config();
    let accuracy = |schedule: usize| {
        let mut mean = ClusteredMean::new();
        for answer in answers {
            mean.push(f64::from(answer[schedule]), 1);
        }
        mean
    };
    let plain = accuracy(0);
    for (index, entry) in plan.entries().iter().enumerate() {
        let own = accuracy(index);
        let difference = own.difference(&plain)?;
        let layer = entry.member.l;
        let (intervention, depth) = match entry.family {
            None => (Intervention::None, None),
            Some(family) => {
                let (_, intervention, middle) = FAMILIES[family];
                (intervention, layer.map(|l| l + middle))
            }
        };
        if let Some(layer) = layer {
            let (curve, sample) = (
                curve_name(intervention, &task.name),
                format!("task {}", task.name),
            );
            tables.push(Units::of(subject.name, &curve, &sample, layer, &difference));
        }
        tables.push(Record {
            model: subject.name.to_owned(),
            model_type: subject.model_type().to_owned(),
            task: task.name.clone(),
            intervention,
            layer,
            layers: config.layers,
            relative_depth: depth.map(|layer| relative_depth(layer, config.layers)),
            accuracy: own.mean().unwrap_or(f64::NAN),
            accuracy_se: own.standard_error(),
            difference: difference.mean().unwrap_or(f64::NAN),
            difference_se: difference.standard_error(),
            items: own.count(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise_sweep::Rule;
    use layerwise_tasks::Item;

    #[test]
    fn an_item_is_named_by_its_task() {
        let task = |name, items: usize| {
            let mut task = Task::new(name, Rule::Choice);
            task.items = vec![Item::new("x", ["y"]); items];
            task
        };
        let tasks = [task("a", 2), task("b", 3)];
        let names: Vec<String> = (0..5).map(|item| name_of(&tasks, item)).collect();
        assert_eq!(
            names,
            ["a item 0", "a item 1", "b item 0", "b item 1", "b item 2"]
        );
    }
}
