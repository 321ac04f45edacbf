//! Items of tasks under many schedules: what each schedule answers, and the tables of that.

use crate::task::Task;
use layerwise_metrics::ClusteredMean;
use layerwise_sweep::{
    Failure, Label, Likelihood, LogLikelihood, Measure, MeasureId, PlainResults, Question, Reached,
};
use layerwise_transformer::{Batch, ModelConfig};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;

/// Scores the items of some tasks, one task after another, under every schedule of a plan.
///
/// An item of the run is the [`Question`] that an [`Encoder`](crate::Encoder) makes of a task's item.
///
/// ```
/// use layerwise_sweep::{Continuation, Plan, Question, Rule, Runner};
/// use layerwise_tasks::{Item, Scoring, Task, TaskScores};
/// use layerwise_transformer::{Model, ModelConfig};
///
/// let mut task = Task::new("colours", Rule::Choice);
/// task.items = vec![Item::new("The sky is", ["blue", "green"]).answered(0)];
/// // What an `Encoder` makes of the item: the tokens before each option, and those of the option.
/// let option = |token| Continuation { tokens: vec![1, 2, 3], targets: vec![token] };
/// let continuations = vec![option(4), option(5)];
/// let questions = [Question { continuations, answer: Some((0, Rule::Choice)) }];
///
/// let tasks = [task];
/// let model = Model::random(ModelConfig::tiny(), 0);
/// let plan = Plan::new(model.stack(), &["drop(l)".parse()?], 4096)?;
/// let scoring = Scoring::of(&tasks, &questions);
/// let measured = Runner::new().measure(&model, &plan, &scoring, &questions)?;
/// let scores = TaskScores::collect(measured.results.iter().map(Vec::as_slice));
/// assert_eq!(scores[0].schedules[0].same_choice.mean(), Some(1.0)); // the plain model
/// println!("{:?}", scores[0].schedules[1].acc_change.mean()); // drop(0)
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scoring<'a> {
    tasks: &'a [Task],
    likelihood: LogLikelihood,
}

/// What an item is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Asked {
    /// The name of its task.
    pub task: String,
    /// Its index in the task.
    pub index: usize,
    /// The index of the right option, where it is known.
    pub gold: Option<usize>,
}

/// What a schedule answers to an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Answer {
    /// The item: in the plain model's result alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// The option that is chosen ([`Score::chosen`](crate::Score::chosen)).
    pub chosen: usize,
    /// Whether it is right; `None` where the right option is not known.
    pub acc: Option<bool>,
    /// Whether the option with the largest log-likelihood per character is right; `None` where that is not defined.
    pub acc_norm: Option<bool>,
    /// The log-likelihood of each option, nats.
    pub log_likelihoods: Vec<f64>,
}

impl<'a> Scoring<'a> {
    /// The measure of some tasks, of whose items `questions` are the token ids.
    ///
    /// # Panics
    /// If there is not a question for each item.
    pub fn of(tasks: &'a [Task], questions: &[Question]) -> Self {
        let items: usize = tasks.iter().map(|task| task.items.len()).sum();
        assert_eq!(questions.len(), items, "a question for each item");
        Self {
            tasks,
            likelihood: LogLikelihood::of(Self::NAME, questions),
        }
    }

    /// The name of the measure, by which journals tell it.
    pub const NAME: &'static str = "tasks";

    /// The task of an item of the run, and the item's index there.
    fn place(&self, mut item: usize) -> (&'a Task, usize) {
        for task in self.tasks {
            match item.checked_sub(task.items.len()) {
                Some(beyond) => item = beyond,
                None => return (task, item),
            }
        }
        unreachable!("the run has the items of the tasks alone")
    }

    fn answer(
        &self,
        reached: &Reached<'_, Question>,
        likelihoods: &[Likelihood],
        is_plain: bool,
    ) -> Answer {
        let (task, index) = self.place(reached.index);
        let score = task.score(index, likelihoods);
        Answer {
            asked: is_plain.then(|| Asked {
                task: task.name.clone(),
                index,
                gold: task.items[index].answer,
            }),
            chosen: score.chosen,
            acc: score.acc,
            acc_norm: score.acc_norm,
            log_likelihoods: likelihoods.iter().map(|own| own.log_likelihood).collect(),
        }
    }
}

