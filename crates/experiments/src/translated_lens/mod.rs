//! A third lens: each residual stream translated to the last one by a linear map, and then read as the model reads it.
//!
//! - **Stands for** nothing that the paper shows; it is the linear case of the tuned lens (Belrose et al. 2023, arXiv 2303.08112)
//!   in closed form.
//! - **Needs** any models and any text; every second sequence fits the maps, the others measure.
//! - **Computes** h_L ≈ A·h_s + b by ridge regression for each stream s, and for h_s as it is (the standard lens) and translated: KL
//!   from the output, both ways, entropy, and top-1 agreement.
//! - **Feeds the claim** L1. Where the standard lens diverges and the translated one does not, the stream holds the answer in another
//!   basis than the unembedding's.

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
            stands_for: "Nothing that the paper shows; the tuned lens (arXiv 2303.08112) in its linear, closed form",
            caption: "Residual stream s, 0 for the embedding, read as it is (standard) and translated by h_L ≈ A·h_s + b, against s/L: KL(output ‖ lens) in nats, entropy in bits, and the share of positions whose most probable token is the output's. A and b by ridge regression with a penalty of a hundredth of the median variance, fitted on every second sequence of the text, at most 8,192 tokens; means over positions 1 to T−1 of the others, at most 16 sequences of 128 tokens. Bands are one standard error, clustered by sequence. The last stream needs no translation.",
            paper_says: "The paper reads states with the logit lens alone, which sees only what already stands in the basis of the unembedding.",
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
