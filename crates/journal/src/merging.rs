//! Merges the shards of runs.

use crate::description::RunDescription;
use crate::error::JournalError;
use crate::recorded::Recorded;
use crate::shard::Shard;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;

/// A whole run.
#[derive(Clone, Debug)]
pub struct Merged<D, T> {
    /// The description of the run, as if it had never been divided.
    pub description: RunDescription<D>,
    /// The result of each unit, by its index in the run; all units are present, so their order is that of the run.
    pub finished: BTreeMap<usize, T>,
    /// The journals in the order of shards, each with its number of units.
    pub parts: Vec<(PathBuf, Shard, usize)>,
}

/// Merges the journals of one or more runs; journals with one name belong to one run.
///
/// The runs come in the order of their places in the journals' tables; runs with equal places keep the order of the arguments.
/// The results are those of an undivided run, bit for bit, in whatever order the journals are given.
/// A shard may be given twice if both journals agree, and shards of several divisions can be mixed, as long as some journal holds
/// each unit.
///
/// # Errors
/// Journals with one name belong to different runs, no journal holds some unit, or two journals contradict each other.
///
/// ```
/// use layerwise_journal::{Journal, Recorded, RunDescription, RunKey, Shard, merge};
///
/// let folder = tempfile::tempdir()?;
/// let whole = RunDescription::new(RunKey::of(["inputs"]), "squares".to_owned(), 3, ());
/// let (costs, mut journals) = ([1; 3], Vec::new());
/// for shard in "1/2".parse::<Shard>()?.all() {
///     let path = folder.path().join(format!("{}.journal", shard.index()));
///     let own = whole.clone().part(shard, &costs);
///     let mut journal = Journal::open(&path, &own, false, |_, _| true)?;
///     for unit in shard.units(&whole.key, &costs) {
///         journal.record(unit, unit * unit)?;
///     }
///     drop(journal); // releases its lock
///     journals.push(Recorded::<(), usize>::read(&path, |_, _, _| true)?);
/// }
/// let merged = merge(journals)?;
/// assert_eq!(merged[0].finished.values().copied().collect::<Vec<_>>(), [0, 1, 4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn merge<D, T>(journals: Vec<Recorded<D, T>>) -> Result<Vec<Merged<D, T>>, JournalError>
where
    D: Clone + PartialEq,
    T: Clone + Serialize,
{
    let mut runs: Vec<Vec<Recorded<D, T>>> = Vec::new();
    for journal in journals {
        let name = &journal.description.name;
        match runs
            .iter_mut()
            .find(|group| group[0].description.name == *name)
        {
            Some(group) => group.push(journal),
            None => runs.push(vec![journal]),
        }
    }
    runs.sort_by_key(|group| group[0].description.place);
    runs.into_iter().map(merge_run).collect()
}

/// Merges the journals of one run, of which there is at least one.
fn merge_run<D, T>(mut journals: Vec<Recorded<D, T>>) -> Result<Merged<D, T>, JournalError>
where
    D: Clone + PartialEq,
    T: Clone + Serialize,
{
    let first = &journals[0];
    for other in &journals[1..] {
        let as_first = RunDescription {
            shard: first.description.shard,
            share: first.description.share.clone(),
            ..other.description.clone()
        };
        if as_first != first.description {
            return Err(JournalError::MergeOtherRun {
                name: first.description.name.clone(),
                path: first.path.clone(),
                other: other.path.clone(),
            });
        }
    }
    let description = RunDescription {
        shard: Shard::WHOLE,
        share: None,
        ..first.description.clone()
    };
    journals.sort_by_key(|journal| journal.description.shard);
    let mut finished: BTreeMap<usize, T> = BTreeMap::new();
    for journal in &journals {
        for (&unit, result) in &journal.finished {
            match finished.entry(unit) {
                Entry::Vacant(place) => {
                    place.insert(result.clone());
                }
                Entry::Occupied(found) if say_the_same(found.get(), result) => {}
                Entry::Occupied(_) => {
                    let holds = |other: &&Recorded<D, T>| other.finished.contains_key(&unit);
                    let earlier = journals.iter().find(holds).unwrap_or(journal);
                    return Err(JournalError::MergeConflict {
                        path: earlier.path.clone(),
                        other: journal.path.clone(),
                        unit,
                    });
                }
            }
        }
    }
    if !description.missing(&finished).is_empty() {
        return Err(unfinished(&description, &journals, &finished));
    }
    let part = |j: Recorded<D, T>| (j.path, j.description.shard, j.finished.len());
    Ok(Merged {
        description,
        finished,
        parts: journals.into_iter().map(part).collect(),
    })
}

/// Says which shards should have finished the missing units of a run.
fn unfinished<D, T>(
    run: &RunDescription<D>,
    journals: &[Recorded<D, T>],
    finished: &BTreeMap<usize, T>,
) -> JournalError {
    let division = journals[0].description.shard;
    let is_one = |j: &Recorded<D, T>| j.description.shard.count() == division.count();
    let has = |shard: &Shard| journals.iter().any(|j| j.description.shard == *shard);
    let shards = match journals.iter().all(is_one) {
        true => division.all().filter(|shard| !has(shard)).collect(),
        false => Vec::new(),
    };
    let begun = journals.iter().find_map(|journal| {
        let own = journal.description.missing(finished);
        (!own.is_empty()).then_some((journal, own))
    });
    match begun {
        Some((journal, units)) if shards.is_empty() => JournalError::MergeUnfinished {
            path: journal.path.clone(),
            shard: journal.description.shard,
            units,
        },
        _ => JournalError::MergeMissing {
            name: run.name.clone(),
            missing: shards,
            units: run.missing(finished),
        },
    }
}

/// Whether two results are the same line of a journal: floats that print alike are equal to the bit.
fn say_the_same<T: Serialize>(a: &T, b: &T) -> bool {
    let lines = [a, b].map(serde_json::to_string);
    matches!(lines, [Ok(a), Ok(b)] if a == b)
}
