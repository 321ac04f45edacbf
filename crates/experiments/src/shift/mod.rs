//! Whether the shape holds on text of another kind.
//!
//! - **Stands for** Figure 26 of the NeurIPS version.
//! - **Needs** any models, any corpus, and a second text; without one, this project's source code.
//! - **Feeds the claim** D25.

pub mod claims;
pub mod figure;
mod measure;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;

pub use table::{Measure, Record};

use crate::core::claim::Claim;
use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes, Place};
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use crate::{attention_locality, lens_entropy, lens_kl, mlp_norm};
use layerwise_plot::Figure;
use layerwise_sweep::cost;

/// See the [module](self).
pub struct Shift;

register!(Shift);

impl Experiment for Shift {
    fn id(&self) -> &'static str {
        "shift"
    }

    fn about(&self) -> About {
        About {
            summary: "The shape on text of another kind (nips-fig26)",
            title: "Text of another kind",
            stands_for: "Figure 26 of the NeurIPS version",
            caption: "KL(output ‖ standard lens) in nats, the lens's entropy in bits, the norm of the MLP's output and attention to the previous five tokens, on the corpus and on a second text, against depth. Means over positions 1 to T−1; bands are one standard error, clustered by sequence.",
            paper_says: "On recent papers, code and other languages, GPT-2 XL shows the same pattern as on the Pile.",
        }
    }

    fn place(&self) -> Place {
        Place::beside(26, "")
    }

    fn needs(&self) -> Needs {
        Needs {
            corpus: true,
            other_text: true,
            data: Some("a text of another kind (else the source code of this project)"),
            tables: const {
                &[
                    TableId::of::<lens_kl::Record>(),
                    TableId::of::<lens_entropy::Record>(),
                    TableId::of::<mlp_norm::Record>(),
                    TableId::of::<attention_locality::Record>(),
                ]
            },
            ..Needs::default()
        }
    }

    fn tables(&self) -> &'static [TableId] {
        const { &[TableId::of::<Record>()] }
    }

    fn announce(&self, subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
        let text = subject.other_text.iter();
        Ok(text
            .map(|text| format!("plain, other text: {text}"))
            .collect())
    }

    fn work(&self, subject: &Subject<'_>) -> Result<f64, ExperimentError> {
        let tokens = subject.other_text.map_or(0, |text| text.corpus.tokens());
        Ok(cost::of_plain(subject.model, tokens))
    }

    fn has_items(&self) -> bool {
        true
    }

    fn measure(
        &self,
        subject: &Subject<'_>,
        _: &Passes,
        tables: &mut Tables,
    ) -> Result<Vec<String>, ExperimentError> {
        measure::measure(subject, tables)?;
        Ok(Vec::new())
    }

    fn drawings(&self, tables: &Tables) -> Vec<(String, Figure)> {
        figure::drawings(tables.of())
    }

    fn claims(&self) -> &'static [Claim] {
        claims::CLAIMS
    }
}
