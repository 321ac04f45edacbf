//! Laws that exits obey for every model: bits of the residual stream, and depths as thresholds rise.

use super::instance::Read;
use super::table::{Law, LawRecord};
use crate::core::error::{ExperimentError, Place};
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_schedule::{Edit, Schedule};
use layerwise_sweep::{MeasureId, WorkBytes};
use layerwise_transformer::{ExitingState, Missing, Precision, State, Workspace};
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// The most prompts of a task that are run again with exits.
const PROMPTS: usize = 2;

/// How often a law was checked, and how often it was broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Checked {
    checked: u64,
    broken: u64,
}

impl AddAssign for Checked {
    fn add_assign(&mut self, other: Self) {
        self.checked += other.checked;
        self.broken += other.broken;
    }
}

impl Checked {
    /// Compares the depths at which instances stop at each threshold with the depths at the next higher threshold.
    pub(super) fn of_rising(mut all: Vec<(f64, Vec<usize>)>) -> Self {
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut checked = Self::default();
        for pair in all.windows(2) {
            let depths = pair[0].1.iter().zip(&pair[1].1);
            checked += Self {
                checked: depths.len() as u64,
                broken: depths.filter(|(low, high)| high < low).count() as u64,
            };
        }
        checked
    }
}

/// The bitwise comparisons of runs, by task: of runs that stop after all blocks, and of runs that stop earlier.
pub(super) type OfRuns = BTreeMap<String, [Checked; 2]>;

/// A prompt to run to a depth.
struct Forced<'a> {
    task: &'a str,
    prompt: &'a [u32],
    blocks: usize,
}

/// Runs the first prompts of each task with exits and under the schedules that these exits equal; every share of a run runs all
/// of them.
pub(super) fn of_runs<'a>(
    subject: &Subject<'_>,
    prompts: impl Iterator<Item = (&'a str, &'a [u32])>,
) -> Result<OfRuns, ExperimentError> {
    let layers = subject.model.config().layers;
    let mut depths = vec![1, layers.div_ceil(2), layers];
    depths.dedup();
    let mut items: Vec<Forced<'a>> = Vec::new();
    for (task, prompt) in prompts {
        let own = items.iter().filter(|item| item.task == task).count();
        if own < PROMPTS * depths.len() {
            items.extend(depths.iter().map(|&blocks| Forced {
                task,
                prompt,
                blocks,
            }));
        }
    }
    let mut found = OfRuns::new();
    for (item, differing) in items.iter().zip(differing(subject, &items)?) {
        let own = found.entry(item.task.to_owned()).or_default();
        own[usize::from(item.blocks < layers)] += Checked {
            checked: 1,
            broken: u64::from(differing > 0),
        };
    }
    Ok(found)
}

/// Fills the table of laws; `rising` has the checks of each task's thresholds.
pub(super) fn record(
    subject: &Subject<'_>,
    tasks: &[Read],
    of_runs: &OfRuns,
    rising: &[Checked],
    tables: &mut Tables,
) {
    for (read, rising) in tasks.iter().zip(rising) {
        let [full, keep] = of_runs.get(&read.name).copied().unwrap_or_default();
        for (law, found) in [
            (Law::Full, full),
            (Law::Keep, keep),
            (Law::Threshold, *rising),
        ] {
            tables.push(LawRecord {
                model: subject.name.to_owned(),
                task: read.name.clone(),
                law,
                checked: found.checked,
                broken: found.broken,
            });
        }
    }
}

/// For each item, how many numbers of the last position's stream differ from those of `keep(0..k)`; for all blocks, from those
/// of the plain schedule.
fn differing(subject: &Subject<'_>, items: &[Forced<'_>]) -> Result<Vec<u64>, ExperimentError> {
    let (model, config) = (subject.model, subject.model.config());
    let plain = model.plain();
    let longest = items.iter().map(|item| item.prompt.len()).max();
    let longest = longest.unwrap_or(0);
    let kept = State::most_bytes(config, &plain, longest, Precision::F32)
        + State::most_step_bytes(config, &plain, longest.max(1), longest, 1);
    let bytes = WorkBytes {
        reading: kept + 2 * Workspace::most_bytes(config, longest),
        result: size_of::<u64>(),
    };
    let found = subject.runs.of_all_items().kept(
        MeasureId::new("early-exit-laws", 1),
        items,
        bytes,
        |item| {
            let mut numbers = vec![item.blocks as u32];
            numbers.extend(item.prompt);
            numbers
        },
        |_: &u64| true,
        |_, item| {
            let schedule: Schedule = match item.blocks == config.layers {
                true => plain.clone(),
                false => format!("keep(0..{})", item.blocks)
                    .parse::<Edit>()?
                    .apply(&plain)?,
            };
            let of = || schedule.to_string();
            let mut state =
                ExitingState::new(model, item.prompt.len(), Missing::Recompute).at(of)?;
            let mut blocks = item.blocks;
            let (stream, _) = state.extend(item.prompt, &mut blocks).at(of)?;
            let streams = model.run(item.prompt, &schedule, &mut ()).at(of)?;
            let last = streams.row(streams.nrows() - 1);
            let pairs = stream.iter().zip(last);
            Ok(pairs.filter(|(a, b)| a.to_bits() != b.to_bits()).count() as u64)
        },
    )?;
    Ok(found.iter().copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_that_stops_earlier_breaks_the_law() {
        let rising = |low: [usize; 2], high: [usize; 2]| {
            // In any order.
            Checked::of_rising(vec![(0.5, high.to_vec()), (-1.0, low.to_vec())])
        };
        let check = |low, high, broken| {
            assert_eq!(rising(low, high), Checked { checked: 2, broken });
        };
        check([1, 4], [1, 4], 0);
        check([1, 4], [2, 6], 0);
        // The mean still rises.
        check([1, 4], [9, 3], 1);
    }
}
