//! A third lens: each residual stream is translated to the last one by a linear map, and then read as the model reads it.
//!
//! - **Stands for** nothing in the paper; it is the linear case of the tuned lens (Belrose et al. 2023, arXiv 2303.08112) in
//!   closed form.
//! - **Needs** any models and any text; every second sequence fits the maps, the others are measured.
//! - **Computes** h_L ≈ A·h_s + b by ridge regression for each stream s; and for h_s, read directly (the standard lens) and
//!   translated: KL from the output, both ways, entropy, and top-1 agreement.
//! - **Feeds the claim** L1. Where the standard lens diverges and the translated one does not, the stream contains the answer in
//!   another basis than the unembedding's.

pub mod claims;
pub mod figure;
mod measure;
mod table;

pub use table::{Reading, Record};

use crate::core::claim::Claim;
use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes};
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct TranslatedLens;

register!(TranslatedLens);

impl Experiment for TranslatedLens {
    fn id(&self) -> &'static str {
        "translated-lens"
    }

    fn about(&self) -> About {
        About {
            summary: "A third lens: residual streams translated to the last one by ridge regression",
            title: "The translated lens",
            stands_for: "Nothing in the paper; the linear case of the tuned lens (arXiv 2303.08112), in closed form",
            caption: "Residual stream s, 0 for the embedding, read directly (standard) and translated by h_L ≈ A·h_s + b, against s/L: KL(output ‖ lens) in nats, entropy in bits, and the share of positions whose most probable token is the output's. A and b come from ridge regression with a penalty of a hundredth of the median variance, fitted on every second sequence of the text, at most 8,192 tokens. Means over positions 1 to T−1 of the other sequences, at most 16 of 128 tokens. Bands are one standard error, clustered by sequence. The last stream needs no translation.",
            paper_says: "The paper reads states only with the logit lens, which sees only information that is already in the basis of the unembedding.",
        }
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

    fn announce(&self, subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
        Ok(measure::announce(subject))
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
