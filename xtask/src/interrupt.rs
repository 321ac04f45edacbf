//! Ctrl-C: the first finishes what is in hand, the second ends the program.

use crate::output;
use anyhow::Context;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the program exits with after an interrupt, as a shell would say it.
pub const EXIT_CODE: u8 = 130;

/// Set by the first Ctrl-C.
pub static STOP: AtomicBool = AtomicBool::new(false);

/// The run was interrupted with work left to do.
#[derive(Debug, thiserror::Error)]
#[error(
    "interrupted: {finished} of {all} {unit} are finished and kept; the same command goes on from there"
)]
pub struct Interrupted {
    /// Units of work whose results are on disk.
    pub finished: usize,
    /// Units of the run.
    pub all: usize,
    /// What they are, as `sequences`.
    pub unit: String,
}

/// Makes Ctrl-C set [`STOP`].
///
/// # Errors
/// The system refuses the handler.
pub fn watch() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(EXIT_CODE.into());
        }
        // The terminal has put `^C` on the line.
        output::say("");
        output::say(
            "finishing what is in hand; Ctrl-C again ends at once (what is finished is kept)",
        );
    })
    .context("Ctrl-C cannot be watched")
}
