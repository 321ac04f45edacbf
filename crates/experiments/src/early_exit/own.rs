//! Early exit on the user's own task: training a classifier, and measuring what a rule saves and loses.

use super::instance::{Instance, Read};
use super::measure::read_own;
use super::recording::{Applied, Recording};
use super::table::{HistogramRecord, Record};
use super::times;
use crate::core::error::{ExperimentError, Place};
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_exits::{Criterion, Reading, Rule, Trained, Vocab};
use layerwise_tasks::Task;

/// What counts as final in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// The answer of the full model.
    Full,
    /// The right answer.
    Gold,
}

/// The number of items of a task that were used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instances {
    /// Items that ran.
    pub run: usize,
    /// Items that were left out because their prompts are longer than the model's context.
    pub too_long: usize,
}

impl Instances {
    fn of(read: &Read) -> Self {
        Self {
            run: read.test.len(),
            too_long: read.too_long,
        }
    }
}

/// Trains a classifier on all items of a task. Returns the classifier and the number of instances.
///
/// # Errors
/// The model has no tokenizer, an item cannot be encoded, there are too few instances or rows of one kind, items have no answers
/// although those are the target, or the user interrupts.
pub fn train(
    subject: &Subject<'_>,
    task: &Task,
    rule: Rule,
    vocab: Vocab,
    target: Target,
    seed: u64,
) -> Result<(Trained, Instances), ExperimentError> {
    let (reads, _memory) = read_own(subject, task, vocab)?;
    let read = &reads.tasks[0];
    check_options(read, vocab)?;
    if target == Target::Gold
        && let Some(item) = read.test.iter().position(|it| it.gold.is_none())
    {
        let found = format!("none in item {item} of {}", task.name);
        return Err(ExperimentError::unexpected(
            "the right answer of every item",
            found,
        ));
    }
    let is_final = |at: usize, reading: &Reading| {
        let instance = &read.test[at];
        match (target, vocab) {
            (Target::Full, _) => instance.is_final(reading, vocab),
            (Target::Gold, Vocab::Options) => {
                reading.options.map(|own| own.first as usize) == instance.answer
            }
            (Target::Gold, _) => vocab.of(reading).map(|own| own.first) == instance.gold,
        }
    };
    let readings: Vec<&[Reading]> = read.test.iter().map(Instance::readings).collect();
    let go_on = || subject.runs.go_on().is_ok();
    let trained = Trained::new(rule, &readings, vocab, is_final, seed, &go_on);
    subject.runs.go_on()?;
    Ok((trained.at(|| task.name.clone())?, Instances::of(read)))
}

/// Refuses items without options if the rule reads options.
fn check_options(read: &Read, vocab: Vocab) -> Result<(), ExperimentError> {
    let mut instances = read.test.iter();
    match vocab == Vocab::Options && instances.any(|instance| instance.options.is_empty()) {
        false => Ok(()),
        true => Err(ExperimentError::unexpected(
            "two options or more",
            format!("one option in items of {}", read.name),
        )),
    }
}

/// What a rule saves and loses on a task.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Evaluated {
    /// The items.
    pub instances: Instances,
    /// At the given threshold.
    pub own: Record,
    /// Where runs stop at it, one line for each number of blocks.
    pub histogram: Vec<HistogramRecord>,
    /// At other thresholds, in ascending order of what is left out.
    pub others: Vec<Record>,
}

impl Evaluated {
    /// The threshold that leaves out most at an agreement of at least this.
    pub fn most_saved(&self, agreement: f64) -> Option<&Record> {
        let enough = self.others.iter().chain([&self.own]);
        let enough = enough.filter(|record| record.agreement >= agreement);
        enough.max_by(|a, b| a.pruning_ratio.total_cmp(&b.pruning_ratio))
    }
}

/// The number of thresholds to try besides the given one, spread evenly over the scores that occur.
const THRESHOLDS: usize = 64;

/// Tests a rule on all items of a task, at its threshold and at others between the scores that occur. With a clock, also times
/// it on this many items.
///
/// # Errors
/// The model has no tokenizer, an item cannot be encoded, items have no options although the rule reads them, or the user
/// interrupts.
pub fn evaluate(
    subject: &Subject<'_>,
    task: &Task,
    tested: &Criterion,
    timed: usize,
) -> Result<Evaluated, ExperimentError> {
    let (reads, _memory) = read_own(subject, task, tested.vocab)?;
    let read = &reads.tasks[0];
    if read.test.is_empty() {
        return Err(ExperimentError::unexpected(
            "an item that fits the model's context",
            "none",
        ));
    }
    check_options(read, tested.vocab)?;
    let mut applied = Applied::new(tested.rule, tested.trained.as_ref(), tested.vocab);
    (applied.least, applied.every) = (tested.least, tested.every);
    applied.shown = Some(tested.threshold);
    applied.times = times::of_prompts(subject, read, &tested.stop(), timed)?;
    let recording = Recording::new(subject);
    let mut thresholds = thresholds(subject, &applied, read)?;
    thresholds.retain(|threshold| *threshold != tested.threshold);
    thresholds.insert(0, tested.threshold);
    let mut tables = Tables::default();
    recording.rule(&applied, read, &thresholds, &mut tables)?;
    let (own, others) = tables.of::<Record>().split_at(1);
    let (own, mut others) = (own[0].clone(), others.to_vec());
    others.sort_by(|a, b| a.pruning_ratio.total_cmp(&b.pruning_ratio));
    Ok(Evaluated {
        instances: Instances::of(read),
        own,
        histogram: tables.of::<HistogramRecord>().to_vec(),
        others,
    })
}

/// Some of the scores that occur.
fn thresholds(
    subject: &Subject<'_>,
    applied: &Applied<'_>,
    read: &Read,
) -> Result<Vec<f64>, ExperimentError> {
    let mut scores = Vec::new();
    for instance in &read.test {
        subject.runs.go_on()?;
        scores.extend(applied.scores(instance.readings()));
    }
    Ok(spread(scores))
}

/// Scores spread evenly, and the greatest ones at distances from the end that double: where few stops are right, only
/// thresholds above nearly all scores agree often.
fn spread(mut all: Vec<f64>) -> Vec<f64> {
    all.retain(|score| score.is_finite());
    all.sort_by(f64::total_cmp);
    all.dedup();
    let step = all.len().div_ceil(THRESHOLDS).max(1);
    let last = std::iter::successors(Some(1), |distance| Some(2 * distance));
    let last = last.take_while(|distance| *distance < step);
    let mut places: Vec<usize> = (0..all.len()).step_by(step).collect();
    places.extend(last.filter_map(|distance| all.len().checked_sub(distance)));
    places.sort_unstable();
    places.dedup();
    places.into_iter().map(|place| all[place]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_scores_are_tried() {
        let check = |count: usize, tried: usize, last: &[f64]| {
            let found = spread((0..count).map(|score| score as f64).collect());
            assert_eq!(found.len(), tried, "{found:?}");
            assert!(found.ends_with(last), "{found:?}");
        };
        check(0, 0, &[]);
        check(64, 64, &[62.0, 63.0]);
        // Every third, of which the last is 126, and the greatest.
        check(129, 45, &[123.0, 126.0, 127.0, 128.0]);
        check(15_000, 72, &[14_992.0, 14_996.0, 14_998.0, 14_999.0]);
    }
}
