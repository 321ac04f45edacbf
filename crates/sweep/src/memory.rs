//! The memory of workers, and a budget for it.

use crate::error::SweepError;
use crate::grouping::{MOST_ITEMS, most_rows};
use crate::measure::Measure;
use crate::plan::Plan;
use layerwise_schedule::{Source, Step};
use layerwise_transformer::{Model, Taken, Workspace};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The largest number of bytes that the engine takes for each worker thread, with `items` items of at most `seq` tokens.
///
/// Short items run together, so `rows` is the larger of `seq` and the rows that a group may have.
/// In units of one residual stream, `rows · model · 4` bytes, it is
///
/// - one for each [branch point](Plan::branch_points) of the plan, held until a worker takes it;
/// - one in progress, and at most ⌊log₂ schedules⌋ saved on the way through its subtree;
/// - two for each level of `parallel` within a step;
/// - for a [streamed](Model::is_streamed) model, one for each schedule, because all of them wait for the same block, and three
///   more, because its groups are larger;
///
/// plus the buffers of one block, the bytes that the measure [keeps](Measure::kept_bytes) and
/// [reads with](Measure::reading_bytes), and its result for each schedule.
/// If schedules take values of plain runs, the values of a group are held until its last schedule, at the places that some
/// schedule reads ([`Taken::bytes`]).
/// Nothing has the size positions × vocabulary. Only a list of groups grows with the number of items, by at most five numbers an
/// item. A worker begins items only when no stored stream waits, so there are never more groups in progress than workers. The
/// bound holds for all workers together: one may hold more while another holds less.
///
/// Not included are the weights, which all workers share; thread stacks; the items; and what `finished` of
/// [`Engine::run`](crate::Engine::run) does with its results, which [`results_bytes`] bounds.
pub fn worker_bytes<M: Measure>(
    model: &Model,
    plan: &Plan,
    measure: &M,
    items: usize,
    seq: usize,
) -> usize {
    let config = model.config();
    let schedules = plan.entries().len();
    let nested = plan.trie_steps().map(Step::levels).max().unwrap_or(0);
    let (waiting, gathered) = match model.is_streamed() {
        true => (schedules, 3),
        false => (plan.saved_streams(), 0),
    };
    let streams = plan.branch_points() + 1 + waiting + gathered + 2 * nested;
    let together = items.clamp(1, MOST_ITEMS);
    let rows = seq.max(most_rows(model).min(items.saturating_mul(seq)));
    // Handles of stored streams, in a queue that grows by doubling, and locks.
    let handles = 512 * (plan.branch_points() + 2);
    let workspace = match rows {
        0 => 0,
        _ => Workspace::most_bytes(config, rows),
    };
    // Results exist twice while they are handed over. For an unfinished item each comes with the schedule's index, in a list that
    // grows by doubling.
    let indices = 3 * size_of::<usize>();
    let item = schedules * (size_of::<Option<M::Sums>>() + size_of::<M::Sums>() + indices)
        + size_of::<M::Reference>()
        + 512;
    let taken = |source| Taken::bytes(config, plan.taken_from(source), rows, seq);
    let sources = [Source::Plain, Source::Donor, Source::Resample];
    let taken: usize = sources.into_iter().map(taken).sum();
    // The partners' streams and tokens, and handles of stored values.
    let partners = match taken {
        0 => 0,
        _ => 2 * rows * (config.model * size_of::<f32>() + size_of::<u32>()) + 4096,
    };
    // The attention pattern of one block, if some schedule reads or writes one.
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

/// The largest number of bytes that the finished results of a run take, plus the journal line of one of them.
pub fn results_bytes<M: Measure>(
    model: &Model,
    plan: &Plan,
    measure: &M,
    items: &[M::Item],
) -> usize {
    /// An entry in a map and later in a list, entries in the lists of who holds it, and the allocator's overhead.
    const PLACE: usize = 240;
    /// A number takes up to 24 characters, which exist three times while a line is written.
    const WRITTEN: usize = 10;
    let schedules = plan.entries().len();
    let own = (schedules + 1) * size_of::<M::Sums>();
    let pointed_to = |items: &[M::Item]| measure.result_bytes(model.config(), items, schedules);
    let largest = items
        .iter()
        .map(|item| pointed_to(std::slice::from_ref(item)));
    items.len() * (own + PLACE) + pointed_to(items) + WRITTEN * (own + largest.max().unwrap_or(0))
}

/// The largest number of bytes for each further thread, if threads share the products of a streamed model.
pub(crate) fn hand_bytes(model: &Model, items: usize, seq: usize) -> usize {
    let rows = seq.max(most_rows(model).min(items.saturating_mul(seq)));
    let [one, two] =
        [1, 2].map(|hands| Workspace::most_shared_bytes(model.config(), rows, rows, hands));
    two - one
}

/// A limit on memory, and the amount in use. Clones share both.
///
/// Whatever allocates memory that grows with the input asks first, and keeps the [`Held`] as long as the memory is in use:
///
/// ```
/// use layerwise_sweep::Budget;
///
/// let budget = Budget::new(Some(1000));
/// let held = budget.hold("numbers", 800)?;
/// let numbers = vec![0_u64; 100];
/// assert!(budget.hold("more numbers", 800).is_err());
/// drop((numbers, held));
/// assert_eq!((budget.left(), budget.most()), (Some(1000), 800));
/// # Ok::<(), layerwise_sweep::SweepError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Budget {
    /// In bytes; `None` if there is no limit.
    limit: Option<u64>,
    held: Arc<AtomicU64>,
    most: Arc<AtomicU64>,
}

