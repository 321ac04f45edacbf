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
#[error("interrupted: {finished} of {all} {unit} are finished{}", fate(*.kept))]
pub struct Interrupted {
    /// Units of work that are finished.
    pub finished: usize,
    /// Units of the run.
    pub all: usize,
    /// What they are, as `sequences`.
    pub unit: String,
    /// Whether their results are on disk, for the same command to go on from.
    pub kept: bool,
}

fn fate(kept: bool) -> &'static str {
    match kept {
        true => " and kept; the same command goes on from there",
        false => ", and none is kept without --out",
    }
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
        output::say(match kept {
            true => {
                "finishing what is in hand; Ctrl-C again ends at once (what is finished is kept)"
            }
            false => "stopping; Ctrl-C again ends at once (nothing is kept without --out)",
        });
    })
    .context("Ctrl-C cannot be watched")
}
