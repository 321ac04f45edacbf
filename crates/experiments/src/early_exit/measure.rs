//! Reads every task after every block, trains the rules, and records where they stop.

use super::Tasks;
use super::instance::{Instance, NEXT_TOKEN, Read, Reads};
use super::laws::{self, Checked};
use super::readings::{Group, Position, Prompt, Readings, candidates};
use super::recording::{Applied, Recording};
use super::times;
use crate::core::error::{ExperimentError, Place};
use crate::core::harness::encoder;
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_corpus::Tokenizer;
use layerwise_exits::{ExitError, RULES, Reading, Rule, Stop, Trained, Vocab};
use layerwise_sweep::{Held, WorkBytes, cost};
use layerwise_tasks::{Item, Task, TaskError};
use std::sync::{Arc, Mutex, PoisonError};

/// Prompts with the same shots that run together.
const TOGETHER: usize = 32;
/// The most positions of running text to read.
const POSITIONS: usize = 20_000;
/// The most positions of a sequence to read.
const POSITIONS_OF_SEQUENCE: usize = 64;
/// The seed for drawing rows.
const SEED: u64 = 0;

/// The prompts of a task; those of a subject are adjacent.
struct Encoded {
    name: String,
    /// Neighbours that share a long beginning run together.
    groups: Vec<Group>,
    /// Facts about each prompt.
    prompts: Vec<Known>,
    /// The number of prompts that did not fit the model's context, and are left out.
    too_long: usize,
    /// The items that are left out because options begin with the same token, by their indices as in [`Known::place`].
    alike: Vec<usize>,
    /// The memory of the prompts.
    memory: Held,
}

/// Facts about a prompt.
#[derive(Clone, Copy)]
struct Known {
    /// Its index among the training split followed by the items.
    place: usize,
    /// Index of the right option.
    answer: Option<usize>,
    /// Whether it trains; without a separate training split, every second prompt does.
    trains: bool,
}

impl Encoded {
    fn new(subject: &Subject<'_>, task: &Task) -> Result<Option<Self>, ExperimentError> {
        let Some(tokenizer) = subject.tokenizer else {
            return Ok(None);
        };
        let encoder = encoder(subject, tokenizer)?;
        let trains = |place: usize| match task.training.len() {
            0 => place.is_multiple_of(2),
            training => place < training,
        };
        let all = task.training.iter().chain(&task.items).enumerate();
        let mut items: Vec<(Known, &Item)> = all
            .map(|(place, item)| {
                let known = Known {
                    place,
                    answer: item.answer,
                    trains: trains(place),
                };
                (known, item)
            })
            .collect();
        if !task.shots.is_empty() {
            items.sort_by(|a, b| a.1.subject.cmp(&b.1.subject));
        }
        let longest = items.iter().map(|(_, item)| task.longest_text(item));
        let bytes = WorkBytes {
            reading: Tokenizer::encoding_bytes(longest.max().unwrap_or(0)),
            // Count each prompt as it is made.
            result: 0,
        };
        let mut encoded = Self::empty(subject, task.name.clone())?;
        let memory = Mutex::new(&mut encoded.memory);
        let prompts = subject.runs.over(&items, bytes, |_, (known, item)| {
            let found = match encoder.first_tokens(task, item, known.place) {
                Err(TaskError::SameFirstToken { .. }) => return Ok(None),
                found => found,
            };
            let (tokens, firsts) = found.at(|| subject.name.to_owned())?;
            let gold = item.answer.map(|answer| firsts[answer]);
            let options = if firsts.len() > 1 { firsts } else { Vec::new() };
            let prompt = Prompt {
                positions: vec![tokens.len() - 1],
                tokens,
                options,
                gold: vec![gold],
            };
            let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.grow(PROMPTS, prompt.bytes() as u64)?;
            Ok(Some(prompt))
        })?;
        let prompts = prompts.into_parts().0.into_iter();
        for (prompt, (known, _)) in prompts.zip(items) {
            match prompt {
                Some(prompt) if prompt.tokens.len() >= subject.model.config().context => {
                    encoded.too_long += 1;
                }
                Some(prompt) => encoded.add(prompt, known),
                None => encoded.alike.push(known.place),
            }
        }
        Ok(Some(encoded))
    }

