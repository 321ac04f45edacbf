//! Items in progress, their known results, and how results are handed over.

use super::Run;
use super::needed::Needed;
use crate::error::SweepError;
use crate::measure::{Failure, Measure, Reached};
use layerwise_schedule::Schedule;
use layerwise_transformer::{Batch, NotFinite, Values};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Results of some schedules, each with its index in the plan, in ascending order.
pub(crate) type Results<S> = Vec<(usize, S)>;

/// What an engine hands over.
pub(crate) enum Handed<S> {
    /// An item's index in the run, and its result for each schedule of the plan.
    Item(usize, Vec<S>),
    /// For unfinished items, results that have not been handed over yet.
    Parts(Vec<(usize, Results<S>)>),
}

/// After this many multiply-adds of a group, results are handed over before its items are finished. A core does 2³⁵ in a second
/// or less, so a killed process loses a few seconds.
const HANDED_EVERY: u64 = 1 << 37;

/// Why a task ends early.
pub(super) enum Cut<E> {
    /// The items in hand are given up.
    GivenUp,
    Failed(E),
}

impl<E: From<SweepError>> From<SweepError> for Cut<E> {
    fn from(error: SweepError) -> Self {
        match error {
            SweepError::GivenUp => Self::GivenUp,
            error => Self::Failed(error.into()),
        }
    }
}

/// A group of items under all schedules.
pub(super) struct Unit<'a, M: Measure> {
    /// The batch of all items.
    pub(super) batch: Batch,
    pub(super) items: Vec<Item<'a, M>>,
    /// The remaining work, if some results are known already.
    pub(super) needed: Option<Arc<Needed>>,
    /// The plain run's reference for each item.
    pub(super) plain: OnceLock<Vec<M::Reference>>,
    /// The values that edits take from plain runs of these items and their partners, and constants.
    pub(super) values: OnceLock<Values>,
    /// One for each item.
    progress: Mutex<Vec<Progress<M::Sums>>>,
    /// Multiply-adds since results were last handed over.
    work: AtomicU64,
}

pub(super) struct Item<'a, M: Measure> {
    pub(super) index: usize,
    pub(super) item: &'a M::Item,
    pub(super) batch: Batch,
    /// The item's rows in the unit's batch.
    pub(super) rows: Range<usize>,
}

struct Progress<S> {
    sums: Vec<Option<S>>,
    /// Schedules without a result yet.
    missing: usize,
    /// Schedules whose results have not been handed over.
    fresh: Vec<usize>,
}

impl<S: Clone> Progress<S> {
    /// Stores a schedule's result in an unfinished item, unless one is there.
    fn take(&mut self, schedule: usize, sums: S) {
        let place = &mut self.sums[schedule];
        if place.is_none() {
            *place = Some(sums);
            self.missing -= 1;
            self.fresh.push(schedule);
        }
    }
}

impl<'a, M: Measure> Unit<'a, M> {
    fn progress(&self) -> MutexGuard<'_, Vec<Progress<M::Sums>>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a, M, E, F> Run<'a, M, E, F>
where
    M: Measure,
    E: From<SweepError> + Send,
    F: FnMut(Handed<M::Sums>) -> Result<(), E> + Send,
{
    /// The items of a group.
    pub(super) fn unit(&self, group: usize) -> Result<Unit<'a, M>, SweepError> {
        let mut batch = Batch::default();
        let items = &self.items[self.groups[group].clone()];
        let items = items
            .iter()
            .map(|&(index, item)| self.item(index, item, &mut batch))
            .collect::<Result<Vec<_>, _>>()?;
        let schedules = self.engine.plan.entries().len();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let progress = items.iter().map(|item| {
            let mut progress = Progress {
                sums: vec![None; schedules],
                missing: schedules,
                fresh: Vec::new(),
            };
            for (schedule, sums) in known.remove(&item.index).into_iter().flatten() {
                progress.take(schedule, sums);
            }
            progress.fresh.clear();
            progress
        });
        Ok(Unit {
            batch,
            progress: Mutex::new(progress.collect()),
            items,
            needed: self.needed.get(&group).cloned(),
            plain: OnceLock::new(),
            values: OnceLock::new(),
            work: AtomicU64::new(0),
        })
    }

