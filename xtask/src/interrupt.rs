//! Ctrl-C: the first finishes work in progress, the second ends the program.

use crate::output;
use crate::progress::TERMINAL;
use anyhow::Context;
use indicatif::HumanDuration;
use layerwise::rescoring::RescoringError;
use layerwise::sweep::SweepError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The exit code after an interrupt, as shells use it.
pub const EXIT_CODE: u8 = 130;

/// Set by the first Ctrl-C.
pub static STOP: AtomicBool = AtomicBool::new(false);

/// Whether a command ended because of Ctrl-C.
pub fn is_cause_of(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let sweep = cause.downcast_ref();
        let rescoring = cause.downcast_ref();
        matches!(sweep, Some(SweepError::Interrupted { .. }))
            || matches!(rescoring, Some(RescoringError::Interrupted { .. }))
    })
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

/// Makes Ctrl-C set [`STOP`], and tells the user what becomes of finished work.
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
            "finishing work in progress{takes}; Ctrl-C again ends at once ({becomes})"
        ));
    })
    .context("the handler for Ctrl-C cannot be installed")
}