impl Measure for Scoring<'_> {
    type Item = Question;
    type Observer<'o>
        = ()
    where
        Self: 'o;
    type Reference = ();
    type Sums = Answer;

    /// Depends on the right options and the lengths of all, which the token ids do not tell.
    fn id(&self) -> MeasureId {
        let mut settings = String::new();
        for task in self.tasks {
            settings += &format!("{} {:?}:", task.name, task.rule);
            for item in &task.items {
                let lengths = item.options.iter().map(|option| option.characters());
                let lengths: Vec<usize> = lengths.collect();
                settings += &format!(" {:?} of {lengths:?}", item.answer);
            }
            settings.push('\n');
        }
        MeasureId::new(Self::NAME, 1).with_settings(settings)
    }

    fn batch(&self, question: &Question) -> Batch {
        self.likelihood.batch(question)
    }

    fn particulars(&self, question: &Question) -> Vec<u32> {
        self.likelihood.particulars(question)
    }

    fn plain(
        &self,
        reached: &Reached<'_, Question>,
        _: Option<()>,
    ) -> Result<((), Answer), Failure> {
        let likelihoods = self.likelihood.altered(reached, &())?;
        Ok(((), self.answer(reached, &likelihoods, true)))
    }

    fn altered(&self, reached: &Reached<'_, Question>, (): &()) -> Result<Answer, Failure> {
        let likelihoods = self.likelihood.altered(reached, &())?;
        Ok(self.answer(reached, &likelihoods, false))
    }

    fn plain_of_all(
        &self,
        reached: &[Reached<'_, Question>],
        _: Vec<Option<()>>,
    ) -> Result<PlainResults<(), Answer>, (usize, Failure)> {
        let none = vec![(); reached.len()];
        let likelihoods = self.likelihood.altered_of_all(reached, &none)?;
        let each = reached.iter().zip(likelihoods);
        let answers = each.map(|(reached, own)| ((), self.answer(reached, &own, true)));
        Ok(answers.collect())
    }

    fn altered_of_all(
        &self,
        reached: &[Reached<'_, Question>],
        plain: &[()],
    ) -> Result<Vec<Answer>, (usize, Failure)> {
        let likelihoods = self.likelihood.altered_of_all(reached, plain)?;
        let each = reached.iter().zip(likelihoods);
        let answers = each.map(|(reached, own)| self.answer(reached, &own, false));
        Ok(answers.collect())
    }

    fn kept_bytes(&self, config: &ModelConfig, seq: usize, schedules: usize) -> usize {
        self.likelihood.kept_bytes(config, seq, schedules)
    }

    fn reading_bytes(&self, config: &ModelConfig, seq: usize) -> usize {
        self.likelihood.reading_bytes(config, seq)
    }

    /// The log-likelihoods, which take less than likelihoods do, and the names of tasks.
    fn result_bytes(&self, config: &ModelConfig, items: &[Question], schedules: usize) -> usize {
        let longest = self.tasks.iter().map(|task| task.name.len()).max();
        let names = items.len() * longest.unwrap_or(0);
        names + self.likelihood.result_bytes(config, items, schedules)
    }
}

/// One schedule on the items of one task.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ScheduleScores {
    /// Share of items whose right option is chosen; over those of which it is known.
    pub acc: ClusteredMean,
    /// The same less the plain model's, paired by item.
    pub acc_change: ClusteredMean,
    /// The same with the option of the largest log-likelihood per character; of no items where that is not defined.
    pub acc_norm: ClusteredMean,
    /// The same less the plain model's, paired by item.
    pub acc_norm_change: ClusteredMean,
    /// Share of items of which the plain model's option is chosen.
    pub same_choice: ClusteredMean,
}

