//! A block's sublayers ablated by zero, by their mean, and by resampling.
//!
//! - **Stands for** nothing published: the paper drops blocks, which is zero ablation.
//! - **Needs** any models and any text.
//! - **Computes** the divergence when the update of one sublayer is replaced by 0, its mean, or another sequence's update.
//! - **Feeds the claim** D30.

pub mod claims;
pub mod figure;
mod measure;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;

pub use table::{AgreementRecord, Record, Sublayer};

use crate::core::claim::Claim;
use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes};
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct AblationKinds;

register!(AblationKinds);

impl Experiment for AblationKinds {
    fn id(&self) -> &'static str {
        "ablation-kinds"
    }

    fn about(&self) -> About {
        About {
            summary: "A block's sublayers ablated by zero, mean and resampling",
            title: "Ablating sublayers by zero, mean and resampling",
            stands_for: "Nothing published; the paper's drop of a block is the zero ablation of both sublayers, except in models that norm the sum of a sublayer and its input",
            caption: "KL(plain ‖ altered) in nats when the update of one sublayer is replaced by 0, by its mean over the sequences, or by that of another sequence at the same position, against relative depth. Means over positions 1 to T−1 of at most the first 16 sequences of the text, cut to one length of at most 128 tokens. Bands are one standard error, clustered by sequence.",
            paper_says: "The paper drops whole blocks. Later blocks never saw a zero update in training; a resampled update is a typical one, but carries information about another text.",
        }
    }

    fn needs(&self) -> Needs {
        Needs {
            corpus: true,
            ..Needs::default()
        }
    }

    fn tables(&self) -> &'static [TableId] {
        const { &[TableId::of::<Record>(), TableId::of::<AgreementRecord>()] }
    }

    fn announce(&self, subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
        measure::announce(subject)
    }

    fn work(&self, subject: &Subject<'_>) -> Result<f64, ExperimentError> {
        measure::work(subject)
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
        measure::measure(subject, tables)
    }

    fn drawings(&self, tables: &Tables) -> Vec<(String, Figure)> {
        figure::drawings(tables.of())
    }

    fn claims(&self) -> &'static [Claim] {
        claims::CLAIMS
    }
}
