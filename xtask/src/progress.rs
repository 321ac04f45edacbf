//! How far a run is, on the terminal.

use crate::output;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use layerwise::sweep::{Begun, Progress};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The bar of the run that is under way; there is one at a time.
pub static TERMINAL: Terminal = Terminal(Mutex::new(None));

/// A bar of so many units, on standard error; nothing is drawn where that is not a terminal.
pub fn bar(subject: &str, units: &str, all: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!(
        "{{prefix}} {{wide_bar}} {{pos}}/{{len}} {units}, {{per_sec}}, {{eta}} left",
    ));
    let bar = ProgressBar::new(all).with_prefix(output::plain(subject));
    bar.enable_steady_tick(Duration::from_secs(1));
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A progress bar on standard error; nothing is drawn where that is not a terminal.
///
/// What an earlier run has left is told, and when the first item is finished, how long the others will take.
pub struct Terminal(Mutex<Option<Running>>);

struct Running {
    bar: ProgressBar,
    start: Instant,
    /// What the first item is called, with the model's name; `None` once it is finished, or where nothing is told.
    first: Option<String>,
    others: String,
    weight: usize,
    at_once: usize,
    finished: usize,
}

impl Terminal {
    /// About how long the items under way take, as others did; `None` where nothing runs, or nothing is finished yet.
    pub fn in_hand(&self) -> Option<Duration> {
        let running = self.lock();
        let running = running.as_ref().filter(|running| running.finished > 0)?;
        let groups = running.finished as f64 / running.at_once as f64;
        Some(running.start.elapsed().div_f64(groups))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
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
        let units = if run.weight > run.items {
            "tokens"
        } else {
            "items"
        };
        let most = if run.has_target { "at most " } else { "" };
        *self.lock() = Some(Running {
            bar: bar(run.subject, units, run.weight as u64),
            start: Instant::now(),
            first: (run.is_keepable && run.items > 1)
                .then(|| format!("{}: the first {}", run.subject, run.unit)),
            others: format!("{most}{}", run.items.saturating_sub(1)),
            weight: run.weight,
            at_once: run.at_once,
            finished: 0,
        });
    }

    fn finished(&self, weight: usize) {
        let mut running = self.lock();
        let Some(running) = running.as_mut() else {
            return;
        };
        running.bar.inc(weight as u64);
        running.finished += 1;
        if let Some(first) = running.first.take() {
            let took = running.start.elapsed();
            // Others that are under way are as far.
            let rest = (running.weight - weight) as f64 / weight as f64 / running.at_once as f64;
            let left = took.mul_f64(rest);
            running.bar.suspend(|| {
                output::say(format_args!(
                    "{first} took {:.1} s; about {} left for {} more",
                    took.as_secs_f64(),
                    HumanDuration(left),
                    running.others
                ));
            });
        }
    }

    fn end(&self) {
        if let Some(running) = self.lock().take() {
            running.bar.finish_and_clear();
        }
    }
}
