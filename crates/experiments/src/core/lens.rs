//! The two logit lenses, as records and claims name them.

use serde::{Deserialize, Serialize};

/// A logit lens (paper B.8 and 0.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lens {
    /// The final norm, recomputed on each state.
    Standard,
    /// The final state's norm scale for every state, without bias: what v1 to v3 published by mistake.
    Legacy,
}

impl Lens {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Standard, Self::Legacy];

    /// Its name in a statement.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Legacy => "legacy",
        }
    }

    /// The title of its panel.
    pub fn title(self) -> &'static str {
        match self {
            Self::Standard => "Standard lens",
            Self::Legacy => "Legacy lens",
        }
    }
}
