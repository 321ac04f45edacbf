//! Threads that share short pieces of work, too short to start threads for each.
#![allow(
    unsafe_code,
    reason = "threads outlive the borrows of the work that they run"
)]

use std::cell::UnsafeCell;
use std::fmt;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread::{self, JoinHandle, Thread};

/// How often a thread polls for work, or for the end of the others' work, before it sleeps: some ten microseconds. The products
/// of a token follow each other faster than a sleeping thread wakes up.
const SPINS: u32 = 1 << 10;

/// The calling thread, and threads that wait for its work.
///
/// If the result of [`Team::share`] does not depend on which thread runs which part, it does not depend on the number of threads
/// either.
pub struct Team {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held by the thread that gives the workers a round of work.
    turn: Mutex<()>,
}

struct Shared {
    /// Counts the rounds; each begins with a new number.
    round: AtomicUsize,
    /// Workers that have not finished the round.
    left: AtomicUsize,
    has_panicked: AtomicBool,
    has_ended: AtomicBool,
    /// Written only between two rounds, when no worker reads it.
    work: UnsafeCell<Option<Work>>,
}

/// The work of a round, called with the number of the thread, and the thread that waits for its end.
struct Work {
    run: *const (dyn Fn(usize) + Sync),
    caller: Thread,
}

// SAFETY: `round` and `left` order every access to `work`: the caller writes it before it begins a round, and again only after
// all workers have finished that round. `run` points to a `Sync` value that outlives the round.
unsafe impl Sync for Shared {}
// SAFETY: as above; nothing in it belongs to the thread that made it.
unsafe impl Send for Shared {}

impl Team {
    /// The calling thread and `threads − 1` further threads, or as many as the system starts.
    pub fn new(threads: NonZeroUsize) -> Self {
        let shared = Arc::new(Shared {
            round: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
            has_panicked: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            work: UnsafeCell::new(None),
        });
        let worker = |number| {
            let shared = Arc::clone(&shared);
            let thread = thread::Builder::new().spawn(move || shared.serve(number));
            thread.ok()
        };
        Self {
            workers: (1..threads.get()).map_while(worker).collect(),
            shared,
            turn: Mutex::new(()),
        }
    }

    /// The calling thread alone.
    pub fn alone() -> Self {
        Self::new(NonZeroUsize::MIN)
    }

    /// The number of threads, including the caller.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Runs `work` on every part. Each thread takes one of `tools`, and then part after part until none is left; no more threads
    /// work than there are tools.
    ///
    /// While the team works for another thread, the caller runs all parts by itself.
    ///
    /// # Panics
    /// If there is no tool, or the work panics on any thread.
    ///
    /// ```
    /// use layerwise_kernels::team::Team;
    ///
    /// let team = Team::new(2.try_into()?);
    /// let mut squares = [1, 2, 3, 4, 5];
    /// team.share(&mut [(), ()], squares.iter_mut(), |(), square| *square *= *square);
    /// assert_eq!(squares, [1, 4, 9, 16, 25]);
    /// # Ok::<(), std::num::TryFromIntError>(())
    /// ```
    pub fn share<R: Send, T: Send>(
        &self,
        tools: &mut [R],
        parts: impl IntoIterator<Item = T>,
        work: impl Fn(&mut R, T) + Sync,
    ) {
        assert!(!tools.is_empty(), "there is a tool for the caller");
        let mut parts = parts.into_iter();
        if self.workers.is_empty() || tools.len() == 1 {
            let tool = &mut tools[0];
            return parts.for_each(|part| work(tool, part));
        }
        let parts: Vec<Mutex<Option<T>>> =
            parts.by_ref().map(|part| Mutex::new(Some(part))).collect();
        let tools: Vec<Mutex<&mut R>> = tools.iter_mut().map(Mutex::new).collect();
        let next = AtomicUsize::new(0);
        self.run(&|thread| {
            let Some(tool) = tools.get(thread) else {
                return;
            };
            // `run` reports a panic; the half-done results of a part that panicked are not read.
            let mut tool = tool.lock().unwrap_or_else(PoisonError::into_inner);
            while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                let part = part.lock().unwrap_or_else(PoisonError::into_inner).take();
                work(&mut tool, part.expect("each part is taken once"));
            }
        });
    }

    /// Runs `work` on every thread, with its number, and waits for all.
    fn run(&self, work: &(dyn Fn(usize) + Sync)) {
        let _turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
            Err(TryLockError::WouldBlock) => return work(0),
        };
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes. The workers call it in this round alone, and `run` neither returns nor unwinds
        // before all have finished the round.
        let run = unsafe {
            std::mem::transmute::<*const (dyn Fn(usize) + Sync), *const (dyn Fn(usize) + Sync)>(
                work,
            )
        };
        let caller = thread::current();
        // SAFETY: no round is in progress, so no worker reads it, and `turn` keeps other callers away.
        unsafe { *shared.work.get() = Some(Work { run, caller }) };
        shared.left.store(self.workers.len(), Ordering::Relaxed);
        shared.round.fetch_add(1, Ordering::Release);
        for worker in &self.workers {
            worker.thread().unpark();
        }
        let own = catch_unwind(AssertUnwindSafe(|| work(0)));
        wait_until(|| shared.left.load(Ordering::Acquire) == 0);
        let has_panicked = shared.has_panicked.swap(false, Ordering::Relaxed);
        if let Err(panic) = own {
            resume_unwind(panic);
        }
        assert!(!has_panicked, "a thread of the team panicked");
    }
}

