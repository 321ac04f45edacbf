//! Ctrl-C: the first finishes work in progress, or gives it up if it takes long; the second ends the program.

use crate::output;
use crate::progress::TERMINAL;
use anyhow::Context;
use indicatif::HumanDuration;
use layerwise::rescoring::RescoringError;
use layerwise::sweep::SweepError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// The exit code after an interrupt, as shells use it.
pub const EXIT_CODE: u8 = 130;

/// Set by the first Ctrl-C.
pub static STOP: AtomicBool = AtomicBool::new(false);

/// Set some time after the first Ctrl-C, if the program has not ended by then.
pub static GIVE_UP: AtomicBool = AtomicBool::new(false);

/// This time. Together with the longest piece of work of a model of 135 million weights it is less than 10 seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a command ended because of Ctrl-C.
pub fn is_cause_of(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let sweep = cause.downcast_ref();
        let rescoring = cause.downcast_ref();
        matches!(
            sweep,
            Some(SweepError::Interrupted { .. } | SweepError::GivenUp)
        ) || matches!(rescoring, Some(RescoringError::Interrupted { .. }))
    })
}

/// Whether work between and after runs goes on.
///
/// # Errors
/// [`SweepError::GivenUp`] some time after the first Ctrl-C.
pub fn go_on() -> Result<(), SweepError> {
    match GIVE_UP.load(Ordering::Relaxed) {
        true => Err(SweepError::GivenUp),
        false => Ok(()),
    }
}

/// What becomes of finished work in a command that keeps it.
pub const KEPT: &str = "finished work is kept";

/// What becomes of finished work in a command that keeps none.
pub const LOST: &str = "nothing is kept";

/// What becomes of finished work in a command that keeps it beside its `--out`, if that is given.
pub fn beside_out(is_given: bool) -> &'static str {
    match is_given {
        true => KEPT,
        false => "nothing is kept without --out",
    }
}

/// Makes Ctrl-C set [`STOP`] and then [`GIVE_UP`], and tells the user what becomes of finished work.
///
/// # Errors
/// The system refuses the signal handler.
pub fn watch(becomes: &'static str) -> anyhow::Result<()> {
    ctrlc::set_handler(move || {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(EXIT_CODE.into());
        }
        // The terminal has printed `^C` on this line.
        output::say("");
        let takes = match TERMINAL.in_hand() {
            Some(takes) => {
                let takes = HumanDuration(takes.max(Duration::from_secs(1)));
                format!(", which takes up to about {takes}")
            }
            None => String::new(),
        };
        output::say(format_args!(
            "finishing work in progress{takes}; what takes longer than {} seconds is given up; Ctrl-C again ends at once \
             ({becomes})",
            PATIENCE.as_secs()
        ));
        let give_up = || {
            thread::sleep(PATIENCE);
            GIVE_UP.store(true, Ordering::Relaxed);
        };
        if thread::Builder::new().spawn(give_up).is_err() {
            GIVE_UP.store(true, Ordering::Relaxed);
        }
    })
    .context("the handler for Ctrl-C cannot be installed")
}
