//! Similarity of the residual streams after each pair of blocks.
//!
//! - **Stands for** Figures 5b, 5c and 14 of the NeurIPS version, and v3's CKA figure.
//! - **Needs** any models and any corpus: the plain pass.
//! - **Computes** unbiased linear CKA, with both estimators of B.7.
//! - **Feeds the claim** D9.

pub mod claims;
pub mod figure;
pub mod measure;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;

pub use table::{Estimator, Record};

use crate::core::claim::Claim;
use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes, Place};
use crate::core::plain::Observation;
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct Cka;

register!(Cka);

impl Experiment for Cka {
    fn id(&self) -> &'static str {
        "cka"
    }

    fn about(&self) -> About {
        About {
            summary: "Similarity of the residual streams after each pair of blocks (nips-fig5bc, nips-fig14)",
            title: "Similarity of representations",
            stands_for: "Figures 5b, 5c and 14 of the NeurIPS version; v3's CKA figure",
            caption: "Unbiased linear CKA, 0 to 1 without unit, between the residual streams after each pair of blocks. One drawing uses the last position of each sequence, in batches of sequences; in the other, positions 1 to T−1 of each of the first 32 sequences are a batch. The published code includes position 0, but its state is so large in many models that it alone decides the similarity.",
            paper_says: "Representations form groups of similar layers, which coincide with the region that is robust to dropping and swapping; the first layers are different.",
        }
    }

    fn place(&self) -> Place {
        Place::beside(5, "b")
    }

    fn needs(&self) -> Needs {
        Needs {
            corpus: true,
            ..Needs::default()
        }
    }

    fn tables(&self) -> &'static [TableId] {
        const { &[TableId::of::<Record>()] }
    }

    fn observations(&self) -> &'static [&'static dyn Observation] {
        &[&measure::STREAMS]
    }

    fn measure(
        &self,
        subject: &Subject<'_>,
        passes: &Passes,
        tables: &mut Tables,
    ) -> Result<Vec<String>, ExperimentError> {
        measure::record(subject, &passes.observed, tables)
    }

    fn drawings(&self, tables: &Tables) -> Vec<(String, Figure)> {
        figure::drawings(tables.of())
    }

    fn claims(&self) -> &'static [Claim] {
        claims::CLAIMS
    }
}
