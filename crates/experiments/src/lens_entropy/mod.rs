//! Entropy of the logit lens after each block, with both lenses.
//!
//! - **Stands for** Figures 7b and 19 of the NeurIPS version (`standard`), and v1's and v3's entropy figures (`legacy`).
//! - **Needs** any models and any corpus: the plain pass.
//! - **Feeds the claims** D13 (with `wic`), D14, D21, D27.

pub mod claims;
pub mod figure;
mod known;
pub mod measure;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;

pub use table::{Record, curve};

use crate::core::claim::Claim;
use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes, Place};
use crate::core::known::Quantity;
use crate::core::plain::Observation;
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct LensEntropy;

register!(LensEntropy);

impl Experiment for LensEntropy {
    fn id(&self) -> &'static str {
        "lens-entropy"
    }

    fn about(&self) -> About {
        About {
            summary: "Entropy of the logit lens, both lenses (nips-fig7b, nips-fig19, v1-fig-entropy)",
            title: "Entropy of the logit lens",
            stands_for: "Figures 7b and 19 of the NeurIPS version (standard lens); v1's and v3's entropy figures (legacy lens)",
            caption: "Mean entropy in bits of the distribution that each residual stream gives through the final norm and the unembedding, against s/L. The standard lens recomputes the norm's scale on each stream; the legacy lens divides every stream by the last one's scale, as the first versions did by mistake. Means over positions 1 to T−1.",
            paper_says: "Entropy falls from about the middle of the model. In the final layers of some models it stops falling or rises again, even within one family.",
        }
    }

    fn place(&self) -> Place {
        Place::beside(7, "b")
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
        &[&measure::VIEWS]
    }

    fn measure(
        &self,
        subject: &Subject<'_>,
        passes: &Passes,
        tables: &mut Tables,
    ) -> Result<Vec<String>, ExperimentError> {
        measure::record(subject, &passes.observed, tables)?;
        Ok(Vec::new())
    }

    fn drawings(&self, tables: &Tables) -> Vec<(String, Figure)> {
        figure::drawings(tables.of())
    }

    fn claims(&self) -> &'static [Claim] {
        claims::CLAIMS
    }

    fn known(&self) -> &'static [Quantity] {
        known::QUANTITIES
    }
}