    /// An item with its rows in the batch of its group.
    fn item(
        &self,
        index: usize,
        item: &'a M::Item,
        group: &mut Batch,
    ) -> Result<Item<'a, M>, SweepError> {
        let measure = self.engine.measure;
        let batch = measure.batch(item);
        // Altered schedules need at least one token to run on.
        let least = usize::from(self.engine.plan.entries().len() > 1);
        let least = measure.least_tokens().max(least);
        if batch.rows() < least {
            return Err(SweepError::TooShort {
                unit: measure.unit(),
                item: index,
                expected: least,
                found: batch.rows(),
            });
        }
        Ok(Item {
            index,
            item,
            rows: group.append(&batch),
            batch,
        })
    }

    /// The schedules that end at a node, unless their results are known.
    pub(super) fn ends(&self, unit: &Unit<'a, M>, node: usize) -> &'a [usize] {
        match &unit.needed {
            Some(needed) if !needed.ends[node] => &[],
            _ => self.engine.plan.trie.ends(node),
        }
    }

    /// The children of a node, except one of them and those that lead only to known results.
    pub(super) fn children(
        &self,
        unit: &Unit<'a, M>,
        node: usize,
        but: Option<usize>,
    ) -> Vec<usize> {
        let children = self.engine.plan.trie.children(node).iter().copied();
        let is_left = |child: &usize| {
            let needed = unit.needed.as_ref();
            Some(*child) != but && needed.is_none_or(|needed| needed.nodes[*child])
        };
        children.filter(is_left).collect()
    }

    /// Counts steps and ends that were done on a group.
    pub(super) fn done(&self, unit: &Unit<'a, M>, steps: usize, ends: usize) {
        let work = self.parts.done(&unit.batch, steps, ends);
        unit.work.fetch_add(work as u64, Ordering::Relaxed);
    }

    /// Stores the results of the schedules that end at a node; the last result of an item hands the item over.
    pub(super) fn record(
        &self,
        unit: &Unit<'a, M>,
        node: usize,
        sums: Vec<M::Sums>,
    ) -> Result<(), Cut<E>> {
        assert_eq!(sums.len(), unit.items.len(), "one result for each item");
        let ends = self.engine.plan.trie.ends(node);
        let (&last, others) = ends.split_last().expect("a schedule ends here");
        for (at, sums) in sums.into_iter().enumerate() {
            let mut all = unit.progress();
            let progress = &mut all[at];
            // The item is finished, and has given its results away, but others of its group are not.
            if progress.missing == 0 {
                continue;
            }
            for &schedule in others {
                progress.take(schedule, sums.clone());
            }
            progress.take(last, sums);
            if progress.missing > 0 {
                continue;
            }
            let sums = std::mem::take(&mut progress.sums);
            drop(all);
            let sums = sums.into_iter().flatten().collect();
            let index = unit.items[at].index;
            self.settle(&unit.items[at])?;
            self.hand_over(Handed::Item(index, sums))?;
        }
        match unit.work.load(Ordering::Relaxed) < HANDED_EVERY {
            true => Ok(()),
            false => self.hand_over_parts(unit),
        }
    }

    /// Hands over the results of unfinished items.
    pub(super) fn hand_over_parts(&self, unit: &Unit<'a, M>) -> Result<(), Cut<E>> {
        unit.work.store(0, Ordering::Relaxed);
        // The lock is held until they are handed over, so that no item finishes meanwhile.
        let mut progress = unit.progress();
        let mut parts = Vec::new();
        for (item, progress) in unit.items.iter().zip(&mut *progress) {
            let mut fresh = std::mem::take(&mut progress.fresh);
            if progress.missing == 0 || fresh.is_empty() {
                continue;
            }
            self.settle(item)?;
            fresh.sort_unstable();
            let mut results = Vec::with_capacity(fresh.len());
            let result = |schedule: usize| Some((schedule, progress.sums[schedule].clone()?));
            results.extend(fresh.into_iter().filter_map(result));
            parts.push((item.index, results));
        }
        match parts.is_empty() {
            true => Ok(()),
            false => self.hand_over(Handed::Parts(parts)),
        }
    }

    /// The error of a measure, or that it was given up.
    pub(super) fn failed(
        &self,
        group: &Unit<'a, M>,
        reached: &Reached<'_, M::Item>,
        failure: Failure,
    ) -> SweepError {
        if failure.is_given_up() {
            return SweepError::GivenUp;
        }
        let unit = self.engine.measure.unit();
        let rows = || {
            let mut items = group.items.iter();
            items
                .find(|item| item.index == reached.index)
                .map(|item| item.rows.clone())
        };
        let origin = |schedule: &Schedule| {
            let longest = reached.batch.path_lengths().pop_last()?;
            let values = group.values.get()?.of_rows(rows()?, longest);
            // The tokens and the schedule fit, because they have run before.
            NotFinite::first(reached.model, reached.batch, (schedule, &values)).ok()?
        };
        let member = &self.engine.plan.entries()[reached.schedules[0]].member;
        match failure {
            Failure::NotFinite { position } => SweepError::NotFinite {
                schedule: member.edit.to_string(),
                unit,
                item: reached.index,
                position,
                origin: origin(&member.schedule),
            },
            Failure::Other(source) => SweepError::Measure {
                unit,
                item: reached.index,
                source,
            },
        }
    }

    fn settle(&self, item: &Item<'a, M>) -> Result<(), SweepError> {
        let settled = self.engine.measure.settle(item.index);
        settled.map_err(|source| SweepError::Measure {
            unit: self.engine.measure.unit(),
            item: item.index,
            source: source.into(),
        })
    }

    fn hand_over(&self, handed: Handed<M::Sums>) -> Result<(), Cut<E>> {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_unkept.load(Ordering::Relaxed) {
            return Ok(());
        }
        finished(handed).map_err(|failure| {
            self.is_unkept.store(true, Ordering::Relaxed);
            Cut::Failed(failure)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use crate::{Divergence, Plan};
    use layerwise_transformer::{Model, ModelConfig};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::num::NonZeroUsize;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Items of one group may know different schedules, so that some finish before others.
        #[test]
        fn whatever_is_known_of_each_item_the_rest_is_measured_once(known in prop::collection::vec(any::<u32>(), 5), threads in 1usize..4) {
            let model = Model::random(ModelConfig::tiny(), 2);
            let families = ["drop(l)", "swap(l,l+1)", "keep(0..l)"].map(|text| text.parse().unwrap());
            let plan = Plan::new(model.stack(), &families, 100).unwrap();
            let sequence = |item: u32| -> Vec<u32> { (0..4 + item % 2).map(|at| (at * 3 + item) % 7).collect() };
            let sequences: Vec<Vec<u32>> = (0..5).map(sequence).collect();
            let items: Vec<(usize, &Vec<u32>)> = sequences.iter().enumerate().collect();
            let measure = Divergence::new();
            let engine = Engine::new(&model, &plan, &measure).threads(NonZeroUsize::new(threads).unwrap());
            let run = |known: BTreeMap<usize, BTreeMap<usize, _>>| {
                let mut all = BTreeMap::new();
                let outcome: Result<(), SweepError> = engine.run_in_parts(&items, known, |handed| {
                    if let Handed::Item(index, sums) = handed {
                        assert!(all.insert(index, sums).is_none(), "item {index} is handed over twice");
                    }
                    Ok(())
                });
                outcome.unwrap();
                all
            };
            let expected = run(BTreeMap::new());
            prop_assert_eq!(expected.len(), items.len());
            let some = expected.iter().map(|(&item, sums)| {
                // At least the last schedule is left.
                let is_known = |schedule: &usize| known[item] >> (schedule % 32) & 1 == 1 && schedule + 1 < sums.len();
                let own = (0..sums.len()).filter(is_known).map(|schedule| (schedule, sums[schedule].clone()));
                (item, own.collect())
            });
            prop_assert_eq!(run(some.collect()), expected);
        }
    }
}
