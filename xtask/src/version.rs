//! The identity of this program.

use layerwise::kernels::cpu_features;
use std::sync::LazyLock;

/// The version in Cargo.toml.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit it was built from, with a `+` if files were changed since; `None` for a debug build, or outside a checkout.
pub const COMMIT: Option<&str> = option_env!("LAYERWISE_COMMIT");

/// Version, commit, system and the instruction sets of this processor that the products use, on one line.
pub fn described() -> &'static str {
    static DESCRIBED: LazyLock<String> = LazyLock::new(|| {
        let commit = COMMIT.map_or(String::new(), |commit| format!("commit {commit}, "));
        format!(
            "{VERSION} ({commit}{}-{}, {})",
            std::env::consts::ARCH,
            std::env::consts::OS,
            cpu_features()
        )
    });
    &DESCRIBED
}
