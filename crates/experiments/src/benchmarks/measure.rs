//! Accuracy on benchmark items under altered schedules: `benchmarks` (paper B.4).
//!
//! `acc` as in lm-evaluation-harness: context and continuation are encoded together, and the continuation's tokens are
//! those past the length of the encoded context; no BOS is put before them unless `--bos ID` asks for one; what does not
//! fit into the model is cut off on the left. A step that several schedules share as part of a common prefix is run once
//! for a sequence, and only the continuation's positions go through the unembedding.

use super::data::{Rule, Task};
use super::table::{Intervention, Record};
use crate::core::error::{ExperimentError, Place};
use crate::core::models::relative_depth;
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_corpus::Tokenizer;
use layerwise_kernels::vocabulary;
use layerwise_metrics::ClusteredMean;
use layerwise_schedule::{DEFAULT_MAX_MEMBERS, EditFamily, Schedule, Trie};
use layerwise_sweep::{MeasureId, Plan};
use layerwise_transformer::{Batch, Model, Workspace};
use ndarray::{Array2, s};
use std::sync::Arc;

/// The families of the figures, with what they are and the distance from l to the block that their depth is taken at.
const FAMILIES: [(&str, Intervention, usize); 3] = [
    ("drop(l)", Intervention::Drop, 0),
    ("swap(l,l+1)", Intervention::Swap, 0),
    ("repeat(l..l+5)", Intervention::RepeatFive, 2),
];

/// Blocks that a model has for each family at least.
fn blocks_needed(intervention: Intervention) -> usize {
    match intervention {
        Intervention::None => 1,
        // A schedule must keep a step.
        Intervention::Drop | Intervention::Swap => 2,
        Intervention::RepeatFive => 5,
    }
}

/// The items of all tasks as token ids, one for each item, task after task; and the schedules that they are scored under.
struct Scoring {
    plan: Plan,
    questions: Vec<Question>,
}

impl Scoring {
    /// Encodes the items for a model.
    fn new(
        subject: &Subject<'_>,
        tokenizer: &Tokenizer,
        tasks: &[Task],
    ) -> Result<Self, ExperimentError> {
        let positions = subject.model.config().context;
        let items: Vec<(&Task, usize)> = tasks
            .iter()
            .flat_map(|task| (0..task.items.len()).map(move |item| (task, item)))
            .collect();
        let questions = subject.runs.over(&items, |_, &(task, index)| {
            Question::new(tokenizer, subject.bos, task, index, positions)
                .at(|| format!("{}: {} item {index}", subject.name, task.name))
        })?;
        Ok(Self {
            plan: plan(subject.model)?,
            questions,
        })
    }
}

/// The tasks, and their items as a model reads them; `None` without tasks or tokenizer.
fn scoring<'a>(
    subject: &Subject<'a>,
) -> Result<Option<(&'a [Task], Arc<Scoring>)>, ExperimentError> {
    let (Some(tasks), Some(tokenizer)) = (subject.data.get::<Vec<Task>>(), subject.tokenizer)
    else {
        return Ok(None);
    };
    let scoring = subject
        .shared
        .get(|| Scoring::new(subject, tokenizer, tasks))?;
    Ok(Some((tasks, scoring)))
}

