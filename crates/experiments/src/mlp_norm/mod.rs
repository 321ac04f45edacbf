//! Size of each MLP's output.
//!
//! - **Stands for** Figures 12b (10) and 20 of the NeurIPS version, and v1's and v3's figures of MLP norms.
//! - **Needs** any models and any corpus: the plain pass.
//! - **Feeds the claims** D22, D25.

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
use crate::sublayer_ratio::measure::SIZES;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct MlpNorm;

register!(MlpNorm);

impl Experiment for MlpNorm {
    fn id(&self) -> &'static str {
        "mlp-norm"
    }

    fn about(&self) -> About {
        About {
            summary: "Size of each MLP's output (nips-fig12b, nips-fig20)",
            title: "Size of each MLP's output",
            stands_for: "Figures 12b (10) and 20 of the NeurIPS version; v1's and v3's figures of MLP norms",
            caption: "Mean L2 norm of each MLP's output before it is added to the residual stream, in the stream's own unit, against relative depth. Means over positions 1 to T−1; bands are one standard error, clustered by sequence.",
            paper_says: "The norm grows with depth and peaks in the last layers, in all 18 models: the last layers rework the residual stream before it is read out.",
        }
    }

    fn place(&self) -> Place {
        Place::beside(12, "b")
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
        &[&SIZES]
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
