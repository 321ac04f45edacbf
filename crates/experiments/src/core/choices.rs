//! A model's choices among the options of tasks, under several schedules.

use super::error::{ExperimentError, Place};
use super::harness::{question_bytes, questions};
use super::subject::Subject;
use layerwise_corpus::Tokenizer;
use layerwise_metrics::ClusteredMean;
use layerwise_sweep::{Counted, LogLikelihood, Plan, Question, Rule};
use layerwise_tasks::{Score, Task, sheets};
use std::fmt;

/// The most items that run together after shots that they share.
const ITEMS_AFTER_SHOTS: usize = 8;

/// The items of some tasks as a model reads them. Items with the same shots run together, and the shots run once.
pub struct Choosing {
    /// For each item, the number of options of each of its questions.
    options: Vec<Vec<usize>>,
    questions: Counted<Vec<Question>>,
    tokens: usize,
    items: usize,
    tasks: usize,
}

impl Choosing {
    /// Tokens of all continuations, each with its prompt.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Encodes the items for a model.
    ///
    /// # Errors
    /// An item cannot be encoded, or the user interrupts.
    pub fn new(
        subject: &Subject<'_>,
        tokenizer: &Tokenizer,
        tasks: &[Task],
    ) -> Result<Self, ExperimentError> {
        let questions = questions(subject, tokenizer, tasks)?;
        let items: Vec<(usize, usize)> = tasks
            .iter()
            .enumerate()
            .flat_map(|(at, task)| (0..task.items.len()).map(move |item| (at, item)))
            .collect();
        let mut known: Vec<(usize, String)> = Vec::new();
        let preambles: Vec<Option<usize>> = items
            .iter()
            .map(|&(at, item)| {
                let preamble = tasks[at].preamble(&tasks[at].items[item].subject);
                let key = (!preamble.is_empty()).then_some((at, preamble))?;
                let place = known.iter().position(|known| *known == key);
                Some(place.unwrap_or_else(|| {
                    known.push(key);
                    known.len() - 1
                }))
            })
            .collect();
        let continuations = questions.iter().flat_map(|q| &q.continuations);
        let tokens = continuations.map(|c| c.tokens.len()).sum();
        let copied = questions.iter().map(question_bytes).sum();
        let memory = subject
            .runs
            .hold("the items of tasks, side by side", copied)?;
        let sheets = sheets(&questions, &preambles, ITEMS_AFTER_SHOTS);
        let sheets = sheets
            .into_iter()
            .map(|sheet| (sheet.options, sheet.question));
        let (options, questions): (Vec<_>, Vec<_>) = sheets.unzip();
        Ok(Self {
            tokens,
            options,
            questions: Counted::new(questions, memory),
            items: items.len(),
            tasks: tasks.len(),
        })
    }

    /// The answers to all items under the schedules of a plan, task by task; `tasks` are those that were encoded.
    ///
    /// # Errors
    /// Logits are not finite, a journal cannot be used, or the user interrupts.
    pub fn answers(
        &self,
        name: &'static str,
        subject: &Subject<'_>,
        plan: &Plan,
        tasks: &[Task],
    ) -> Result<Vec<Answers>, ExperimentError> {
        let runs = &subject.runs;
        let measure = LogLikelihood::of(name, &self.questions);
        let measured = runs.measure(plan, &measure, &self.questions);
        let measured = match measured {
            Err(ExperimentError::ShareFinished) => return Err(ExperimentError::ShareFinished),
            measured => measured.at(|| format!("{}: {name}", subject.name))?,
        };
        let mut scores = Vec::with_capacity(self.items);
        let mut places = tasks
            .iter()
            .flat_map(|task| (0..task.items.len()).map(move |item| (task, item)));
        for (options, schedules) in self.options.iter().zip(&measured.results) {
            let mut from = 0;
            for (options, (task, item)) in options.iter().zip(&mut places) {
                let own = from..from + options;
                let of = |likelihoods: &Vec<_>| task.score(item, &likelihoods[own.clone()]);
                scores.push(schedules.iter().map(of).collect::<Vec<Score>>());
                from += options;
            }
        }
        let mut scores = scores.into_iter();
        let answers = tasks.iter().map(|task| Answers {
            task: task.name.clone(),
            rule: task.rule,
            scores: scores.by_ref().take(task.items.len()).collect(),
        });
        Ok(answers.collect())
    }
}

impl fmt::Display for Choosing {
    /// The amount of work, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            items,
            tasks,
            tokens,
            ..
        } = self;
        write!(
            f,
            "{items} items of {tasks} tasks, {tokens} tokens without sharing"
        )
    }
}

/// The answers to the items of one task.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// The task.
    pub task: String,
    /// When its answers count as right.
    pub rule: Rule,
    /// For each item, the answer under each schedule of the plan.
    pub scores: Vec<Vec<Score>>,
}

impl Answers {
    /// The number of items.
    pub fn items(&self) -> usize {
        self.scores.len()
    }

    /// The share of right answers under a schedule, over the items with a known answer.
    pub fn accuracy(&self, schedule: usize) -> ClusteredMean {
        let mut mean = ClusteredMean::new();
        for scores in &self.scores {
            if let Some(acc) = scores[schedule].acc {
                mean.push(f64::from(acc), 1);
            }
        }
        mean
    }

    /// The same for the option with the largest log-likelihood per character, the harness's `acc_norm`.
    pub fn accuracy_by_length(&self, schedule: usize) -> ClusteredMean {
        let mut mean = ClusteredMean::new();
        for scores in &self.scores {
            if let Some(acc) = scores[schedule].acc_norm {
                mean.push(f64::from(acc), 1);
            }
        }
        mean
    }

    /// The share of items for which a schedule chooses the same option as the plain model; `None` for a task with one greedy
    /// continuation, of which only whether it is written is known.
    pub fn agreement(&self, schedule: usize) -> Option<ClusteredMean> {
        if self.rule == Rule::Greedy {
            return None;
        }
        let mut mean = ClusteredMean::new();
        for scores in &self.scores {
            let alike = scores[schedule].chosen == scores[0].chosen;
            mean.push(f64::from(alike), 1);
        }
        Some(mean)
    }
}
