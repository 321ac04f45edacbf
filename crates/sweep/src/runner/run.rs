//! The items of a run that are not finished yet, one after another.

use super::{Begun, Measured, Runner, Subject};
use crate::engine::Engine;
use crate::error::SweepError;
use crate::grouping::{groups, most_rows};
use crate::measure::Measure;
use crate::memory::{Held, results_bytes};
use crate::plan::Plan;
use crate::stopping::{Judge, Target};
use layerwise_journal::{Journal, RunKey};
use layerwise_transformer::Model;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// A run that may begin.
pub(super) struct Run<'r, M: Measure> {
    pub(super) runner: &'r Runner<'r>,
    pub(super) subject: Subject<'r>,
    pub(super) plan: &'r Plan,
    pub(super) measure: &'r M,
    pub(super) items: &'r [M::Item],
    pub(super) target: Option<&'r Target>,
    pub(super) key: RunKey,
    /// The items that are run.
    pub(super) share: Vec<usize>,
    /// That of the workers and of the results.
    pub(super) memory: Held,
}

impl<M: Measure> Run<'_, M> {
    /// Measures the items that are not in `kept`; `is_keepable` says whether a journal could have kept their results.
    pub(super) fn carry_out(
        self,
        mut kept: impl Kept<M::Sums> + Send,
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
        // An earlier run may have gone far enough already.
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
        runner.progress.begin(&Begun {
            subject: subject.name,
            unit: &units.one,
            units: &units.several,
            items: todo.len(),
            shares: runner.part().count(),
            weight: todo.iter().map(|(_, item)| measure.weight(item)).sum(),
            resumed,
            torn: kept.torn(),
            at_once: Self::at_once(runner, subject.model, plan, measure, &todo),
            has_target: target.is_some(),
            is_keepable,
        });
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
            engine.run(&todo, |index, sums| {
                kept.keep(index, sums)?;
                runner.progress.finished(measure.weight(&items[index]));
                match follow(kept.finished()) {
                    Some(enough) => Err(Halt::Reached(enough)),
                    None => Ok(()),
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
                kept: kept.is_journal(),
            });
        }
        // Results are kept by the index of their item: this is the order of items, and what reaches a target are the first.
        let mut kept = kept.into_finished();
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

    /// Items that are under way at the same time: those of one group, of each thread where there are no schedules to share
    /// out.
    fn at_once(
        runner: &Runner<'_>,
        model: &Model,
        plan: &Plan,
        measure: &M,
        items: &[(usize, &M::Item)],
    ) -> usize {
        let rows = items.iter().map(|(_, item)| measure.batch(item).rows());
        let workers = match model.is_streamed() {
            true => 1,
            false => runner.threads.get(),
        };
        let groups = groups(&rows.collect::<Vec<_>>(), most_rows(model), workers);
        let own = groups.first().map_or(1, Range::len);
        match plan.entries().len() {
            1 => (own * workers).min(items.len()),
            _ => own,
        }
    }
}

/// What a measure's items are called.
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

/// Why the engine is left before its items are used up.
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

/// What is finished, in a journal or in memory alone.
pub(super) trait Kept<S> {
    fn finished(&self) -> &BTreeMap<usize, Vec<S>>;

    fn into_finished(self) -> BTreeMap<usize, Vec<S>>;

    fn keep(&mut self, index: usize, sums: Vec<S>) -> Result<(), SweepError>;

    fn is_journal(&self) -> bool;

    /// The journal's path, if a crash had torn its last line.
    fn torn(&self) -> Option<&Path>;
}

impl<S> Kept<S> for BTreeMap<usize, Vec<S>> {
    fn finished(&self) -> &Self {
        self
    }

    fn into_finished(self) -> Self {
        self
    }

    fn keep(&mut self, index: usize, sums: Vec<S>) -> Result<(), SweepError> {
        self.insert(index, sums);
        Ok(())
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

    fn into_finished(self) -> BTreeMap<usize, Vec<S>> {
        Journal::into_finished(self)
    }

    fn keep(&mut self, index: usize, sums: Vec<S>) -> Result<(), SweepError> {
        Ok(self.record(index, sums)?)
    }

    fn is_journal(&self) -> bool {
        true
    }

    fn torn(&self) -> Option<&Path> {
        self.was_torn().then(|| self.path())
    }
}
