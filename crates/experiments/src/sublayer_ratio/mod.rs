//! The size of attention's output in comparison with the MLP's.
//!
//! - **Stands for** v1's figure of the attention-to-MLP ratio, and the "attention-heavy computation" of table 1.
//! - **Needs** any models and any corpus: the plain pass.
//! - **Feeds the claim** D26.

pub mod claims;
pub mod figure;
pub mod measure;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;

pub use table::{Record, curve};

use crate::core::claim::Claim;
use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes, Place};
use crate::core::plain::Observation;
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct SublayerRatio;

register!(SublayerRatio);

impl Experiment for SublayerRatio {
    fn id(&self) -> &'static str {
        "sublayer-ratio"
    }

    fn about(&self) -> About {
        About {
            summary: "Attention in comparison with the MLP (v1-fig-ratio)",
            title: "Attention in comparison with the MLP",
            stands_for: "v1's figure of the ratio, and “attention-heavy computation” in table 1",
            caption: "Means of ‖attention output‖/‖MLP output‖, of ‖sum of both‖/‖residual stream‖, and of the cosine of that sum with the residual stream, which is negative if a block erases. Against relative depth; means over positions 1 to T−1; bands are one standard error, clustered by sequence.",
            paper_says: "With depth the share of attention falls gradually in comparison with the MLP's: early computation is attention-heavy.",
        }
    }

    fn place(&self) -> Place {
        Place::beside(12, "b, beside attention")
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
        &[&measure::SIZES]
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
}
