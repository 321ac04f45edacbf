//! Shards of runs, put together.

use crate::error::SweepError;
use crate::journal::{Recorded, RunDescription};
use crate::shard::Shard;
use crate::sums::Sums;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;

/// A whole run: every sequence under every schedule.
#[derive(Clone, Debug)]
pub struct Merged {
    /// What the run is, as if it had never been divided.
    pub description: RunDescription,
    /// The sums of each sequence, by its index in the corpus: all of them, so that their order is corpus order.
    pub finished: BTreeMap<usize, Vec<Sums>>,
    /// The journals, with the number of sequences in each, in the order of shards.
    pub parts: Vec<(PathBuf, Shard, usize)>,
}

/// Puts the journals of one or more models' runs together.
///
/// The models are in the order of their places in the tables that the journals were made for, equal places in the order
/// of the arguments. The sums are those of an undivided run, bit for bit, however the journals are ordered.
/// A shard may be given twice if both say the same.
///
/// # Errors
/// Journals of a model that are not of one run or not of one division, shards without a journal, a shard that is not
/// finished, and two journals that contradict each other.
pub fn merge(journals: Vec<Recorded>) -> Result<Vec<Merged>, SweepError> {
    let mut models: Vec<Vec<Recorded>> = Vec::new();
    for journal in journals {
        let model = &journal.description.model;
        match models
            .iter_mut()
            .find(|group| group[0].description.model == *model)
        {
            Some(group) => group.push(journal),
            None => models.push(vec![journal]),
        }
    }
    models.sort_by_key(|group| group[0].description.place);
    models.into_iter().map(merge_model).collect()
}

/// The journals of one model, of which there is at least one.
fn merge_model(mut journals: Vec<Recorded>) -> Result<Merged, SweepError> {
    let first = &journals[0];
    for other in &journals[1..] {
        let as_first = RunDescription {
            shard: first.description.shard,
            ..other.description.clone()
        };
        if as_first != first.description {
            return Err(SweepError::MergeOtherRun {
                model: first.description.model.clone(),
                path: first.path.clone(),
                other: other.path.clone(),
            });
        }
        if other.description.shard.count() != first.description.shard.count() {
            return Err(SweepError::MergeOtherDivision {
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
        return Err(SweepError::MergeMissing {
            model: description.model,
            count: division.count(),
            missing,
        });
    }
    let mut finished: BTreeMap<usize, Vec<Sums>> = BTreeMap::new();
    for journal in &journals {
        for (&sequence, sums) in &journal.finished {
            match finished.entry(sequence) {
                Entry::Vacant(place) => {
                    place.insert(sums.clone());
                }
                Entry::Occupied(found) if same_bits(found.get(), sums) => {}
                Entry::Occupied(_) => {
                    let holds = |other: &&Recorded| other.finished.contains_key(&sequence);
                    let earlier = journals.iter().find(holds).unwrap_or(journal);
                    return Err(SweepError::MergeConflict {
                        path: earlier.path.clone(),
                        other: journal.path.clone(),
                        sequence,
                    });
                }
            }
        }
    }
    if finished.len() < description.sequences {
        // The first gap; units outside the corpus are refused when a journal is read.
        let gap = (0..).zip(finished.keys()).find(|(at, key)| at != *key);
        let sequence = gap.map_or(finished.len(), |(at, _)| at);
        let holds = |j: &&Recorded| j.description.shard.contains(&description.key, sequence);
        let journal = journals.iter().find(holds).expect("no shard is missing");
        return Err(SweepError::MergeUnfinished {
            path: journal.path.clone(),
            shard: journal.description.shard,
            sequence,
        });
    }
    let part = |j: Recorded| (j.path, j.description.shard, j.finished.len());
    Ok(Merged {
        description,
        finished,
        parts: journals.into_iter().map(part).collect(),
    })
}

/// Whether sums are the same to the bit; they are never NaN.
fn same_bits(a: &[Sums], b: &[Sums]) -> bool {
    let bits = |sums: &Sums| {
        (
            [sums.positions, sums.top1_agreements, sums.loss_positions],
            [sums.kl_nats, sums.entropy_bits, sums.loss_nats].map(f64::to_bits),
        )
    };
    a.iter().map(bits).eq(b.iter().map(bits))
}
