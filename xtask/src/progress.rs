//! Progress of a run, on the terminal.

use crate::output;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use layerwise::sweep::{Begun, Progress};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The bar of the current run; there is one at a time.
pub static TERMINAL: Terminal = Terminal(Mutex::new(State {
    passes: None,
    running: None,
}));

/// The interval between updates of the bar.
const TOLD_EVERY: Duration = Duration::from_millis(500);

/// A bar over equal units, on standard error; draws nothing if standard error is not a terminal.
pub fn bar(subject: &str, units: &str, all: u64) -> ProgressBar {
    bar_with("{per_sec}, {eta} left", subject, units, all)
}

fn bar_with(ending: &str, subject: &str, units: &str, all: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!(
        "{{prefix}} {{wide_bar}} {{pos}}/{{len}} {units}, {ending}",
    ));
    let bar = ProgressBar::new(all).with_prefix(output::plain(subject));
    bar.enable_steady_tick(Duration::from_secs(1));
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// One pass of a command over a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    /// The experiments that need it, by the names that `list` shows, and the model.
    pub name: String,
    /// Its approximate multiply-adds; 0 if they are not known in advance.
    pub work: f64,
}

/// The passes of a command, and how far they are.
#[derive(Debug, Default)]
struct Passes {
    all: Vec<Pass>,
    /// The number of passes that have begun.
    begun: usize,
    /// The finished fraction of the current pass, 0 to 1, and the fraction that this process did.
    part: f64,
    done_of_part: f64,
    /// The work that this process did in earlier passes.
    done: f64,
    since: Option<Instant>,
}

impl Passes {
    /// The current pass; `None` before the first, or for a command without passes.
    fn current(&self) -> Option<&Pass> {
        self.all.get(self.begun.checked_sub(1)?)
    }

    /// Begins the next pass.
    fn next(&mut self, now: Instant) {
        if let Some(work) = self.current().map(|pass| pass.work) {
            self.done += work * self.done_of_part;
        }
        self.begun += 1;
        (self.part, self.done_of_part) = (0.0, 0.0);
        self.since.get_or_insert(now);
    }

    /// Records that a fraction of the current pass is finished, and what this process did of it.
    fn advance(&mut self, part: f64, did: f64) {
        // If a pass consists of several runs, each begins at 0 again; the last is the longest.
        (self.part, self.done_of_part) = (part, did);
    }

    /// The approximate time left for all passes, at the rate so far; `None` if nothing is done.
    fn left(&self, now: Instant) -> Option<Duration> {
        let current = self.current()?.work;
        let done = self.done + current * self.done_of_part;
        let after: f64 = self.all[self.begun..].iter().map(|pass| pass.work).sum();
        let left = after + current * (1.0 - self.part);
        let elapsed = now.duration_since(self.since?).as_secs_f64();
        Duration::try_from_secs_f64(elapsed * left / done).ok()
    }
}

/// A progress bar on standard error; draws nothing if standard error is not a terminal.
///
/// Reports what an earlier run has finished and, after the first item, how long the others will take.
pub struct Terminal(Mutex<State>);

struct State {
    passes: Option<Passes>,
    running: Option<Running>,
}

struct Running {
    bar: ProgressBar,
    start: Instant,
    /// The name of the first item, with the model's; `None` once it is finished, or if nothing is reported.
    first: Option<String>,
    others: String,
    weight: usize,
    at_once: usize,
    in_hand: f64,
    finished_weight: usize,
    /// The work that the engine has done, in items, including parts of unfinished items.
    advanced: f64,
    told: Option<Instant>,
    /// The fraction of the run's items that an earlier run finished.
    resumed: f64,
}

impl Running {
    /// The finished fraction of the items that were left.
    fn part(&self) -> f64 {
        let finished = self.finished_weight as f64 / self.weight.max(1) as f64;
        finished.max(self.advanced).min(1.0)
    }

    /// The time left for this run, at the rate so far; `None` if nothing is done.
    fn left(&self, now: Instant) -> Option<Duration> {
        let part = self.part();
        let elapsed = now.duration_since(self.start).as_secs_f64();
        Duration::try_from_secs_f64(elapsed * (1.0 - part) / part).ok()
    }
}

impl State {
    /// Moves the bar, and shows the time left for the run and for all passes.
    fn tell(&mut self) {
        let Some(running) = &mut self.running else {
            return;
        };
        let (now, part) = (Instant::now(), running.part());
        running.told = Some(now);
        let own = (1.0 - running.resumed) * part;
        let mut left: Vec<String> = running
            .left(now)
            .map(|left| format!("{} left", HumanDuration(left)))
            .into_iter()
            .collect();
        if let Some(passes) = &mut self.passes {
            passes.advance(running.resumed + own, own);
            let all = passes.left(now).filter(|_| passes.all.len() > 1);
            left.extend(all.map(|left| format!("{} for all", HumanDuration(left))));
        }
        let at = part * running.weight as f64;
        running.bar.set_position(at as u64);
        running.bar.set_message(left.join(", "));
    }
}

impl Terminal {
    /// Sets the passes of a command, in order.
    pub fn plan(&self, passes: Vec<Pass>) {
        self.lock().passes = Some(Passes {
            all: passes,
            ..Passes::default()
        });
    }

