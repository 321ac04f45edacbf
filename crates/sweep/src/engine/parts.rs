//! Reports the finished share of a run, measured by its work.

use super::Engine;
use super::needed::Needed;
use crate::cost;
use crate::plan::Plan;
use layerwise_transformer::{Batch, Model};

/// The receiver of finished shares.
#[derive(Clone, Copy)]
pub(super) struct Watch<'a>(pub(super) Option<&'a (dyn Fn(f64) + Sync)>);

impl std::fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "watched"
        } else {
            "unwatched"
        })
    }
}

impl<'a, M> Engine<'a, M> {
    /// Calls `watch` with the share of the run finished since the last call. It is called often, by any thread.
    pub fn watch(self, watch: &'a (dyn Fn(f64) + Sync)) -> Self {
        Self {
            watch: Watch(Some(watch)),
            ..self
        }
    }
}

/// The work of one step and of one schedule's end per token, and the work of the run.
pub(super) struct Parts<'a> {
    watch: Watch<'a>,
    step: f64,
    end: f64,
    whole: f64,
}

impl<'a> Parts<'a> {
    /// For a run of groups, each with its rows and, if some results are known, its remaining work.
    pub(super) fn of<'n>(
        model: &Model,
        plan: &Plan,
        groups: impl IntoIterator<Item = (usize, Option<&'n Needed>)>,
        watch: Watch<'a>,
    ) -> Self {
        let cost = |(rows, needed): (usize, Option<&Needed>)| match needed {
            None => cost::of_plan(model, plan, rows),
            Some(needed) => cost::of_steps(model, needed.steps, needed.schedules, rows),
        };
        Self {
            watch,
            step: cost::of_steps(model, 1, 0, 1),
            end: cost::of_steps(model, 0, 1, 1),
            whole: groups.into_iter().map(cost).sum(),
        }
    }

    /// Reports that steps and ends were done on a batch; returns their multiply-adds.
    pub(super) fn done(&self, batch: &Batch, steps: usize, ends: usize) -> f64 {
        let work = batch.rows() as f64 * (steps as f64 * self.step + ends as f64 * self.end);
        if let Watch(Some(watch)) = self.watch
            && batch.rows() > 0
        {
            watch(work / self.whole);
        }
        work
    }
}
