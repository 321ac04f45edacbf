//! Runs the unfinished items of a run in order.

use super::{Begun, Measured, Runner, Subject};
use crate::cost;
use crate::engine::{Engine, Handed, Known, Results};
use crate::error::SweepError;
use crate::grouping::{groups, most_rows};
use crate::measure::Measure;
use crate::memory::{Held, results_bytes};
use crate::plan::Plan;
use crate::stopping::{Judge, Target};
use layerwise_journal::{Journal, Part, RunKey};
use layerwise_transformer::Model;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

/// A run that has passed all checks.
pub(super) struct Run<'r, M: Measure> {
    pub(super) runner: &'r Runner<'r>,
    pub(super) subject: Subject<'r>,
    pub(super) plan: &'r Plan,
    pub(super) measure: &'r M,
    pub(super) items: &'r [M::Item],
    pub(super) target: Option<&'r Target>,
    pub(super) key: RunKey,
    /// The items to run.
    pub(super) share: Vec<usize>,
    /// The memory of the workers and of the results.
    pub(super) memory: Held,
}

impl<M: Measure> Run<'_, M> {
    /// Measures the items that are not in `kept`; `is_keepable` says whether a journal could keep their results.
    pub(super) fn carry_out(
        self,
        kept: &mut (dyn Kept<M::Sums> + Send),
        is_keepable: bool,
    ) -> Result<Measured<M::Sums>, SweepError> {
        let Self {
            runner,
            subject,
            plan,
            measure,
            items,
            target,
            key,
            share,
            mut memory,
        } = self;
        let finished = |kept: &BTreeMap<usize, Vec<M::Sums>>| {
            share
                .iter()
                .filter(|index| kept.contains_key(index))
                .count()
        };
        let mut known = kept.take_parts();
        known.retain(|index, _| share.binary_search(index).is_ok());
        let schedules = plan.entries().len();
        let whole = |(index, results): (&usize, &BTreeMap<usize, _>)| {
            (results.len() == schedules).then_some(*index)
        };
        for index in known.iter().filter_map(whole).collect::<Vec<_>>() {
            let results = known.remove(&index).into_iter().flatten();
            kept.keep(index, results.map(|(_, sums)| sums).collect())?;
        }
        let resumed = finished(kept.finished());

        let judged = |(index, sums): (usize, &M::Sums), target: &Target| {
            measure.observations(&items[index], sums, &target.statistic)
        };
        let mut judge = target.map(|target| {
            let schedules = plan.entries().len();
            (target, Judge::new(target.standard_error, schedules))
        });
        let mut follow = |finished: &BTreeMap<usize, Vec<M::Sums>>| {
            let (target, judge) = judge.as_mut()?;
            judge.follow(finished, |index, sums| judged((index, sums), target))
        };
        // An earlier run may already have reached the target.
        let mut reached = follow(kept.finished());

        let todo: Vec<(usize, &M::Item)> = share
            .iter()
            .filter(|index| !kept.finished().contains_key(index))
            .map(|&index| (index, &items[index]))
            .collect();
        let all = share.len();
        let units = Units::of(measure);
        if runner.only_taken_up && kept.is_journal() && !todo.is_empty() && reached.is_none() {
            let missing: Vec<usize> = todo.iter().map(|(index, _)| *index).collect();
            return Err(SweepError::Unfinished {
                what: format!("{}, {}", subject.name, units.several),
                missing: missing.into(),
            });
        }
        let under_way = UnderWay::of(runner, subject.model, plan, measure, &todo);
        runner.progress.begin(&Begun {
            subject: subject.name,
            unit: &units.one,
            units: &units.several,
            items: todo.len(),
            shares: runner.part().count(),
            weight: todo.iter().map(|(_, item)| measure.weight(item)).sum(),
            resumed,
            in_part: known.len(),
            torn: kept.torn(),
            at_once: under_way.at_once,
            in_hand: under_way.in_hand,
            has_target: target.is_some(),
            is_keepable,
        });
        let mut in_part: BTreeSet<usize> = known.keys().copied().collect();
        let outcome = if reached.is_some() {
            Ok(())
        } else {
            let watch = |part| runner.progress.advanced(part);
            let mut engine = Engine::new(subject.model, plan, measure)
                .threads(runner.threads)
                .watch(&watch);
            if let Some(stop) = runner.stop {
                engine = engine.stop(stop);
            }
            if let Some(give_up) = runner.give_up {
                engine = engine.give_up(give_up);
            }
            engine.run_in_parts(&todo, known, |handed| match handed {
                Handed::Parts(parts) => {
                    in_part.extend(parts.iter().map(|(index, _)| *index));
                    Ok(kept.keep_parts(parts)?)
                }
                Handed::Item(index, sums) => {
                    in_part.remove(&index);
                    kept.keep(index, sums)?;
                    runner.progress.finished(measure.weight(&items[index]));
                    match follow(kept.finished()) {
                        Some(enough) => Err(Halt::Reached(enough)),
                        None => Ok(()),
                    }
                }
            })
        };
        runner.progress.end();
        match outcome {
            Ok(()) => {}
            Err(Halt::Reached(enough)) => reached = Some(enough),
            Err(Halt::Failed(error)) => return Err(error),
        }
        let finished = finished(kept.finished());
        if reached.is_none() && finished < all {
            return Err(SweepError::Interrupted {
                finished,
                all,
                units: units.several,
                parts: match kept.is_journal() {
                    true => in_part.len(),
                    false => 0,
                },
                kept: kept.is_journal(),
            });
        }
        // Results are stored by the item's index, so they come in the order of items, and the first ones reach the target.
        let mut kept = kept.take_finished();
        let results = share.iter().filter_map(|index| kept.remove(index));
        memory.shrink_to(results_bytes(subject.model, plan, measure, items) as u64);
        Ok(Measured {
            key,
            results: results.take(reached.unwrap_or(all)).collect(),
            items: all,
            resumed,
            reached: target.map(|_| reached.is_some()),
            worst: judge.and_then(|(_, judge)| judge.worst()),
            memory: memory.into(),
        })
    }
}

