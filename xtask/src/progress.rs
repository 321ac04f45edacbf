//! How far a run is, on the terminal.

use crate::output;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use layerwise::sweep::{Begun, Progress};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The bar of the run that is under way; there is one at a time.
pub static TERMINAL: Terminal = Terminal(Mutex::new(State {
    passes: None,
    running: None,
}));

/// How often the bar is told how far a run is.
const TOLD_EVERY: Duration = Duration::from_millis(500);

/// A bar of so many units that come one like another, on standard error; nothing is drawn where that is not a terminal.
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
    /// The experiments that it is made for, by the names that `list` shows, and the model.
    pub name: String,
    /// Its multiply-adds, about; 0 where they are not known before.
    pub work: f64,
}

/// The passes of a command, and how far they are.
#[derive(Debug, Default)]
struct Passes {
    all: Vec<Pass>,
    /// Passes that have begun.
    begun: usize,
    /// The part of the pass under way that is finished, 0 to 1, and what of it this process did.
    part: f64,
    done_of_part: f64,
    /// What this process did of the passes before.
    done: f64,
    since: Option<Instant>,
}

impl Passes {
    /// The pass under way; none before the first, or for a command that has no passes.
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

    /// A part of the pass under way is finished; this process did some of that.
    fn advance(&mut self, part: f64, did: f64) {
        // Where a pass consists of several runs, the last is the longest: each begins at 0 again.
        (self.part, self.done_of_part) = (part, did);
    }

    /// About how long all passes will still take, at the rate of what is done; `None` where nothing is.
    fn left(&self, now: Instant) -> Option<Duration> {
        let current = self.current()?.work;
        let done = self.done + current * self.done_of_part;
        let after: f64 = self.all[self.begun..].iter().map(|pass| pass.work).sum();
        let left = after + current * (1.0 - self.part);
        let elapsed = now.duration_since(self.since?).as_secs_f64();
        Duration::try_from_secs_f64(elapsed * left / done).ok()
    }
}

/// A progress bar on standard error; nothing is drawn where that is not a terminal.
///
/// What an earlier run has left is told, and when the first item is finished, how long the others will take.
pub struct Terminal(Mutex<State>);

struct State {
    passes: Option<Passes>,
    running: Option<Running>,
}

struct Running {
    bar: ProgressBar,
    start: Instant,
    /// What the first item is called, with the model's name; `None` once it is finished, or where nothing is told.
    first: Option<String>,
    others: String,
    weight: usize,
    at_once: usize,
    in_hand: f64,
    finished_weight: usize,
    /// What part of the run the engine has done, in items that need not be finished.
    advanced: f64,
    told: Option<Instant>,
    /// The part of the run's items that an earlier run had finished.
    resumed: f64,
}

impl Running {
    /// What part of the items that were left is done.
    fn part(&self) -> f64 {
        let finished = self.finished_weight as f64 / self.weight.max(1) as f64;
        finished.max(self.advanced).min(1.0)
    }

    /// How long the rest will take, at the rate of what is done; `None` where nothing is.
    fn left(&self, now: Instant) -> Option<Duration> {
        let part = self.part();
        let elapsed = now.duration_since(self.start).as_secs_f64();
        Duration::try_from_secs_f64(elapsed * (1.0 - part) / part).ok()
    }
}

impl State {
    /// Moves the bar to what is done, and says how long the run and all passes will still take.
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
    /// Says which passes a command makes, in their order.
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

    /// About how long it takes at most until a stop is noticed; `None` where nothing runs, or nothing is done yet.
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
                "{}: the last line was cut off and is computed again",
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
            // Others that are under way are as far.
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
        // Another run of the same pass, which is finished too.
        passes.advance(0.0, 0.0);
        assert_eq!(passes.left(at(10)), None);
        passes.advance(1.0, 1.0);
        passes.next(at(10));
        passes.next(at(20));
        assert_eq!(passes.left(at(20)), Some(Duration::from_secs(60)));
        // Two thirds were there before: they are not left, and tell nothing of the rate.
        passes.advance(2.0 / 3.0, 0.0);
        assert_eq!(passes.left(at(20)), Some(Duration::from_secs(20)));
    }
}
