//! What a worker may hold, and how much memory there is.

use crate::error::SweepError;
use crate::grouping::{MOST_ITEMS, MOST_ROWS};
use crate::measure::Measure;
use crate::plan::Plan;
use layerwise_schedule::{Source, Step};
use layerwise_transformer::{Model, Taken, Workspace};

/// The most memory, in bytes, that the engine takes for each worker thread, with `items` items of at most `seq` tokens.
///
/// Short items are run together, so that `rows` are the larger of `seq` and what a group may have.
/// In units of one residual stream, `rows · model · 4` bytes, that is
///
/// - one for each [branch point](Plan::branch_points) of the plan, kept until a worker takes it up;
/// - one in hand and at most ⌊log₂ schedules⌋ saved on the way through its subtree;
/// - two for each level of `parallel` within a step;
///
/// and the buffers of one block, what the measure says that it [keeps](Measure::kept_bytes) and
/// [takes](Measure::reading_bytes), and its result for each schedule.
/// Where schedules take values of plain runs, those of a group are kept until its last schedule, at the places that some
/// schedule reads ([`Taken::bytes`]).
/// There is nothing of the size positions × vocabulary, and nothing that grows with the number of items but a list of
/// groups, at most five numbers an item.
/// A worker begins items only when no kept stream waits, so that there are never more groups under way than workers, and
/// the bound holds for all workers together: one may hold more while another holds less.
///
/// Not included: the weights, which all workers share; thread stacks; the items; and what `finished` of
/// [`Engine::run`](crate::Engine::run) does with the results that it is handed.
pub fn worker_bytes<M: Measure>(
    model: &Model,
    plan: &Plan,
    measure: &M,
    items: usize,
    seq: usize,
) -> usize {
    let config = model.config();
    let schedules = plan.entries().len();
    let nested = plan.trie_steps().map(levels).max().unwrap_or(0);
    let streams = plan.branch_points() + 1 + plan.saved_streams() + 2 * nested;
    let together = items.clamp(1, MOST_ITEMS);
    let rows = seq.max(MOST_ROWS.min(items.saturating_mul(seq)));
    // The handles of kept streams, in a queue that grows by doubling, and locks.
    let handles = 512 * (plan.branch_points() + 2);
    let workspace = match rows {
        0 => 0,
        _ => Workspace::most_bytes(config, rows),
    };
    let item = schedules * (size_of::<Option<M::Sums>>() + size_of::<M::Sums>())
        + size_of::<M::Reference>()
        + 512;
    let taken = |source| Taken::bytes(config, plan.taken_from(source), rows, seq);
    let sources = [Source::Plain, Source::Donor, Source::Resample];
    let taken: usize = sources.into_iter().map(taken).sum();
    // The partners' streams, their tokens and handles of what is kept.
    let partners = match taken {
        0 => 0,
        _ => 2 * rows * (config.model * size_of::<f32>() + size_of::<u32>()) + 4096,
    };
    // The pattern of one block, where some schedule reads or writes one.
    let pattern = match plan.builds_patterns() {
        true => config.heads * rows * seq * size_of::<f32>(),
        false => 0,
    };
    pattern
        + taken
        + partners
        + streams * rows * config.model * size_of::<f32>()
        + workspace
        + measure.kept_bytes(config, rows, schedules)
        + (together - 1) * measure.kept_bytes(config, 0, schedules)
        + measure.reading_bytes(config, rows)
        + 3 * rows * size_of::<u32>()
        + together * item
        + items * 5 * size_of::<usize>()
        + handles
}

/// How much memory may be taken, and how much of it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budget {
    /// In bytes; `None` where there is no limit.
    limit: Option<u64>,
    held: u64,
}

impl Budget {
    /// A budget of so many bytes; without a limit where there is none.
    pub fn new(limit: Option<u64>) -> Self {
        Self { limit, held: 0 }
    }

    /// Bytes that are left; `None` where there is no limit.
    pub fn left(&self) -> Option<u64> {
        self.limit.map(|limit| limit.saturating_sub(self.held))
    }

    /// Counts bytes that are taken from now on.
    pub fn hold(&mut self, bytes: u64) {
        self.held = self.held.saturating_add(bytes);
    }

    /// Refuses what needs more bytes than are left beside what is held.
    ///
    /// # Errors
    /// [`SweepError::Memory`], which says what would be needed in all.
    pub fn check(&self, what: &str, bytes: u64) -> Result<(), SweepError> {
        let needed = self.held.saturating_add(bytes);
        match self.limit {
            Some(limit) if needed > limit => Err(SweepError::Memory {
                what: what.to_owned(),
                needed,
                limit,
            }),
            _ => Ok(()),
        }
    }
}

/// How deep branches are nested in a step.
fn levels(step: &Step) -> usize {
    match step {
        Step::Update(_) => 0,
        Step::Branches(branches) => {
            let steps = branches.iter().flat_map(|branch| branch.steps());
            1 + steps.map(levels).max().unwrap_or(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_what_it_needs() {
        let mut budget = Budget::new(Some(10 << 20));
        budget.check("a", 10 << 20).unwrap();
        budget.hold(4 << 20);
        budget.check("a", 6 << 20).unwrap();
        let message = budget.check("a", 7 << 20).unwrap_err().to_string();
        let expected = "a: needs 11 MiB of memory, but only 10 MiB is available";
        assert_eq!(message, expected);
        // Nothing overflows.
        budget.check("a", u64::MAX).unwrap_err();
        assert_eq!(budget.left(), Some(6 << 20));
        Budget::new(None).check("a", u64::MAX).unwrap();
    }
}
