//! A model's continuations under edits, compared with the plain model's.

use super::plan::altered;
use crate::core::error::{ExperimentError, Place};
use crate::core::subject::Subject;
use layerwise_generate::{Generation, Settings};
use layerwise_schedule::Schedule;
use layerwise_sweep::{MeasureId, WorkBytes};
use layerwise_transformer::{Precision, State};

/// Tokens of a continuation.
pub(super) const CONTINUATION: usize = 32;
/// Prompts that form one item.
const PROMPTS_AT_ONCE: usize = 8;

/// The continuations of all prompts under the plain schedule and all edits.
pub(super) fn written(
    subject: &Subject<'_>,
    edits: &[&str],
    prompts: &[Vec<u32>],
) -> Result<Vec<Vec<Vec<u32>>>, ExperimentError> {
    let plain = Schedule::plain(subject.model.stack())?;
    let mut schedules = vec![plain.clone()];
    for edit in edits {
        schedules.push(altered(&plain, edit)?);
    }
    let groups: Vec<&[Vec<u32>]> = prompts.chunks(PROMPTS_AT_ONCE).collect();
    let items: Vec<(usize, &[Vec<u32>])> = (0..schedules.len())
        .flat_map(|schedule| groups.iter().map(move |group| (schedule, *group)))
        .collect();
    let names: Vec<String> = schedules.iter().map(Schedule::to_string).collect();
    let id = MeasureId::new("continuations", 1).with_settings(names.join("\n"));
    let found = subject.runs.kept(
        id,
        &items,
        continuations_bytes(subject, &schedules, longest(prompts)),
        |(schedule, group)| {
            let mut numbers = vec![*schedule as u32];
            numbers.extend(group.iter().flatten());
            numbers
        },
        |found: &Vec<Vec<u32>>| found.len() <= PROMPTS_AT_ONCE,
        |_, (schedule, group)| {
            let settings = Settings::default().with(|s| s.max_tokens = CONTINUATION);
            let continued = group.iter().map(|prompt| {
                subject.runs.go_on()?;
                let schedule = &schedules[*schedule];
                let generation = Generation::new(subject.model, schedule, prompt, settings.clone());
                let tokens = generation.at(|| schedule.to_string())?;
                tokens
                    .map(|choice| Ok(choice.at(|| schedule.to_string())?.token))
                    .collect::<Result<Vec<u32>, ExperimentError>>()
            });
            continued.collect()
        },
    )?;
    let mut written = vec![Vec::new(); schedules.len()];
    for ((schedule, _), continued) in items.iter().zip(found.iter()) {
        written[*schedule].extend(continued.iter().cloned());
    }
    Ok(written)
}

/// The tokens of the longest prompt.
fn longest(prompts: &[Vec<u32>]) -> usize {
    prompts.iter().map(Vec::len).max().unwrap_or(0)
}

/// The memory for the continuations of one item, after prompts of at most this many tokens: keys and values of one at a time,
/// its logits, and the tokens of all.
fn continuations_bytes(subject: &Subject<'_>, schedules: &[Schedule], prompt: usize) -> WorkBytes {
    let (config, precision) = (subject.model.config(), Precision::F32);
    let tokens = prompt + CONTINUATION;
    let writing = schedules.iter().map(|schedule| {
        State::most_bytes(config, schedule, tokens, precision)
            + State::most_step_bytes(config, schedule, prompt.max(1), tokens, 1)
    });
    // Logits, their copies while a token is chosen, and the sorted order.
    let choosing = 8 * config.vocab * size_of::<f64>();
    WorkBytes {
        reading: writing.max().unwrap_or(0) + choosing,
        // As results, and as the text assembled from them.
        result: 2 * PROMPTS_AT_ONCE * (CONTINUATION * size_of::<u32>() + size_of::<Vec<u32>>()),
    }
}

/// The differences of continuations from the plain model's.
pub(super) struct Difference {
    /// The index of the first difference, mean over prompts.
    pub(super) first: f64,
    /// Share of prompts without a difference.
    pub(super) identical: f64,
    pub(super) prompts: usize,
}

impl Difference {
    pub(super) fn of(plain: &[Vec<u32>], own: &[Vec<u32>]) -> Option<Self> {
        let pairs = || plain.iter().zip(own);
        let count = pairs().count();
        let first = |(plain, own): (&Vec<u32>, &Vec<u32>)| {
            plain.iter().zip(own).take_while(|(a, b)| a == b).count() as f64
        };
        let alike = pairs().filter(|(plain, own)| plain == own).count();
        (count > 0).then(|| Self {
            first: pairs().map(first).sum::<f64>() / count as f64,
            identical: alike as f64 / count as f64,
            prompts: count,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_reckoned_for_the_longest_prompt() {
        assert_eq!(longest(&[vec![0; 2], vec![0; 64], vec![0; 9]]), 64);
        assert_eq!(longest(&[]), 0);
    }
}
