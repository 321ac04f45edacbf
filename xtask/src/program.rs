//! The name by which the user started this program.

use std::env;

/// `cargo xtask` if Cargo runs the program from its checkout; otherwise `layerwise`, the name of the installed program.
pub fn name() -> &'static str {
    // Cargo sets this variable to the package that a program belongs to.
    match env::var_os("CARGO_MANIFEST_DIR") {
        Some(folder) if folder == env!("CARGO_MANIFEST_DIR") => "cargo xtask",
        _ => "layerwise",
    }
}