    /// Begins the next pass of the plan.
    pub fn next_pass(&self) {
        if let Some(passes) = &mut self.lock().passes {
            passes.next(Instant::now());
        }
    }

    /// The longest time, about, until the run notices a stop; `None` if nothing runs, or nothing is done yet.
    pub fn in_hand(&self) -> Option<Duration> {
        let state = self.lock();
        let running = state.running.as_ref()?;
        let all = running.start.elapsed().as_secs_f64() / running.part();
        Duration::try_from_secs_f64(all * running.in_hand).ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Terminal {
    fn begin(&self, run: &Begun<'_>) {
        if let Some(path) = run.torn {
            output::say(format_args!(
                "{}: the last line was cut off; it is computed again",
                path.display()
            ));
        }
        if run.resumed > 0 {
            output::say(format_args!(
                "{}: {} {} were finished by an earlier run",
                run.subject, run.resumed, run.units
            ));
        }
        if run.in_part > 0 {
            output::say(format_args!(
                "{}: of {} more, some schedules were",
                run.subject, run.in_part
            ));
        }
        let units = if run.weight > run.items {
            "tokens"
        } else {
            "items"
        };
        let most = if run.has_target { "at most " } else { "" };
        let mut state = self.lock();
        let pass = state.passes.as_ref().and_then(|passes| {
            let pass = passes.current()?;
            Some(format!(
                "{}/{} {}",
                passes.begun,
                passes.all.len(),
                pass.name
            ))
        });
        let all = run.items + run.resumed;
        state.running = Some(Running {
            bar: bar_with(
                "{msg}",
                pass.as_deref().unwrap_or(run.subject),
                units,
                run.weight as u64,
            ),
            start: Instant::now(),
            first: (run.is_keepable && run.items > 1)
                .then(|| format!("{}: the first {}", run.subject, run.unit)),
            others: format!("{most}{}", run.items.saturating_sub(1)),
            weight: run.weight,
            at_once: run.at_once,
            in_hand: run.in_hand,
            finished_weight: 0,
            advanced: 0.0,
            told: None,
            resumed: run.resumed as f64 / all.max(1) as f64,
        });
        if run.items == 0
            && let Some(passes) = &mut state.passes
        {
            passes.advance(1.0, 0.0);
        }
    }

    fn finished(&self, weight: usize) {
        let mut state = self.lock();
        if let Some(running) = &mut state.running {
            running.finished_weight += weight;
        }
        state.tell();
        let State { passes, running } = &mut *state;
        let Some(running) = running else {
            return;
        };
        if let Some(first) = running.first.take() {
            let took = running.start.elapsed();
            // Assumes that the other workers are equally far.
            let rest = (running.weight - weight) as f64 / weight as f64 / running.at_once as f64;
            let left = match running.advanced > 0.0 {
                true => running.left(Instant::now()).unwrap_or_default(),
                false => took.mul_f64(rest),
            };
            let all = passes.as_ref().and_then(|passes| {
                let (pass, left) = (passes.current()?, passes.left(Instant::now())?);
                let (at, count, name) = (passes.begun, passes.all.len(), &pass.name);
                let left = HumanDuration(left);
                Some(format!(
                    "; pass {at} of {count} ({name}), about {left} left for all"
                ))
            });
            let all = all.unwrap_or_default();
            running.bar.suspend(|| {
                output::say(format_args!(
                    "{first} took {:.1} s; about {} left for {} more{all}",
                    took.as_secs_f64(),
                    HumanDuration(left),
                    running.others
                ));
            });
        }
    }

    fn advanced(&self, part: f64) {
        let mut state = self.lock();
        let Some(running) = &mut state.running else {
            return;
        };
        running.advanced += part;
        if running.told.is_none_or(|told| told.elapsed() > TOLD_EVERY) {
            state.tell();
        }
    }

    fn end(&self) {
        if let Some(running) = self.lock().running.take() {
            running.bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_that_of_the_work_left_at_the_rate_of_what_was_done() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let pass = |work: f64| Pass {
            name: String::new(),
            work,
        };
        let mut passes = Passes {
            all: [100.0, 0.0, 300.0].map(pass).to_vec(),
            ..Passes::default()
        };
        assert_eq!(passes.left(at(0)), None);
        passes.next(at(0));
        assert_eq!(passes.left(at(5)), None);
        passes.advance(0.5, 0.5);
        // 50 took 5 seconds; 350 are left.
        assert_eq!(passes.left(at(5)), Some(Duration::from_secs(35)));
        passes.advance(1.0, 1.0);
        // Another run of the same pass has finished, too.
        passes.advance(0.0, 0.0);
        assert_eq!(passes.left(at(10)), None);
        passes.advance(1.0, 1.0);
        passes.next(at(10));
        passes.next(at(20));
        assert_eq!(passes.left(at(20)), Some(Duration::from_secs(60)));
        // An earlier run had done two thirds: they are not left, and do not count for the rate.
        passes.advance(2.0 / 3.0, 0.0);
        assert_eq!(passes.left(at(20)), Some(Duration::from_secs(20)));
    }
}
