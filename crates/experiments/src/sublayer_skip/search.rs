//! The search for the fastest schedule that loses little on a task.

use super::measure::Costs;
use super::plan::plan;
use super::similarity::Similarities;
use super::variants::{Family, Kind, Variant};
use crate::core::choices::Choosing;
use crate::core::error::ExperimentError;
use crate::core::subject::Subject;
use layerwise_schedule::{Edit, Schedule};
use layerwise_tasks::Task;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A schedule that was tried on a task.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tried {
    /// The edit, in the notation of every command.
    pub edit: String,
    /// The predicted gain in decoding: the plain model's bytes divided by the schedule's, with 512 tokens cached.
    pub predicted_ratio: f64,
    /// The quality that the limit applies to: accuracy if answers are known, else agreement with the plain model.
    pub quality: f64,
    /// The fraction of the plain model's quality that is lost.
    pub loss: f64,
    /// The standard error of the loss, paired over items.
    pub loss_se: Option<f64>,
    /// Whether the parts left out were drawn at random: a control, which is never the answer.
    pub is_control: bool,
}

/// The result of a search.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// Whether the quality is agreement with the plain model, because the task's answers are unknown.
    pub is_agreement: bool,
    /// The plain model's quality.
    pub plain: f64,
    /// Items.
    pub items: usize,
    /// All schedules that were tried, the fastest first.
    pub tried: Vec<Tried>,
    /// The index of the fastest one within the limit; `None` if there is none.
    pub best: Option<usize>,
}

impl Found {
    /// The control that reads as many bytes as the best, if there is one.
    pub fn control(&self) -> Option<&Tried> {
        let best = &self.tried[self.best?];
        let mut controls = self.tried.iter().filter(|tried| tried.is_control);
        controls.find(|tried| tried.predicted_ratio == best.predicted_ratio)
    }
}

/// Tries every fraction of every kind in the orders "late first", "last kept" and "most similar first" on a task, and finds the
/// fastest schedule with a relative loss of at most `limit`. Also tries equally many parts drawn at random, as a control.
///
/// Similarities are estimated on the text of the subject.
///
/// # Errors
/// The model has no tokenizer, an item cannot be encoded, a journal cannot be used, or the user interrupts.
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
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut by_chance = Vec::new();
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
                by_chance.push(Variant::new(
                    kind,
                    Family::Random,
                    0.0,
                    &drawn(&mut random, k, layers),
                ));
            }
        }
    }
    let chosen = edits.len();
    edits.extend(by_chance.into_iter().map(|variant| variant.edit));
    let known: Vec<&str> = edits.iter().map(String::as_str).collect();
    let plan = plan(subject, &known)?;
    let mut answers = choosing.answers("fastest", subject, &plan, tasks)?;
    let answers = answers.remove(0);
    let is_agreement = answers.accuracy(0).count() < answers.items() as u64;
    let quality = |schedule: usize| match answers.agreement(schedule) {
        Some(agreement) if is_agreement => agreement,
        _ => answers.accuracy(schedule),
    };
    let plain = quality(0);
    let whole = plain.mean().filter(|mean| *mean > 0.0).ok_or_else(|| {
        ExperimentError::unexpected(
            "a task of which the plain model answers at least one item correctly",
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
            is_control: at >= chosen,
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
        best: tried
            .iter()
            .position(|tried| !tried.is_control && tried.loss <= limit),
        tried,
    })
}

/// The most sequences that similarities are estimated on.
const SEQUENCES: usize = 16;

/// The seed for drawing controls.
const SEED: u64 = 0;

/// This many random blocks, ascending.
fn drawn(random: &mut ChaCha8Rng, count: usize, layers: usize) -> Vec<usize> {
    let mut blocks: Vec<usize> = (0..layers).collect();
    for at in 0..count {
        let left = (layers - at) as u64;
        blocks.swap(at, at + (random.next_u64() % left) as usize);
    }
    blocks.truncate(count);
    blocks.sort_unstable();
    blocks
}

/// The most schedules that a search tries.
pub fn schedules(layers: usize) -> usize {
    4 * Kind::OF_ONE_SORT.len() * (layers / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_drawn_among_all_blocks() {
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let mut seen = [false; 8];
        for _ in 0..40 {
            let blocks = drawn(&mut random, 3, 8);
            assert!(
                blocks.len() == 3 && blocks.is_sorted_by(|a, b| a < b),
                "{blocks:?}"
            );
            blocks.into_iter().for_each(|block| seen[block] = true);
        }
        assert_eq!(seen, [true; 8]);
    }
}