/// Every schedule on the items of one task.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskScores {
    /// Its name.
    pub task: String,
    /// How many items it has.
    pub items: usize,
    /// One for each schedule, the plain one first.
    pub schedules: Vec<ScheduleScores>,
}

impl TaskScores {
    /// Puts the answers of items together, task after task; `answers` holds for each item those of every schedule.
    pub fn collect<'a>(answers: impl IntoIterator<Item = &'a [Answer]>) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for answers in answers {
            let Some((plain, asked)) = plain_of(answers) else {
                continue;
            };
            if all.last().is_none_or(|last| last.task != asked.task) {
                all.push(Self {
                    task: asked.task.clone(),
                    items: 0,
                    schedules: vec![ScheduleScores::default(); answers.len()],
                });
            }
            let Some(own) = all.last_mut() else { continue };
            own.items += 1;
            for (scores, answer) in own.schedules.iter_mut().zip(answers) {
                let same = answer.chosen == plain.chosen;
                scores.same_choice.push(f64::from(same), 1);
                for (mean, change, own, plain) in [
                    (
                        &mut scores.acc,
                        &mut scores.acc_change,
                        answer.acc,
                        plain.acc,
                    ),
                    (
                        &mut scores.acc_norm,
                        &mut scores.acc_norm_change,
                        answer.acc_norm,
                        plain.acc_norm,
                    ),
                ] {
                    if let (Some(own), Some(plain)) = (own, plain) {
                        mean.push(f64::from(own), 1);
                        change.push(f64::from(own) - f64::from(plain), 1);
                    }
                }
            }
        }
        all
    }
}

/// The plain model's answer, and the item.
fn plain_of(answers: &[Answer]) -> Option<(&Answer, &Asked)> {
    let plain = answers.first()?;
    Some((plain, plain.asked.as_ref()?))
}

/// The columns of schedules. Other programs may rely on their names.
const COLUMNS: [&str; 19] = [
    "model",
    "family",
    "schedule",
    "l",
    "m",
    "h",
    "p",
    "task",
    "items",
    "acc",
    "acc_se",
    "acc_change",
    "acc_change_se",
    "acc_norm",
    "acc_norm_se",
    "acc_norm_change",
    "acc_norm_change_se",
    "same_choice",
    "same_choice_se",
];

/// The columns of items.
const OF_ITEMS: [&str; 9] = [
    "model",
    "schedule",
    "task",
    "item",
    "choice",
    "gold",
    "acc",
    "acc_norm",
    "log_likelihoods_nats",
];

/// A table of scores as CSV, in memory.
pub struct ScoreTable {
    writer: csv::Writer<Vec<u8>>,
}

impl fmt::Debug for ScoreTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScoreTable").finish_non_exhaustive()
    }
}