/// What is going to be run.
///
/// # Errors
/// An item that cannot be encoded, or an interrupt.
pub(super) fn announce(subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
    let Some((_, scoring)) = scoring(subject)? else {
        return Ok(Vec::new());
    };
    let requests = || scoring.questions.iter().flat_map(|q| &q.requests);
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

/// Scores every item under every schedule and records the accuracies.
///
/// # Errors
/// Logits that are not finite, a journal that cannot be used, or an interrupt.
pub(super) fn measure(subject: &Subject<'_>, tables: &mut Tables) -> Result<(), ExperimentError> {
    let Some((tasks, scoring)) = scoring(subject)? else {
        return Ok(());
    };
    let model = subject.model;
    let entries = scoring.plan.entries();
    let schedules: Vec<Schedule> = entries.iter().map(|e| e.member.schedule.clone()).collect();
    let trie = Trie::new(&schedules);
    let edits: Vec<String> = entries.iter().map(|e| e.member.edit.to_string()).collect();
    let id = MeasureId::new("benchmarks", 1).with_settings(edits.join(" "));
    let answers = subject.runs.kept(
        id,
        &scoring.questions,
        Question::numbers,
        |answers: &Vec<bool>| answers.len() == schedules.len(),
        |_, question| {
            let right = question.right(model, &trie, schedules.len());
            right.at(|| format!("{}: {}", subject.name, question.name))
        },
    )?;
    let mut answers = answers.into_iter();
    for task in tasks {
        let own: Vec<Vec<bool>> = answers.by_ref().take(task.items.len()).collect();
        record(subject, &scoring.plan, task, &own, tables)?;
    }
    Ok(())
}

fn plan(model: &Model) -> Result<Plan, ExperimentError> {
    let layers = model.config().layers;
    // Those that need most blocks stand last, so that a family's index is the same for every model.
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
        tables.push(Record {
            model: subject.name.to_owned(),
            model_type: subject.model_type().to_owned(),
            task: task.name.to_owned(),
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

/// A sequence to run, and the tokens whose probability is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Request {
    /// Context and continuation without its last token.
    tokens: Vec<u32>,
    /// The continuation's tokens; the first is predicted at position `tokens.len() − targets.len()`.
    targets: Vec<u32>,
}

impl Request {
    /// As the harness encodes a pair, cut on the left to what a model of `context` positions can score.
    fn new(
        tokenizer: &Tokenizer,
        bos: Option<u32>,
        context: &str,
        continuation: &str,
        positions: usize,
    ) -> Result<Self, ExperimentError> {
        // Spaces at the context's end go to the continuation, with which they are one token.
        let kept = context.trim_end();
        let continuation = format!("{}{continuation}", &context[kept.len()..]);
        let before = tokenizer.encode(kept)?.len();
        let mut whole = tokenizer.encode(&format!("{kept}{continuation}"))?;
        if before == 0 || whole.len() <= before {
            let found = format!(
                "{before} and {} in all, in {context:?} and {continuation:?}",
                whole.len()
            );
            let expected = "tokens of a context and of a continuation";
            return Err(ExperimentError::unexpected(expected, found));
        }
        let targets = whole[before..].to_vec();
        whole.splice(..0, bos);
        if targets.len() > positions {
            let expected =
                format!("a continuation of at most {positions} tokens, the model's context");
            return Err(ExperimentError::unexpected(
                expected,
                targets.len().to_string(),
            ));
        }
        whole.pop();
        let cut = whole.len().saturating_sub(positions);
        Ok(Self {
            tokens: whole.split_off(cut),
            targets,
        })
    }
}

/// What a schedule gives a continuation.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Outcome {
    /// Sum over the continuation's tokens, nats.
    log_likelihood: f64,
    /// Whether each of them is the most probable one.
    greedy: bool,
}

/// An item as token ids.
#[derive(Clone)]
struct Question {
    /// The task and the item's index.
    name: String,
    rule: Rule,
    /// Index of the right continuation.
    gold: usize,
    /// One for each continuation.
    requests: Vec<Request>,
}

impl Question {
    fn new(
        tokenizer: &Tokenizer,
        bos: Option<u32>,
        task: &Task,
        index: usize,
        positions: usize,
    ) -> Result<Self, ExperimentError> {
        let item = &task.items[index];
        let request = |continuation: &String| {
            Request::new(tokenizer, bos, &item.context, continuation, positions)
        };
        Ok(Self {
            name: format!("{} item {index}", task.name),
            rule: task.rule,
            gold: item.gold,
            requests: item
                .continuations
                .iter()
                .map(request)
                .collect::<Result<_, _>>()?,
        })
    }

    /// What the answers depend on in numbers, lists with their lengths.
    fn numbers(&self) -> Vec<u32> {
        let mut numbers = vec![u32::from(self.rule == Rule::Greedy), self.gold as u32];
        for Request { tokens, targets } in &self.requests {
            for list in [tokens, targets] {
                numbers.push(list.len() as u32);
                numbers.extend(list);
            }
        }
        numbers
    }

    /// Whether each schedule answers it rightly.
    fn right(
        &self,
        model: &Model,
        trie: &Trie,
        schedules: usize,
    ) -> Result<Vec<bool>, ExperimentError> {
        let score = |request| score(model, trie, schedules, request);
        let outcomes: Vec<Vec<Outcome>> =
            self.requests.iter().map(score).collect::<Result<_, _>>()?;
        let answers = (0..schedules).map(|schedule| match self.rule {
            Rule::Greedy => outcomes[self.gold][schedule].greedy,
            Rule::Choice => {
                let own = outcomes.iter().map(|outcome| outcome[schedule]);
                first_largest(own.map(|outcome| outcome.log_likelihood)) == self.gold
            }
        });
        Ok(answers.collect())
    }
}

fn first_largest(values: impl Iterator<Item = f64>) -> usize {
    let start = (0, f64::NEG_INFINITY);
    let (index, _) =
        values.enumerate().fold(
            start,
            |best, (index, value)| {
                if value > best.1 { (index, value) } else { best }
            },
        );
    index
}

/// Every schedule of the trie on one sequence.
fn score(
    model: &Model,
    trie: &Trie,
    schedules: usize,
    request: &Request,
) -> Result<Vec<Outcome>, ExperimentError> {
    let batch = Batch::from(&request.tokens);
    let residual = model.embed(&batch)?;
    let nothing = Outcome {
        log_likelihood: f64::NAN,
        greedy: false,
    };
    let mut walk = Walk {
        model,
        trie,
        request,
        workspace: Workspace::new(model, &batch),
        outcomes: vec![nothing; schedules],
    };
    walk.from(Trie::ROOT, residual)?;
    Ok(walk.outcomes)
}

struct Walk<'a> {
    model: &'a Model,
    trie: &'a Trie,
    request: &'a Request,
    workspace: Workspace,
    outcomes: Vec<Outcome>,
}

impl Walk<'_> {
    /// Runs the subtree below a node, at which the residual stream is given.
    fn from(&mut self, mut node: usize, mut residual: Array2<f32>) -> Result<(), ExperimentError> {
        // The last child is followed in this loop, not by recursion: schedules may be long.
        loop {
            self.finish(node, &residual)?;
            let Some((&last, others)) = self.trie.children(node).split_last() else {
                return Ok(());
            };
            for &child in others {
                let mut own = residual.clone();
                self.advance(child, &mut own);
                self.from(child, own)?;
            }
            self.advance(last, &mut residual);
            node = last;
        }
    }

    fn advance(&mut self, node: usize, residual: &mut Array2<f32>) {
        if let Some(step) = self.trie.step(node) {
            self.model.apply(step, residual, &mut self.workspace);
        }
    }

    fn finish(&mut self, node: usize, residual: &Array2<f32>) -> Result<(), ExperimentError> {
        let ends = self.trie.ends(node);
        if ends.is_empty() {
            return Ok(());
        }
        let targets = &self.request.targets;
        let first = residual.nrows() - targets.len();
        let normed = self.model.final_norm(residual.slice(s![first.., ..]));
        let summaries = vocabulary::pass(normed.view(), self.model.unembedding(), targets);
        let mut outcome = Outcome {
            log_likelihood: 0.0,
            greedy: true,
        };
        for (summary, target) in summaries.iter().zip(targets) {
            let logit = summary.target_logit.map_or(f64::NAN, f64::from);
            outcome.log_likelihood += logit - summary.log_sum_exp;
            outcome.greedy &= summary.argmax == *target;
        }
        if !outcome.log_likelihood.is_finite() {
            let found = format!("a log-likelihood of {}", outcome.log_likelihood);
            return Err(ExperimentError::unexpected("finite logits", found));
        }
        for &schedule in ends {
            self.outcomes[schedule] = outcome;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::tokenizer;
    use layerwise_metrics::divergence;
    use layerwise_transformer::ModelConfig;

    #[test]
    fn pairs_are_encoded_as_in_the_harness() {
        let tokenizer = tokenizer();
        let check = |context: &str, continuation: &str, positions: usize, bos: Option<u32>| {
            let request = Request::new(&tokenizer, bos, context, continuation, positions).unwrap();
            let whole = tokenizer
                .encode(&format!("{context}{continuation}"))
                .unwrap();
            let before = tokenizer.encode(context.trim_end()).unwrap().len();
            assert_eq!(request.targets, &whole[before..]);
            let mut all: Vec<u32> = bos.into_iter().chain(whole).collect();
            all.pop();
            let cut = all.len().saturating_sub(positions);
            assert_eq!(request.tokens, &all[cut..], "{context:?}{continuation:?}");
            request
        };
        check("The people of the", " United States", 100, None);
        check("The people of the ", "United States", 100, None);
        check("The people of the", " United States", 100, Some(0));
        let cut = check("The people of the", " United States", 3, None);
        assert_eq!(cut.tokens.len(), 3);
        let refused = |context: &str, continuation: &str, positions: usize| {
            Request::new(&tokenizer, None, context, continuation, positions).is_err()
        };
        assert!(refused("", " word", 9), "no context");
        assert!(refused("word", "", 9), "no continuation");
        assert!(
            refused("word", " and many other words", 2),
            "a continuation longer than the model"
        );
    }

    #[test]
    fn schedules_that_share_prefixes_score_as_each_alone() {
        let model = Model::random(ModelConfig::tiny(), 11);
        let plan = plan(&model).unwrap();
        let schedules: Vec<Schedule> = plan
            .entries()
            .iter()
            .map(|e| e.member.schedule.clone())
            .collect();
        let trie = Trie::new(&schedules);
        let tokens: Vec<u32> = (0..12).map(|i| (i * 13 + 5) % 50).collect();
        let request = Request {
            tokens: tokens[..11].to_vec(),
            targets: tokens[8..].to_vec(),
        };
        let found = score(&model, &trie, schedules.len(), &request).unwrap();
        assert_eq!(found.len(), schedules.len());
        let mut distinct: Vec<f64> = Vec::new();
        for (schedule, found) in schedules.iter().zip(found) {
            let logits = model.logits(&request.tokens, schedule).unwrap();
            let (mut sum, mut greedy) = (0.0, true);
            for (position, &target) in (7..11).zip(&request.targets) {
                let row = logits.row(position);
                sum -= divergence::loss_nats(row, target as usize).unwrap();
                greedy &= divergence::argmax(row).unwrap() == target as usize;
            }
            assert!(
                (found.log_likelihood - sum).abs() < 1e-5,
                "{} {sum}",
                found.log_likelihood
            );
            assert_eq!(found.greedy, greedy);
            if distinct.iter().all(|other| (other - sum).abs() > 1e-4) {
                distinct.push(sum);
            }
        }
        assert!(distinct.len() > schedules.len() / 2, "schedules differ");
    }

    #[test]
    fn the_first_of_equal_choices_counts() {
        let check = |values: &[f64], expected: usize| {
            assert_eq!(
                first_largest(values.iter().copied()),
                expected,
                "{values:?}"
            );
        };
        check(&[-3.0, -1.0, -1.0], 1);
        check(&[-1.0, -1.0], 0);
        check(&[-5.0, -4.0, -9.0], 1);
    }
}
