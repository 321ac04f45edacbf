//! The fastest schedule that loses little on a task.

use super::measure::{Costs, plan};
use super::similarity::Similarities;
use super::variants::{Family, Kind, Variant};
use crate::core::choices::Choosing;
use crate::core::error::ExperimentError;
use crate::core::subject::Subject;
use layerwise_schedule::{Edit, Schedule};
use layerwise_tasks::Task;

/// A schedule that was tried on a task.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tried {
    /// The edit, as every command takes it.
    pub edit: String,
    /// What decoding a token should gain: the plain model's bytes over the schedule's, with 512 tokens cached.
    pub predicted_ratio: f64,
    /// The quality that the limit is about: accuracy where answers are known, else agreement with the plain model.
    pub quality: f64,
    /// The part of the plain model's quality that is lost.
    pub loss: f64,
    /// The standard error of the loss, paired over items.
    pub loss_se: Option<f64>,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// Whether the quality is agreement with the plain model, because the task's answers are not known.
    pub is_agreement: bool,
    /// The plain model's quality.
    pub plain: f64,
    /// Items.
    pub items: usize,
    /// All that was tried, the fastest first.
    pub tried: Vec<Tried>,
    /// The fastest of them within the limit, by its place; `None` where none is.
    pub best: Option<usize>,
}

/// Tries every fraction of every kind in the order "late first", "last kept" and "most similar first" on a task, and
/// finds the fastest whose relative loss is at most `limit`.
///
/// Similarities are estimated on the text of the subject.
///
/// # Errors
/// A model without tokenizer, an item that cannot be encoded, a journal that cannot be used, or an interrupt.
pub fn fastest(subject: &Subject<'_>, task: &Task, limit: f64) -> Result<Found, ExperimentError> {
    let Some(tokenizer) = subject.tokenizer else {
        return Err(ExperimentError::unexpected("a tokenizer", "none"));
    };
    let layers = subject.model.config().layers;
    let base = Schedule::plain(subject.model.stack())?;
    let tasks = std::slice::from_ref(task);
    let choosing = Choosing::new(subject, tokenizer, tasks)?;
    let sequences: Vec<&Vec<u32>> = subject.text.sequences().iter().take(SEQUENCES).collect();
    let similarities = Similarities::of(subject, &sequences, &base)?;
    let mut edits: Vec<String> = Vec::new();
    let mut add = |variant: Variant| {
        if !edits.contains(&variant.edit) {
            edits.push(variant.edit);
        }
    };
    for (at, kind) in Kind::OF_ONE_SORT.into_iter().enumerate() {
        let ranked: Vec<usize> = similarities
            .ranked(at)
            .iter()
            .map(|(block, _)| *block)
            .collect();
        for k in 1..=layers / 2 {
            for family in [Family::Latter, Family::LatterLastKept] {
                if let Some(sources) = family.sources(k, layers) {
                    add(Variant::new(kind, family, 0.0, &sources));
                }
            }
            if k < layers {
                add(Variant::new(kind, Family::Similarity, 0.0, &ranked[..k]));
            }
        }
    }
    let known: Vec<&str> = edits.iter().map(String::as_str).collect();
    let plan = plan(subject, &known)?;
    let mut answers = choosing.answers("fastest", subject, &plan, tasks)?;
    let answers = answers.remove(0);
    let is_agreement = answers.accuracy(0).count() < answers.items() as u64;
    let quality = |schedule: usize| match is_agreement {
        true => answers.agreement(schedule),
        false => answers.accuracy(schedule),
    };
    let plain = quality(0);
    let whole = plain.mean().filter(|mean| *mean > 0.0).ok_or_else(|| {
        ExperimentError::unexpected(
            "a task that the plain model answers at times",
            "no right answer",
        )
    })?;
    let costs = Costs::new(subject, &base);
    let mut tried = Vec::with_capacity(edits.len());
    for (at, edit) in edits.iter().enumerate() {
        let own = quality(at + 1);
        let loss = plain.difference(&own)?;
        tried.push(Tried {
            edit: edit.clone(),
            predicted_ratio: costs.ratio(&edit.parse::<Edit>()?.apply(&base)?, 512),
            quality: own.mean().unwrap_or(f64::NAN),
            loss: loss.mean().unwrap_or(f64::NAN) / whole,
            loss_se: loss.standard_error().map(|error| error / whole),
        });
    }
    tried.sort_by(|a, b| {
        let by_speed = b.predicted_ratio.total_cmp(&a.predicted_ratio);
        by_speed.then(a.loss.total_cmp(&b.loss))
    });
    Ok(Found {
        is_agreement,
        plain: whole,
        items: answers.items(),
        best: tried.iter().position(|tried| tried.loss <= limit),
        tried,
    })
}

/// The most sequences that similarities are estimated on.
const SEQUENCES: usize = 16;

/// How many schedules a search tries at most.
pub fn schedules(layers: usize) -> usize {
    3 * Kind::OF_ONE_SORT.len() * (layers / 2)
}