impl Budget {
    /// A budget of `limit` bytes; `None` means no limit.
    pub fn new(limit: Option<u64>) -> Self {
        Self {
            limit,
            held: Arc::default(),
            most: Arc::default(),
        }
    }

    /// The largest number of bytes in use at one time.
    pub fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }

    /// The number of bytes left; `None` if there is no limit.
    pub fn left(&self) -> Option<u64> {
        let held = self.held.load(Ordering::Relaxed);
        self.limit.map(|limit| limit.saturating_sub(held))
    }

    /// Takes bytes until the returned value is dropped.
    ///
    /// # Errors
    /// [`SweepError::Memory`] if too few bytes are left; it says how many would be needed in all.
    pub fn hold(&self, what: &str, bytes: u64) -> Result<Held, SweepError> {
        let mut held = Held {
            budget: self.clone(),
            bytes: 0,
        };
        held.grow(what, bytes)?;
        Ok(held)
    }

    /// Refuses a need that exceeds the bytes left, without taking any.
    ///
    /// # Errors
    /// As [`Budget::hold`].
    pub fn check(&self, what: &str, bytes: u64) -> Result<(), SweepError> {
        self.hold(what, bytes).map(drop)
    }
}

/// Memory that a [`Budget`] counts until this value is dropped.
#[derive(Debug)]
pub struct Held {
    budget: Budget,
    bytes: u64,
}

impl Held {
    /// Takes more bytes.
    ///
    /// # Errors
    /// As [`Budget::hold`]; the bytes held before are then still held.
    pub fn grow(&mut self, what: &str, bytes: u64) -> Result<(), SweepError> {
        let Budget { limit, held, most } = &self.budget;
        let more = |held: u64| {
            let needed = held.checked_add(bytes)?;
            limit.is_none_or(|limit| needed <= limit).then_some(needed)
        };
        match held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(before) => {
                most.fetch_max(before + bytes, Ordering::Relaxed);
                self.bytes += bytes;
                Ok(())
            }
            Err(held) => Err(SweepError::Memory {
                what: what.to_owned(),
                needed: held.saturating_add(bytes),
                limit: limit.unwrap_or(u64::MAX),
            }),
        }
    }

    /// Returns all but `bytes` bytes.
    pub fn shrink_to(&mut self, bytes: u64) {
        let back = self.bytes.saturating_sub(bytes);
        self.bytes -= back;
        self.budget.held.fetch_sub(back, Ordering::Relaxed);
    }

    /// Counts the bytes as long as any clone of the budget exists, as for a model's weights.
    pub fn forever(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

/// A value, and the memory that a budget counts for it.
#[derive(Clone, Debug)]
pub struct Counted<T> {
    value: T,
    memory: Arc<Held>,
}

impl<T> Counted<T> {
    /// Ties a value to the memory that it takes.
    pub fn new(value: T, memory: impl Into<Arc<Held>>) -> Self {
        Self {
            value,
            memory: memory.into(),
        }
    }

    /// The value, and its memory, which must be kept as long as the value is.
    pub fn into_parts(self) -> (T, Arc<Held>) {
        (self.value, self.memory)
    }
}

impl<T> Deref for Counted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_what_it_needs() {
        let budget = Budget::new(Some(10 << 20));
        budget.check("a", 10 << 20).unwrap();
        let mut held = budget.hold("a", 4 << 20).unwrap();
        budget.check("a", 6 << 20).unwrap();
        let message = budget.check("a", 7 << 20).unwrap_err().to_string();
        let expected = "a: needs 11 MiB of memory, but only 10 MiB is available";
        assert_eq!(message, expected);
        // Nothing overflows.
        budget.check("a", u64::MAX).unwrap_err();
        assert_eq!(budget.left(), Some(6 << 20));
        // A refused request takes nothing, and returned bytes can be taken again by any clone.
        held.grow("a", 7 << 20).unwrap_err();
        held.grow("a", 6 << 20).unwrap();
        assert_eq!(budget.clone().left(), Some(0));
        held.shrink_to(1 << 20);
        assert_eq!(budget.left(), Some(9 << 20));
        let counted = Counted::new(7, held);
        let (value, memory) = counted.clone().into_parts();
        drop(counted);
        assert_eq!((value, budget.left()), (7, Some(9 << 20)));
        drop(memory);
        assert_eq!(budget.left(), Some(10 << 20));
        budget.hold("a", 3 << 20).unwrap().forever();
        assert_eq!(budget.left(), Some(7 << 20));
        Budget::new(None).check("a", u64::MAX).unwrap();
    }
}