impl Shared {
    /// A worker's loop: waits for rounds and does its part of each.
    fn serve(&self, number: usize) {
        let mut seen = 0;
        loop {
            wait_until(|| self.round.load(Ordering::Acquire) != seen);
            seen = seen.wrapping_add(1);
            if self.has_ended.load(Ordering::Relaxed) {
                return;
            }
            // SAFETY: a round is in progress, so nobody writes it until this worker has finished.
            let work = unsafe { (*self.work.get()).as_ref() }.expect("a round has work");
            let caller = work.caller.clone();
            // SAFETY: the caller waits for the end of the round before the borrowed work is dropped.
            let run = unsafe { &*work.run };
            if catch_unwind(AssertUnwindSafe(|| run(number))).is_err() {
                self.has_panicked.store(true, Ordering::Relaxed);
            }
            if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
                caller.unpark();
            }
        }
    }
}

/// The thread that makes the condition true unparks the waiting thread.
fn wait_until(is_true: impl Fn() -> bool) {
    for _ in 0..SPINS {
        if is_true() {
            return;
        }
        std::hint::spin_loop();
    }
    while !is_true() {
        thread::park();
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::Relaxed);
        self.shared.round.fetch_add(1, Ordering::Release);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker catches panics of its work.
            let _ = worker.join();
        }
    }
}

impl fmt::Debug for Team {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Team");
        shown.field("threads", &self.threads()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team(threads: usize) -> Team {
        Team::new(NonZeroUsize::new(threads).unwrap())
    }

    #[test]
    fn every_part_is_done_once() {
        for threads in [1, 2, 3, 7] {
            let team = team(threads);
            assert_eq!(team.threads(), threads);
            for parts in [0, 1, 2, 5, 100] {
                for tools in [1, 2, 9] {
                    let mut counts = vec![0; parts];
                    let mut done = vec![0; tools];
                    team.share(&mut done, counts.iter_mut(), |done, count| {
                        *count += 1;
                        *done += 1;
                    });
                    assert!(counts.iter().all(|count| *count == 1));
                    assert_eq!(done.iter().sum::<usize>(), parts);
                }
            }
        }
    }

    /// The pauses between rounds are long enough for the workers to sleep.
    #[test]
    fn sleeping_threads_wake_up() {
        let team = team(3);
        for pause in [0, 20, 0, 20] {
            thread::sleep(std::time::Duration::from_millis(pause));
            let sum = AtomicUsize::new(0);
            team.share(&mut [(); 3], 1..=100, |(), part| {
                sum.fetch_add(part, Ordering::Relaxed);
            });
            assert_eq!(sum.into_inner(), 5050);
        }
    }

    #[test]
    fn a_busy_team_leaves_the_work_to_the_caller() {
        let team = team(2);
        let sum = AtomicUsize::new(0);
        team.share(&mut [(); 2], 0..4, |(), outer| {
            team.share(&mut [(); 2], 0..4, |(), inner| {
                sum.fetch_add(outer * inner, Ordering::Relaxed);
            });
        });
        assert_eq!(sum.into_inner(), 36);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_ends_nothing() {
        let team = team(2);
        let share = |bad| {
            catch_unwind(AssertUnwindSafe(|| {
                team.share(&mut [(); 2], 0..8, |(), part| assert_ne!(part, bad));
            }))
        };
        for bad in 0..8 {
            assert!(share(bad).is_err(), "{bad}");
        }
        assert!(share(8).is_ok());
    }
}
