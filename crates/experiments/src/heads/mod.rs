//! Every head ablated in three ways.
//!
//! - **Stands for** nothing published: zero, mean and resample ablation are all common in the field.
//! - **Needs** any models and any text.
//! - **Computes** the divergence when the values of one head are replaced by 0, their mean, or another sequence's values.
//! - **Feeds no claim**: it is descriptive; `ablation-kinds` compares whole sublayers.

pub mod figure;
mod measure;
mod table;

pub use table::{AgreementRecord, Record};

use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes};
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct Heads;

register!(Heads);

impl Experiment for Heads {
    fn id(&self) -> &'static str {
        "heads"
    }

    fn about(&self) -> About {
        About {
            summary: "Every attention head by zero, mean and resample ablation",
            title: "Ablating heads in three ways",
            stands_for: "Nothing published; the three ablations that the field uses, side by side",
            caption: "KL(plain ‖ altered) in nats when the values of one head before the output projection are replaced by 0, by their mean over the sequences, or by those of another sequence at the same position. Heat maps by block and head, on a logarithmic scale, and the rank correlations of the heads' divergences under each two kinds. Means over positions 1 to T−1 of at most the first 16 sequences of the text, cut to one length of at most 128 tokens.",
            paper_says: "The paper does not ablate heads. Zero ablation takes a head's values out of their usual range; resampling keeps the range but removes the head's information.",
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
        figure::drawings(tables.of(), tables.of())
    }

    fn finding(&self, tables: &Tables) -> Option<String> {
        table::finding(tables.of())
    }
}
