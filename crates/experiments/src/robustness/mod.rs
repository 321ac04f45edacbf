//! Robustness to dropping a block and to swapping two neighbours.
//!
//! - **Stands for** Figure 5a of the NeurIPS version (`figure::nips_fig5a`; v3's figure is the same) and Figure 3 of v1
//!   (`figure::v1_fig3`, which adds the change of the output's entropy); the diagrams of the interventions, Figure 13 and v1's
//!   Figure 2 (`figure::diagram`).
//! - **Needs** any models and any corpus: one sweep of `drop(l)` and one of `swap(l,l+1)`, with the plain model.
//! - **Computes** for each block ℓ of L, over all positions of the corpus: KL(plain ‖ altered) in nats, the share of
//!   positions at which the most probable token stays the same ("relative accuracy"), and the change of the output's
//!   entropy in bits; each with its standard error clustered by sequence.
//! - **Feeds the claims** D1 (middle blocks are robust), D2 (the first block is not), D3 (failure has high entropy),
//!   D4 (swapping the last pair), D5 (swap is milder than drop), D6 (GPT-2 against Pythia), D7 (deeper models are more
//!   robust).
//!
//! A second table, [`Collapse`], says whether a model with a changed first block predicts one token, or a few, everywhere (D3).
//!
//! Depth is relative, ℓ/(L−1), so that models of different depth share an axis; a swap is plotted at the first block of its
//! pair. Bands are one standard error. Every model has a line of its own, without means over models.

pub mod claims;
mod collapse;
pub mod figure;
mod known;
mod measure;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;

pub use table::{Collapse, Intervention, Record, curve};

use crate::core::claim::Claim;
use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes, Place};
use crate::core::known::Quantity;
use crate::core::subject::Subject;
use crate::core::sweep::Edits;
use crate::core::tables::{TableId, Tables};
use crate::register;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct Robustness;

register!(Robustness);

impl Experiment for Robustness {
    fn id(&self) -> &'static str {
        "robustness"
    }

    fn about(&self) -> About {
        About {
            summary: "Dropping a block and swapping two: KL, agreement, entropy (nips-fig5a, nips-fig13, v3-fig-robust, v1-fig2, v1-fig3)",
            title: "Robustness to dropping and swapping blocks",
            stands_for: "Figures 5a and 13 (the diagram) of the NeurIPS version and v3; Figures 2 (the diagram) and 3 of v1, with the change of entropy",
            caption: "Above, blocks ℓ and ℓ+1 swapped; below, block ℓ left out; against ℓ/(L−1). KL(plain ‖ altered) in nats, share of positions whose most probable token stays the same, and change of the output's entropy in bits. Means over positions 1 to T−1; bands are one standard error, clustered by sequence. Of block 0 changed, robustness-collapse.csv has the most frequent prediction and the entropy of a sequence's mean prediction at every fourth position, which tells a collapse onto a few tokens.",
            paper_says: "Without any fine-tuning, dropping or swapping a middle layer keeps 72 to 95 % of the original top-1 predictions. The first layer is catastrophic in every model, and the last pair in some.",
        }
    }

    fn place(&self) -> Place {
        Place::beside(5, "a")
    }

    fn needs(&self) -> Needs {
        Needs {
            corpus: true,
            ..Needs::default()
        }
    }

    fn tables(&self) -> &'static [TableId] {
        const { &[TableId::of::<Record>(), TableId::of::<Collapse>()] }
    }

    fn edits(&self, _: usize) -> Vec<Edits> {
        measure::EDITS.map(|(edits, _)| edits).to_vec()
    }

    fn measure(
        &self,
        subject: &Subject<'_>,
        passes: &Passes,
        tables: &mut Tables,
    ) -> Result<Vec<String>, ExperimentError> {
        if let Some(swept) = &passes.swept {
            measure::record(subject, swept, tables)?;
        }
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