    /// Running text: positions of sequences; the next token is the answer.
    fn text(subject: &Subject<'_>) -> Result<Self, ExperimentError> {
        let mut encoded = Self::empty(subject, NEXT_TOKEN.to_owned())?;
        let mut left = POSITIONS;
        for tokens in subject.text.sequences() {
            let last = tokens.len().saturating_sub(1);
            let count = POSITIONS_OF_SEQUENCE.min(last.saturating_sub(1)).min(left);
            if count == 0 {
                continue;
            }
            left -= count;
            let positions: Vec<usize> = (0..count).map(|at| 1 + at * (last - 1) / count).collect();
            let gold = positions.iter().map(|at| tokens.get(at + 1).copied());
            let prompt = Prompt {
                gold: gold.collect(),
                positions,
                tokens: tokens[..last].to_vec(),
                options: Vec::new(),
            };
            encoded.memory.grow(PROMPTS, prompt.bytes() as u64)?;
            let place = encoded.prompts.len();
            let known = Known {
                place,
                answer: None,
                trains: place.is_multiple_of(2),
            };
            encoded.add(prompt, known);
        }
        Ok(encoded)
    }

    fn empty(subject: &Subject<'_>, name: String) -> Result<Self, ExperimentError> {
        Ok(Self {
            name,
            groups: Vec::new(),
            prompts: Vec::new(),
            too_long: 0,
            alike: Vec::new(),
            memory: subject.runs.hold(PROMPTS, 0)?,
        })
    }

    fn add(&mut self, prompt: Prompt, known: Known) {
        self.prompts.push(known);
        match self.groups.last_mut() {
            Some(group) if group.prompts.len() < TOGETHER && group.is_like(&prompt) => {
                group.prompts.push(prompt);
            }
            _ => self.groups.push(Group {
                prompts: vec![prompt],
            }),
        }
    }

    /// The test prompts with one answer, with the name of the task.
    fn tested(&self) -> impl Iterator<Item = (&str, &[u32])> {
        let prompts = self.groups.iter().flat_map(|group| &group.prompts);
        let known = self.prompts.iter().zip(prompts);
        let tested = known.filter(|(known, prompt)| !known.trains && prompt.positions.len() == 1);
        tested.map(|(_, prompt)| (self.name.as_str(), prompt.tokens.as_slice()))
    }

    /// The instances by split, from the prompts in order and the readings of all their positions.
    fn read(
        &self,
        prompts: &mut impl Iterator<Item = Prompt>,
        found: &mut impl Iterator<Item = Position>,
    ) -> Read {
        let mut read = Read {
            name: self.name.clone(),
            training: Vec::new(),
            test: Vec::new(),
            too_long: self.too_long,
        };
        for (known, prompt) in self.prompts.iter().zip(prompts) {
            let split = match known.trains {
                true => &mut read.training,
                false => &mut read.test,
            };
            let own = prompt.positions.iter().zip(&prompt.gold);
            let first = split.len();
            for ((at, gold), position) in own.zip(found.by_ref()) {
                split.push(Instance {
                    position,
                    gold: *gold,
                    answer: known.answer,
                    options: prompt.options.clone(),
                    prompt: Vec::new(),
                    tokens: at + 1,
                    cluster: known.place,
                });
            }
            if let [instance] = &mut split[first..] {
                instance.prompt = prompt.tokens;
            }
        }
        read
    }
}

/// Their name in messages about memory.
const PROMPTS: &str = "the prompts of early exit";

fn encoded(subject: &Subject<'_>) -> Result<Vec<Encoded>, ExperimentError> {
    let mut all = Vec::new();
    let tasks = subject.data.get::<Tasks>();
    for task in tasks.iter().flat_map(|tasks| &tasks.0) {
        all.extend(Encoded::new(subject, task)?);
    }
    all.push(Encoded::text(subject)?);
    Ok(all)
}

/// The size of a task, in words.
struct Size {
    name: String,
    positions: usize,
    prompts: usize,
    tokens: usize,
    too_long: usize,
    alike: usize,
}

impl Size {
    fn of(task: &Encoded) -> Self {
        let prompts = || task.groups.iter().flat_map(|group| &group.prompts);
        Self {
            name: task.name.clone(),
            positions: prompts().map(|prompt| prompt.positions.len()).sum(),
            prompts: task.prompts.len(),
            tokens: prompts().map(|prompt| prompt.tokens.len()).sum(),
            too_long: task.too_long,
            alike: task.alike.len(),
        }
    }
}

