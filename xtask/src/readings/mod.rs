//! Readings: what the plain model does on text, recorded as lines of the figures' tables.
//!
//! A reading goes over sequences in any order and on any number of threads, and puts what it gathered together in
//! corpus order, so that the same inputs give the same bits.

pub mod altered;
pub mod collapse;
pub mod items;
pub mod notebook;
pub mod pairs;
pub mod plain;
pub mod scoring;
pub mod senses;
pub mod shift;
pub mod suffix;
pub mod weights;
pub mod words;

use crate::arguments::Run;
use crate::interrupt::{Interrupted, STOP};
use crate::measurement::progress;
use layerwise::sweep::SweepError;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The ending of tokens whose neurons are ranked and probed (B.10).
pub const ENDING: &str = "ing";

/// Runs `read` on every item, on the threads of the run, and returns what it gives in the order of the items. Nothing is
/// kept: what takes long is read through a [`notebook::Notebook`].
///
/// # Errors
/// The first error in the order of the items, or [`Interrupted`].
pub fn over<T: Sync, R: Send>(
    name: &str,
    items: &[T],
    run: &Run,
    read: impl Fn(usize, &T) -> anyhow::Result<R> + Sync,
) -> anyhow::Result<Vec<R>> {
    let bar = progress(name, items.len(), "items");
    let outcome = shared_out(items, run, |index, item| {
        let outcome = read(index, item);
        bar.inc(1);
        outcome
    });
    bar.finish_and_clear();
    let read = outcome?;
    if read.len() < items.len() {
        return Err(Interrupted {
            finished: 0,
            all: items.len(),
            unit: "items".to_owned(),
            kept: true,
        }
        .into());
    }
    Ok(read)
}

/// Runs `read` on the items, on the threads of the run, until an interrupt, and returns what it gave for those that were
/// begun, in their order.
fn shared_out<T: Sync, R: Send>(
    items: &[T],
    run: &Run,
    read: impl Fn(usize, &T) -> anyhow::Result<R> + Sync,
) -> anyhow::Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, anyhow::Result<R>)>> = Mutex::new(Vec::new());
    let workers = run.threads().get().min(items.len());
    let mut refused = None;
    std::thread::scope(|scope| {
        for started in 0..workers {
            let spawned = std::thread::Builder::new().spawn_scoped(scope, || {
                while !STOP.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    let outcome = read(index, item);
                    let failed = outcome.is_err();
                    done.lock()
                        .expect("no reading panics while it holds the lock")
                        .push((index, outcome));
                    if failed {
                        // No later item can matter; those in hand are finished.
                        next.store(items.len(), Ordering::Relaxed);
                    }
                }
            });
            if let Err(source) = spawned {
                next.store(items.len(), Ordering::Relaxed);
                refused = Some(SweepError::Threads {
                    expected: workers,
                    found: started,
                    source,
                });
                break;
            }
        }
    });
    if let Some(refused) = refused {
        return Err(refused.into());
    }
    let mut done = done.into_inner().expect("no reading panicked");
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}
