//! Ctrl-C: the first finishes what is in hand, the second ends the program.

use crate::output;
use crate::progress::TERMINAL;
use anyhow::Context;
use indicatif::HumanDuration;
use layerwise::rescoring::RescoringError;
use layerwise::sweep::SweepError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What the program exits with after an interrupt, as a shell would say it.
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

/// Makes Ctrl-C set [`STOP`], and tells the user what becomes of finished work, by whether it is kept.
///
/// # Errors
/// The system refuses the handler.
pub fn watch(kept: bool) -> anyhow::Result<()> {
    ctrlc::set_handler(move || {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(EXIT_CODE.into());
        }
        // The terminal has put `^C` on the line.
        output::say("");
        let takes = match TERMINAL.in_hand() {
            Some(takes) => {
                let takes = HumanDuration(takes.max(Duration::from_secs(1)));
                format!(", which takes up to about {takes}")
            }
            None => String::new(),
        };
        let becomes = match kept {
            true => "what is finished is kept",
            false => "nothing is kept without --out",
        };
        output::say(format_args!(
            "finishing what is in hand{takes}; Ctrl-C again ends at once ({becomes})"
        ));
    })
    .context("Ctrl-C cannot be watched")
}