fn sizes(subject: &Subject<'_>) -> Result<Arc<Vec<Size>>, ExperimentError> {
    let sizes = || Ok(encoded(subject)?.iter().map(Size::of).collect());
    subject.shared.get(sizes)
}

/// Describes the runs.
///
/// # Errors
/// An item cannot be encoded, or the user interrupts.
pub(super) fn announce(subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
    let sizes = sizes(subject)?;
    let told = sizes.iter().map(|task| {
        let too_long = match task.too_long {
            0 => String::new(),
            count => format!("; {count} prompts are longer than the model's context and left out"),
        };
        let alike = match task.alike {
            0 => String::new(),
            count => format!("; {count} items are left out, as this tokenizer begins several of their options with the same token"),
        };
        format!(
            "early-exit: {}, {} positions of {} prompts, {} tokens without sharing, read after every block{too_long}{alike}",
            task.name, task.positions, task.prompts, task.tokens
        )
    });
    Ok(told.collect())
}

/// An upper bound on the multiply-adds of the runs: prompts may share their beginnings.
///
/// # Errors
/// As for [`announce`].
pub(super) fn work(subject: &Subject<'_>) -> Result<f64, ExperimentError> {
    let sizes = sizes(subject)?;
    let tokens = sizes.iter().map(|task| task.tokens).sum();
    let positions = sizes.iter().map(|task| task.positions).sum();
    let heads = subject.model.config().layers;
    let of_heads = cost::of_steps(subject.model, 0, heads, positions);
    Ok(cost::of_plain(subject.model, tokens) + of_heads)
}

/// The readings of tasks, in one measurement.
fn read(
    subject: &Subject<'_>,
    mut encoded: Vec<Encoded>,
    vocab: Vocab,
) -> Result<Reads, ExperimentError> {
    let groups = encoded
        .iter_mut()
        .map(|task| std::mem::take(&mut task.groups));
    let groups: Vec<Group> = groups.flatten().collect();
    let layers = subject.model.config().layers;
    let readings = Readings { vocab, layers };
    let (found, of_readings) = subject.runs.plain(&readings, &groups)?.into_parts();
    let mut found = found.into_iter().flatten();
    let mut prompts = groups.into_iter().flat_map(|group| group.prompts);
    let tasks = encoded
        .iter()
        .map(|task| task.read(&mut prompts, &mut found));
    Ok(Reads {
        tasks: tasks.collect(),
        _memory: (
            encoded.into_iter().map(|task| task.memory).collect(),
            of_readings,
        ),
    })
}

/// Takes the memory for training data and scores of the rules.
fn hold_for_rules(subject: &Subject<'_>, tasks: &[Read]) -> Result<Held, ExperimentError> {
    let instances = tasks
        .iter()
        .map(|task| task.training.len() + task.test.len());
    let rows = instances.max().unwrap_or(0) * subject.model.config().layers;
    subject.runs.hold(
        "what rules of early exit are trained on",
        rows * BYTES_OF_ROW,
    )
}

/// For one depth of an instance: features three times, labels, scores.
const BYTES_OF_ROW: usize = 256;

/// Reads every task and fills the tables. Returns why a rule is left out.
///
/// # Errors
/// Logits are not finite, a journal cannot be used, or the user interrupts.
pub(super) fn measure(
    subject: &Subject<'_>,
    tables: &mut Tables,
) -> Result<Vec<String>, ExperimentError> {
    let layers = subject.model.config().layers;
    let mut encoded = encoded(subject)?;
    encoded.retain(|task| !task.prompts.is_empty());
    // Before the readings, which end a share.
    let of_runs = laws::of_runs(subject, encoded.iter().flat_map(Encoded::tested))?;
    let mut reads = read(subject, encoded, candidates(layers))?;
    reads.tasks.retain(|task| !task.test.is_empty());
    let tasks = &reads.tasks;
    let _memory = hold_for_rules(subject, tasks)?;
    let recording = Recording::new(subject);
    let mut notes = Vec::new();
    for task in tasks {
        recording.features(task, tables);
    }
    times::record(subject, tables)?;
    let mut rising = vec![Checked::default(); tasks.len()];
    for rule in RULES {
        for own in tasks {
            for vocab in vocabs(rule, own, layers) {
                let trained = rule
                    .is_trained()
                    .then(|| trained(subject, rule, own, vocab));
                subject.runs.go_on()?;
                let trained = match trained {
                    None => None,
                    Some(Ok(trained)) => Some(trained),
                    Some(Err(error)) => {
                        notes.push(format!("early-exit: {rule} on {}: {error}", own.name));
                        continue;
                    }
                };
                // A linear machine is also tested on the other tasks.
                let is_published = rule == Rule::Svm && vocab == Vocab::Full;
                for (task, rising) in tasks.iter().zip(&mut rising) {
                    let is_own = task.name == own.name;
                    if !is_own && !is_published {
                        continue;
                    }
                    let usual = rule.usual().filter(|_| is_own && vocab == Vocab::Full);
                    let mut applied = Applied::new(rule, trained.as_ref(), vocab);
                    applied.train_task = trained.is_some().then_some(&own.name);
                    applied.shown = usual;
                    if let (Some(trained), Some(usual), true) = (&trained, usual, is_published) {
                        let stop = Stop::trained(trained.clone(), usual, vocab);
                        applied.times = times::of_prompts(subject, task, &stop, PROMPTS_TIMED)?;
                    }
                    let thresholds = thresholds(rule, layers);
                    *rising += recording.rule(&applied, task, &thresholds, tables)?;
                }
            }
        }
    }
    laws::record(subject, tasks, &of_runs, &rising, tables);
    Ok(notes)
}

