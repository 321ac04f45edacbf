//! Repeating a run of blocks in place.
//!
//! - **Stands for** Figures 12c (11), 22 and 23 of the NeurIPS version, and v3's repeats figure (B.13).
//! - **Needs** any models and any corpus: the sweep, with `repeat(l..l+3)` and `repeat(l..l+5)`.
//! - **Feeds the claim** D23.

pub mod claims;
pub mod figure;
mod measure;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;

pub use table::Record;

use crate::core::claim::Claim;
use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes, Place};
use crate::core::subject::Subject;
use crate::core::sweep::Edits;
use crate::core::tables::{TableId, Tables};
use crate::register;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct Repeats;

register!(Repeats);

impl Experiment for Repeats {
    fn id(&self) -> &'static str {
        "repeats"
    }

    fn about(&self) -> About {
        About {
            summary: "Repeating runs of three and five blocks (nips-fig12c, nips-fig22, nips-fig23)",
            title: "Repeating runs of blocks",
            stands_for: "Figures 12c (11), 22 and 23 of the NeurIPS version; v3's repeats figure",
            caption: "Mean entropy of the output in bits when each block of a run of three, or of five, runs twice in place, against the depth of the run's middle block. Dotted: the plain model. Means over positions 1 to T−1; bands are one standard error, clustered by sequence.",
            paper_says: "Repeating late blocks lowers the output's entropy below the plain model's; repeating early blocks does not, or raises it.",
        }
    }

    fn place(&self) -> Place {
        Place::beside(12, "c")
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

    fn edits(&self, layers: usize) -> Vec<Edits> {
        measure::edits(layers)
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
}
