//! Divergence of the logit lens from the output after each block, with both lenses, next to the densities of neurons.
//!
//! - **Stands for** Figure 8 (a, b, c) of the NeurIPS version (`standard`), and the same figure of v1 and v3 (`legacy`).
//! - **Needs** any models and any corpus: the plain pass; and for the densities only the weights (see `neurons`).
//! - **Feeds the claims** D14, D17, D18, D27.

pub mod claims;
pub mod figure;
pub mod measure;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;

pub use table::{Record, agreement, curve};

use crate::core::claim::Claim;
use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes, Place};
use crate::core::plain::Observation;
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::lens_entropy::measure::VIEWS;
use crate::neurons;
use crate::register;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct LensKl;

register!(LensKl);

impl Experiment for LensKl {
    fn id(&self) -> &'static str {
        "lens-kl"
    }

    fn about(&self) -> About {
        About {
            summary: "Divergence of the logit lens from the output, both lenses, with neuron densities (nips-fig8, v1-fig-kl-neurons)",
            title: "Divergence of the logit lens from the output",
            stands_for: "Figure 8 of the NeurIPS version (standard lens); the same figure of v1 and v3 (legacy lens)",
            caption: "Mean KL(output ‖ lens) in nats against depth, over positions 1 to T−1; the paper does not say which direction it shows, so the other direction has its own figure. Below it, on the same axis of depth, the fall of that divergence in each block, and prediction and suppression neurons, as a percentage of each block's neurons; the paper draws these neurons over the divergence, on a second axis.",
            paper_says: "The divergence falls from about mid-depth, fastest where the density of prediction neurons rises. Phi-1 has fewer such neurons and a flatter curve than Phi-1.5 and Phi-2.",
        }
    }

    fn place(&self) -> Place {
        Place::beside(8, "")
    }

    fn needs(&self) -> Needs {
        Needs {
            corpus: true,
            tables: const { &[TableId::of::<neurons::Record>()] },
            ..Needs::default()
        }
    }

    fn tables(&self) -> &'static [TableId] {
        const { &[TableId::of::<Record>()] }
    }

    fn observations(&self) -> &'static [&'static dyn Observation] {
        &[&VIEWS]
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
        figure::drawings(tables.of(), tables.of())
    }

    fn claims(&self) -> &'static [Claim] {
        claims::CLAIMS
    }
}
