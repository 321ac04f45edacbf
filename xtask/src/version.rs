//! Which program this is.

use layerwise::kernels::cpu_features;
use std::sync::LazyLock;

/// Its version, as Cargo.toml has it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, with a `+` where files were changed since; none of a debug build, or outside a checkout.
pub const COMMIT: Option<&str> = option_env!("LAYERWISE_COMMIT");

/// Version, commit, system and the instructions of this processor that the products use, on one line.
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
