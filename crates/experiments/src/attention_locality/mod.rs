//! How much each block attends to the tokens just before the query.
//!
//! - **Stands for** Figure 6a of the NeurIPS version and of v3 (weight on the preceding 1, 2, 4, 8, 16 tokens), and v1's
//!   figure of the mean attention to the previous five (paper B.6, C.2).
//! - **Needs** any models and any corpus: the plain pass, with attention patterns.
//! - **Feeds the claims** D10 (early attention is local), and `stages`.

pub mod claims;
pub mod figure;
mod known;
pub mod measure;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;

pub use table::{Measure, Record, curve};

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
pub struct AttentionLocality;

register!(AttentionLocality);

impl Experiment for AttentionLocality {
    fn id(&self) -> &'static str {
        "attention-locality"
    }

    fn about(&self) -> About {
        About {
            summary: "Attention to the tokens just before (nips-fig6a, v1-fig-attn)",
            title: "Attention to the tokens just before",
            stands_for: "Figure 6a of the NeurIPS version and v3; v1's figure of attention to the previous five tokens",
            caption: "Mean attention weight, 0 to 1, on the preceding 1, 2, 4, 8 and 16 tokens together, averaged over heads, query positions and sequences, against relative depth; and the mean over pairs of a query and one of its five previous tokens. Bands are one standard error, clustered by sequence.",
            paper_says: "Attention in early layers is local and becomes less so with depth; in several models it rises a little at the end. The paper reads this as detokenization: local context is integrated first.",
        }
    }

    fn place(&self) -> Place {
        Place::beside(6, "a")
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
        &[&measure::LOCALITY]
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
