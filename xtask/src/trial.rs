//! Estimates the time and memory of a run, from the first items of each of its measurements.

use crate::interrupt::{self, STOP};
use layerwise::journal::Shard;
use layerwise::sweep::{Begun, Budget, Progress};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A trial run: it ends each measurement after the first items, and keeps no results. Work whose results no journal could keep
/// runs whole: it is short, and says which items there are.
#[derive(Debug, Default)]
pub struct Trial {
    /// Whether to run items at all; the memory is known without.
    is_timed: bool,
    stop: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// When the measurement began, and its size unless all of it runs.
    running: Option<(Instant, Option<Weights>)>,
    foreseen: Foreseen,
}

/// The size of a measurement, reported as it begins.
#[derive(Clone, Copy, Debug)]
struct Weights {
    /// The weight of all items that the trial would run.
    all: usize,
    /// The number of items in progress at the same time.
    at_once: usize,
    /// The number of shares that divide the items; 1 if every share runs all.
    shares: u32,
}

/// The estimated cost of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Foreseen {
    /// The bound on memory, in bytes.
    pub bytes: u64,
    /// The time of all items that shares divide among them.
    divided: Duration,
    /// The further time of every share: items that all shares run, and the first item of each measurement, since two shares may
    /// differ by one item.
    each: Duration,
}

impl Foreseen {
    /// The time of one of `shares` shares; `None` if no item was timed.
    pub fn share(&self, shares: u32) -> Option<Duration> {
        let time = self.divided / shares.max(1) + self.each;
        (!time.is_zero()).then_some(time)
    }

    /// Adds a measurement whose first item, of this weight, took this long.
    fn add(&mut self, weights: Weights, first: usize, took: Duration) {
        let together = first.max(1) as f64 * weights.at_once.max(1) as f64;
        let all = took.mul_f64(weights.all as f64 / together);
        match weights.shares {
            1 => self.each += all,
            // The trial is one of the shares.
            shares => self.divided += all * shares,
        }
        self.each += took;
    }
}

impl Trial {
    /// A trial that runs first items, or one that only looks at memory.
    pub fn new(is_timed: bool) -> Self {
        Self {
            is_timed,
            ..Self::default()
        }
    }

    /// The share that the trial looks at; it skips what only a whole run does.
    pub fn share() -> Shard {
        "1/2".parse().unwrap_or_default()
    }

    /// The signal that ends a measurement.
    pub fn stop(&self) -> &AtomicBool {
        &self.stop
    }

    /// Treats a measurement that the trial ended as a success.
    ///
    /// # Errors
    /// Any other error, including Ctrl-C.
    pub fn saw<T>(&self, outcome: anyhow::Result<T>) -> anyhow::Result<()> {
        match outcome {
            Err(error) if interrupt::is_cause_of(&error) && !STOP.load(Ordering::Relaxed) => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// Records the memory that models and runs held.
    pub fn held(&self, budget: &Budget) {
        let mut seen = self.lock();
        seen.foreseen.bytes = seen.foreseen.bytes.max(budget.most());
    }

    /// The estimated cost.
    pub fn foreseen(&self) -> Foreseen {
        self.lock().foreseen
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Trial {
    fn begin(&self, run: &Begun<'_>) {
        let ended = (run.is_keepable && !self.is_timed) || STOP.load(Ordering::Relaxed);
        self.stop.store(ended, Ordering::Relaxed);
        let weights = run.is_keepable.then_some(Weights {
            all: run.weight,
            at_once: run.at_once,
            shares: run.shares,
        });
        self.lock().running = Some((Instant::now(), weights));
    }

    fn finished(&self, weight: usize) {
        let mut seen = self.lock();
        match seen.running {
            Some((_, None)) => self
                .stop
                .store(STOP.load(Ordering::Relaxed), Ordering::Relaxed),
            Some((start, Some(weights))) => {
                self.stop.store(true, Ordering::Relaxed);
                seen.foreseen.add(weights, weight, start.elapsed());
                seen.running = None;
            }
            None => {}
        }
    }

    fn end(&self) {
        let mut seen = self.lock();
        if let Some((start, None)) = seen.running.take() {
            seen.foreseen.each += start.elapsed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_take_their_part_and_a_first_item_more() {
        let mut foreseen = Foreseen::default();
        assert_eq!(foreseen.share(4), None);
        let mut check = |weights: Weights, first: usize, seconds: u64| {
            foreseen.add(weights, first, Duration::from_secs(4));
            assert_eq!(foreseen.share(4), Some(Duration::from_secs(seconds)));
        };
        let weights = Weights {
            all: 600,
            at_once: 2,
            shares: 2,
        };
        // Half of the run has six such items, two at a time: 24 seconds to divide among shares.
        check(weights, 100, 10);
        check(weights, 300, 16);
        // Every share runs all of these.
        let whole = Weights {
            shares: 1,
            ..weights
        };
        check(whole, 300, 24);
    }
}
