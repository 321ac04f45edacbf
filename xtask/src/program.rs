//! The name by which the user started this program.

use std::env;

/// `cargo xtask` if Cargo runs the program from its checkout, and `layerwise`, the name of the installed program,
/// otherwise.
pub fn name() -> &'static str {
    // Cargo tells a program that it runs which package it belongs to.
    match env::var_os("CARGO_MANIFEST_DIR") {
        Some(folder) if folder == env!("CARGO_MANIFEST_DIR") => "cargo xtask",
        _ => "layerwise",
    }
}
