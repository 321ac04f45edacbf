//! The records of this experiment.

use crate::core::table::{is_share, negative_error, record};
use serde::{Deserialize, Serialize};

/// How a residual stream is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// Directly.
    Standard,
    /// Translated to the last stream.
    Translated,
}

impl Reading {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Standard, Self::Translated];

    /// The name in legends.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Translated => "translated",
        }
    }
}

record! {
    /// One line of `translated-lens.csv`: one residual stream, read in one way.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// The `model_type` of its config.
        pub model_type: String,
        /// How it is read.
        pub lens: Reading,
        /// The residual stream s: 0 for the embedding, ℓ+1 after block ℓ.
        pub state: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// s/L.
        pub relative_depth: f64,
        /// Mean KL(output ‖ lens), nats.
        pub kl_nats: f64,
        /// Its standard error, clustered by sequence, nats.
        pub kl_nats_se: Option<f64>,
        /// Mean KL(lens ‖ output), nats.
        pub reverse_kl_nats: f64,
        /// Its standard error, nats.
        pub reverse_kl_nats_se: Option<f64>,
        /// Mean entropy of the lens, bits.
        pub entropy_bits: f64,
        /// Its standard error, bits.
        pub entropy_bits_se: Option<f64>,
        /// Share of positions whose most probable token is the output's.
        pub top1_agreement: f64,
        /// Its standard error.
        pub top1_agreement_se: Option<f64>,
        /// Tokens that fitted the maps.
        pub fitted_tokens: u64,
        /// Sequences that are measured.
        pub sequences: u64,
        /// Positions that means are taken over.
        pub positions: u64,
    }
    table("translated-lens") key(model, lens, state) fault(|r| {
        let share = (!is_share(r.top1_agreement)).then(|| ("top1_agreement", "a share, 0 to 1".to_owned()));
        share.or(negative_error([("kl_nats_se", r.kl_nats_se), ("reverse_kl_nats_se", r.reverse_kl_nats_se), ("entropy_bits_se", r.entropy_bits_se), ("top1_agreement_se", r.top1_agreement_se)]))
    })
}
