//! Shards of runs, put together.

use crate::error::JournalError;
use crate::log::{Recorded, RunDescription};
use crate::shard::Shard;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;

/// A whole run.
#[derive(Clone, Debug)]
pub struct Merged<D, T> {
    /// What the run is, as if it had never been divided.
    pub description: RunDescription<D>,
    /// The result of each unit, by its index in the run: all of them, so that their order is that of the run.
    pub finished: BTreeMap<usize, T>,
    /// The journals, with the number of units in each, in the order of shards.
    pub parts: Vec<(PathBuf, Shard, usize)>,
}

/// Puts the journals of one or more runs together; those of one name are of one run.
///
/// The runs are in the order of their places in the tables that the journals were made for, equal places in the order
/// of the arguments. The results are those of an undivided run, bit for bit, however the journals are ordered.
/// A shard may be given twice if both say the same.
///
/// # Errors
/// Journals of one name that are not of one run or not of one division, shards without a journal, a shard that is not
/// finished, and two journals that contradict each other.
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

/// The journals of one run, of which there is at least one.
fn merge_run<D, T>(mut journals: Vec<Recorded<D, T>>) -> Result<Merged<D, T>, JournalError>
where
    D: Clone + PartialEq,
    T: Clone + Serialize,
{
    let first = &journals[0];
    for other in &journals[1..] {
        let as_first = RunDescription {
            shard: first.description.shard,
            ..other.description.clone()
        };
        if as_first != first.description {
            return Err(JournalError::MergeOtherRun {
                name: first.description.name.clone(),
                path: first.path.clone(),
                other: other.path.clone(),
            });
        }
        if other.description.shard.count() != first.description.shard.count() {
            return Err(JournalError::MergeOtherDivision {
                path: first.path.clone(),
                shard: first.description.shard,
                other: other.path.clone(),
                other_shard: other.description.shard,
            });
        }
    }
    let description = RunDescription {
        shard: Shard::WHOLE,
        ..first.description.clone()
    };
    let division = first.description.shard;
    journals.sort_by_key(|journal| journal.description.shard);
    let missing: Vec<Shard> = division
        .all()
        .filter(|shard| !journals.iter().any(|j| j.description.shard == *shard))
        .collect();
    if !missing.is_empty() {
        return Err(JournalError::MergeMissing {
            name: description.name,
            count: division.count(),
            missing,
        });
    }
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
    if finished.len() < description.units {
        // The first gap; units outside the run are refused when a journal is read.
        let gap = (0..).zip(finished.keys()).find(|(at, key)| at != *key);
        let unit = gap.map_or(finished.len(), |(at, _)| at);
        let holds = |j: &&Recorded<D, T>| j.description.shard.contains(&description.key, unit);
        let journal = journals.iter().find(holds).expect("no shard is missing");
        return Err(JournalError::MergeUnfinished {
            path: journal.path.clone(),
            shard: journal.description.shard,
            unit,
        });
    }
    let part = |j: Recorded<D, T>| (j.path, j.description.shard, j.finished.len());
    Ok(Merged {
        description,
        finished,
        parts: journals.into_iter().map(part).collect(),
    })
}

/// Whether two results are one line of a journal: floats that print alike are the same to the bit.
fn say_the_same<T: Serialize>(a: &T, b: &T) -> bool {
    let lines = [a, b].map(serde_json::to_string);
    matches!(lines, [Ok(a), Ok(b)] if a == b)
}
