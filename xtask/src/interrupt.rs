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

/// Makes Ctrl-C set [`STOP`], and tells the user whether finished work is kept.
///
/// # Errors
/// The system refuses the signal handler.
pub fn watch(kept: bool) -> anyhow::Result<()> {
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
        let becomes = match kept {
            true => "finished work is kept",
            false => "nothing is kept without --out",
        };
        output::say(format_args!(
            "finishing work in progress{takes}; Ctrl-C again ends at once ({becomes})"
        ));
    })
    .context("the handler for Ctrl-C cannot be installed")
}