/// The part of a run in progress.
struct UnderWay {
    /// The number of items in progress at the same time: one group, or one per thread if there are no altered schedules to
    /// divide.
    at_once: usize,
    /// Roughly the largest share of the run that is still done between a stop signal and the end.
    in_hand: f64,
}

impl UnderWay {
    fn of<M: Measure>(
        runner: &Runner<'_>,
        model: &Model,
        plan: &Plan,
        measure: &M,
        items: &[(usize, &M::Item)],
    ) -> Self {
        let rows = items.iter().map(|(_, item)| measure.batch(item).rows());
        let rows: Vec<usize> = rows.collect();
        let workers = match model.is_streamed() {
            true => 1,
            false => runner.threads.get(),
        };
        let most_items = measure.most_together();
        let groups = groups(&rows, most_rows(model), most_items, workers);
        let own = groups.first().map_or(1, Range::len);
        // A thread checks the signal after each step of an altered schedule, but only after the whole plain schedule.
        let work = |rows: usize| cost::of_steps(model, plan.plain_path.len() - 1, 1, rows);
        let all = match rows.iter().sum() {
            0 => None,
            rows => Some(cost::of_plan(model, plan, rows)),
        };
        let weight = |own: &[(usize, &M::Item)]| {
            let weights = own.iter().map(|(_, item)| measure.weight(item));
            weights.sum::<usize>() as f64
        };
        let part = |group: &Range<usize>| match all {
            Some(all) => work(rows[group.clone()].iter().sum()) / all,
            None => weight(&items[group.clone()]) / weight(items),
        };
        let largest = groups.iter().map(part).fold(0.0, f64::max);
        Self {
            at_once: match plan.entries().len() {
                1 => (own * workers).min(items.len()),
                _ => own,
            },
            // Each thread may do such a share meanwhile.
            in_hand: (largest * workers as f64).min(1.0),
        }
    }
}

/// The names of a measure's items.
struct Units {
    one: String,
    several: String,
}

impl Units {
    fn of<M: Measure>(measure: &M) -> Self {
        let (unit, title) = (measure.unit(), measure.title());
        Self {
            one: format!("{unit} of {title}"),
            several: format!("{unit}s of {title}"),
        }
    }
}

/// Why the engine stops before all items are done.
enum Halt {
    /// The standard error is small enough, with this number of items.
    Reached(usize),
    Failed(SweepError),
}

impl From<SweepError> for Halt {
    fn from(error: SweepError) -> Self {
        Self::Failed(error)
    }
}

/// Finished results, in a journal or in memory alone.
/// It is used through a pointer, so that the engine is compiled once for each measure.
pub(super) trait Kept<S> {
    fn finished(&self) -> &BTreeMap<usize, Vec<S>>;

    fn take_finished(&mut self) -> BTreeMap<usize, Vec<S>>;

    fn keep(&mut self, index: usize, sums: Vec<S>) -> Result<(), SweepError>;

    /// Stores results of unfinished items, as far as they can be kept.
    fn keep_parts(&mut self, parts: Vec<(usize, Results<S>)>) -> Result<(), SweepError>;

    /// Results of unfinished items that an earlier run left.
    fn take_parts(&mut self) -> Known<S>;

    fn is_journal(&self) -> bool;

    /// The journal's path, if a crash left its last line incomplete.
    fn torn(&self) -> Option<&Path>;
}

impl<S> Kept<S> for BTreeMap<usize, Vec<S>> {
    fn finished(&self) -> &Self {
        self
    }

    fn take_finished(&mut self) -> Self {
        std::mem::take(self)
    }

    fn keep(&mut self, index: usize, sums: Vec<S>) -> Result<(), SweepError> {
        self.insert(index, sums);
        Ok(())
    }

    fn keep_parts(&mut self, _: Vec<(usize, Results<S>)>) -> Result<(), SweepError> {
        Ok(())
    }

    fn take_parts(&mut self) -> Known<S> {
        Known::new()
    }

    fn is_journal(&self) -> bool {
        false
    }

    fn torn(&self) -> Option<&Path> {
        None
    }
}

impl<S: Serialize + DeserializeOwned> Kept<S> for Journal<Vec<S>> {
    fn finished(&self) -> &BTreeMap<usize, Vec<S>> {
        Journal::finished(self)
    }

    fn take_finished(&mut self) -> BTreeMap<usize, Vec<S>> {
        Journal::take_finished(self)
    }

    fn keep(&mut self, index: usize, sums: Vec<S>) -> Result<(), SweepError> {
        Ok(self.record(index, sums)?)
    }

    fn keep_parts(&mut self, parts: Vec<(usize, Results<S>)>) -> Result<(), SweepError> {
        let parts = parts.into_iter().map(|(index, results)| {
            let (at, results) = results.into_iter().unzip();
            (index, Part { at, results })
        });
        Ok(self.record_parts(parts)?)
    }

    fn take_parts(&mut self) -> Known<S> {
        let results = |parts: Vec<Part<Vec<S>>>| {
            let each = parts.into_iter();
            let each = each.flat_map(|part| part.at.into_iter().zip(part.results));
            each.collect()
        };
        let parts = Journal::take_parts(self).into_iter();
        parts
            .map(|(index, parts)| (index, results(parts)))
            .collect()
    }

    fn is_journal(&self) -> bool {
        true
    }

    fn torn(&self) -> Option<&Path> {
        self.was_torn().then(|| self.path())
    }
}