impl ScoreTable {
    fn of(columns: &[&str]) -> io::Result<Self> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(columns)?;
        Ok(Self { writer })
    }

    /// The header of a table with a row for each task under each schedule.
    ///
    /// # Errors
    /// The CSV writer fails.
    pub fn of_tasks() -> io::Result<Self> {
        Self::of(&COLUMNS)
    }

    /// The header of a table with a row for each item under each schedule.
    ///
    /// # Errors
    /// The CSV writer fails.
    pub fn of_items() -> io::Result<Self> {
        Self::of(&OF_ITEMS)
    }

    /// Adds a model's rows to a table of tasks.
    ///
    /// # Errors
    /// The CSV writer fails.
    pub fn push_tasks(
        &mut self,
        model: &str,
        labels: &[Label],
        scores: &[TaskScores],
    ) -> io::Result<()> {
        for task in scores {
            for (label, own) in labels.iter().zip(&task.schedules) {
                let head = [model, &label.family, &label.edit].map(str::to_owned);
                let bound = [label.l, label.m, label.h, label.p].map(optional);
                let means = [
                    &own.acc,
                    &own.acc_change,
                    &own.acc_norm,
                    &own.acc_norm_change,
                    &own.same_choice,
                ];
                let means =
                    means.map(|mean| [optional(mean.mean()), optional(mean.standard_error())]);
                let row = head.into_iter().chain(bound);
                let row = row.chain([task.task.clone(), task.items.to_string()]);
                self.writer.write_record(row.chain(means.concat()))?;
            }
        }
        Ok(())
    }

    /// Adds a model's rows to a table of items: for each item the answers of every schedule. Shares are 1 or 0; log-likelihoods
    /// stand in the order of the options, with spaces between them.
    ///
    /// # Errors
    /// The CSV writer fails.
    pub fn push_items<'a>(
        &mut self,
        model: &str,
        labels: &[Label],
        answers: impl IntoIterator<Item = &'a [Answer]>,
    ) -> io::Result<()> {
        for answers in answers {
            let Some((_, asked)) = plain_of(answers) else {
                continue;
            };
            for (label, answer) in labels.iter().zip(answers) {
                let likelihoods = answer.log_likelihoods.iter().map(f64::to_string);
                self.writer.write_record([
                    model.to_owned(),
                    label.edit.clone(),
                    asked.task.clone(),
                    asked.index.to_string(),
                    answer.chosen.to_string(),
                    optional(asked.gold),
                    optional(answer.acc.map(u8::from)),
                    optional(answer.acc_norm.map(u8::from)),
                    likelihoods.collect::<Vec<_>>().join(" "),
                ])?;
            }
        }
        Ok(())
    }

    /// The table as CSV.
    ///
    /// # Errors
    /// The CSV writer fails.
    pub fn bytes(self) -> io::Result<Vec<u8>> {
        self.writer
            .into_inner()
            .map_err(csv::IntoInnerError::into_error)
    }
}

/// What there is, else nothing.
fn optional(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Item;
    use layerwise_sweep::Rule;

    #[test]
    fn an_item_has_its_place_in_its_task() {
        let task = |name: &str, items: usize| {
            let mut task = Task::new(name, Rule::Choice);
            task.items = vec![Item::new("x", ["y"]); items];
            task
        };
        // A task may have no items.
        let tasks = [task("a", 2), task("b", 0), task("c", 3)];
        let question = Question {
            continuations: Vec::new(),
            answer: None,
        };
        let scoring = Scoring::of(&tasks, &vec![question; 5]);
        let places: Vec<(&str, usize)> = (0..5)
            .map(|item| scoring.place(item))
            .map(|(task, index)| (task.name.as_str(), index))
            .collect();
        assert_eq!(places, [("a", 0), ("a", 1), ("c", 0), ("c", 1), ("c", 2)]);
    }

    #[test]
    fn answers_are_put_together_task_after_task() {
        let answer = |asked: Option<(&str, usize)>, chosen: usize, acc: Option<bool>| Answer {
            asked: asked.map(|(task, index)| Asked {
                task: task.to_owned(),
                index,
                gold: acc.map(|_| 0),
            }),
            chosen,
            acc,
            acc_norm: None,
            log_likelihoods: Vec::new(),
        };
        // For each item the plain model's answer and that under one schedule; the last item's right option is not known.
        let items = [
            [
                answer(Some(("a", 0)), 0, Some(true)),
                answer(None, 1, Some(false)),
            ],
            [
                answer(Some(("a", 1)), 1, Some(false)),
                answer(None, 1, Some(false)),
            ],
            [
                answer(Some(("b", 0)), 1, Some(false)),
                answer(None, 0, Some(true)),
            ],
            [answer(Some(("b", 1)), 2, None), answer(None, 2, None)],
        ];
        let scores = TaskScores::collect(items.iter().map(<[Answer; 2]>::as_slice));
        let told: Vec<_> = scores
            .iter()
            .map(|task| {
                let altered = &task.schedules[1];
                let means = [&altered.acc, &altered.acc_change, &altered.same_choice];
                (
                    task.task.as_str(),
                    task.items,
                    means.map(ClusteredMean::mean),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("a", 2, [Some(0.0), Some(-0.5), Some(0.5)]),
                ("b", 2, [Some(1.0), Some(1.0), Some(0.5)]),
            ]
        );
        assert_eq!(scores[1].schedules[0].acc.count(), 1);
    }
}
