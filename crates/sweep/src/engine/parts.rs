//! What part of a run is done, by the work that it takes.

use super::Engine;
use crate::cost;
use crate::plan::Plan;
use layerwise_transformer::{Batch, Model};

/// Who is told what part of a run was done.
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
    /// Tells `watch` about what part of a run was done since the last call; it is called often, by any thread.
    pub fn watch(self, watch: &'a (dyn Fn(f64) + Sync)) -> Self {
        Self {
            watch: Watch(Some(watch)),
            ..self
        }
    }
}

/// What part of a run a step of a schedule and a schedule's end are, on one token.
pub(super) struct Parts<'a> {
    watch: Watch<'a>,
    step: f64,
    end: f64,
}

impl<'a> Parts<'a> {
    /// Of a run of all schedules on so many tokens.
    pub(super) fn of(model: &Model, plan: &Plan, tokens: usize, watch: Watch<'a>) -> Self {
        let whole = cost::of_plan(model, plan, tokens);
        Self {
            watch,
            step: cost::of_steps(model, 1, 0, 1) / whole,
            end: cost::of_steps(model, 0, 1, 1) / whole,
        }
    }

    /// So many steps and ends were done on a batch.
    pub(super) fn done(&self, batch: &Batch, steps: usize, ends: usize) {
        if let Watch(Some(watch)) = self.watch
            && batch.rows() > 0
        {
            watch(batch.rows() as f64 * (steps as f64 * self.step + ends as f64 * self.end));
        }
    }
}