/// The most prompts of a task that are timed.
const PROMPTS_TIMED: usize = 8;

/// The thresholds to try for a rule; for a fixed depth, the depths.
fn thresholds(rule: Rule, layers: usize) -> Vec<f64> {
    let known: &[f64] = match rule {
        Rule::Svm => &[-1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0],
        Rule::SvmRbf => &[-0.5, 0.0, 0.25, 0.5, 0.75, 1.0],
        Rule::Crf => &[0.3, 0.5, 0.7, 0.9, 0.95, 0.99],
        Rule::Gap => &[0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99],
        Rule::Top => &[0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99],
        Rule::State => &[0.9, 0.95, 0.98, 0.99, 0.995],
        Rule::Patience => &[1.0, 2.0, 3.0, 4.0, 6.0],
        Rule::Fixed => return (1..=layers).map(|blocks| blocks as f64).collect(),
        _ => return rule.usual().into_iter().collect(),
    };
    known.to_vec()
}

fn trained(
    subject: &Subject<'_>,
    rule: Rule,
    task: &Read,
    vocab: Vocab,
) -> Result<Trained, ExitError> {
    let instances = task.training.iter().map(Instance::readings);
    let is_final = |at: usize, reading: &Reading| task.training[at].is_final(reading, vocab);
    let instances: Vec<&[Reading]> = instances.collect();
    let go_on = || subject.runs.go_on().is_ok();
    Trained::new(rule, &instances, vocab, is_final, SEED, &go_on)
}

/// The readings of one task, all of whose items are test items, and the memory for rules.
pub(super) fn read_own(
    subject: &Subject<'_>,
    task: &Task,
    vocab: Vocab,
) -> Result<(Reads, Held), ExperimentError> {
    let (Some(tokenizer), Some(encoded)) = (subject.tokenizer, Encoded::new(subject, task)?) else {
        return Err(ExperimentError::unexpected("a tokenizer", "none"));
    };
    let mut items = task.training.iter().chain(&task.items).enumerate();
    if let Some((place, item)) = items.find(|(place, _)| encoded.alike.contains(place)) {
        let found = encoder(subject, tokenizer)?.first_tokens(task, item, place);
        found.at(|| subject.name.to_owned())?;
    }
    let mut reads = read(subject, vec![encoded], vocab)?;
    for read in &mut reads.tasks {
        // Every second instance would train; here all of them test.
        read.test.append(&mut read.training);
        read.test.sort_by_key(|instance| instance.cluster);
    }
    let memory = hold_for_rules(subject, &reads.tasks)?;
    Ok((reads, memory))
}

/// The vocabularies that a rule reads the head over on a task: the linear machine and the gap also use smaller ones.
fn vocabs(rule: Rule, task: &Read, layers: usize) -> Vec<Vocab> {
    let mut vocabs = vec![Vocab::Full];
    if matches!(rule, Rule::Svm | Rule::Gap) {
        if task
            .test
            .iter()
            .all(|instance| !instance.options.is_empty())
        {
            vocabs.push(Vocab::Options);
        }
        vocabs.push(candidates(layers));
    }
    vocabs
}
