//! How far back each block has to look: the causal twin of `attention-locality`.
//!
//! - **Stands for** nothing published: the paper shows where attention goes (figure 6a), not what it is needed for.
//! - **Needs** any models and any text.
//! - **Computes** the divergence when the queries of one block see only a window of tokens and position 0.
//! - **Feeds the claim** D28.

pub mod claims;
pub mod figure;
mod measure;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;

pub use table::{DifferenceRecord, Record};

use crate::core::claim::Claim;
use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes};
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct LocalityCausal;

register!(LocalityCausal);

impl Experiment for LocalityCausal {
    fn id(&self) -> &'static str {
        "locality-causal"
    }

    fn about(&self) -> About {
        About {
            summary: "Divergence when a block sees only the nearest tokens",
            title: "The effect of letting a block see only the nearest tokens",
            stands_for: "Nothing published; the causal twin of figure 6a of the NeurIPS version",
            caption: "KL(plain ‖ altered) in nats when every query of one block attends only to itself, the w−1 tokens before it and position 0, for w from 1 to 32, against relative depth. Means over positions 1 to T−1 of at most the first 16 sequences of the text, cut to one length of at most 128 tokens; bands are one standard error, clustered by sequence.",
            paper_says: "Attention in early layers is local, which the paper reads as detokenization. That is a correlation: it does not say whether early blocks could do without distant tokens.",
        }
    }

    fn needs(&self) -> Needs {
        Needs {
            corpus: true,
            ..Needs::default()
        }
    }

    fn tables(&self) -> &'static [TableId] {
        const { &[TableId::of::<Record>(), TableId::of::<DifferenceRecord>()] }
    }

    fn announce(&self, subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
        measure::announce(subject)
    }

    fn work(&self, subject: &Subject<'_>) -> Result<f64, ExperimentError> {
        measure::work(subject)
    }

    fn has_items(&self) -> bool {
        true
    }

    fn measure(
        &self,
        subject: &Subject<'_>,
        _: &Passes,
        tables: &mut Tables,
    ) -> Result<Vec<String>, ExperimentError> {
        measure::measure(subject, tables)
    }

    fn drawings(&self, tables: &Tables) -> Vec<(String, Figure)> {
        figure::drawings(tables.of())
    }

    fn claims(&self) -> &'static [Claim] {
        claims::CLAIMS
    }
}
