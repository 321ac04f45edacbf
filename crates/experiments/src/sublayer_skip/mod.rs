//! Leaving out late sublayers without training.
//!
//! - **Stands for** "Attention Is All You Need But You Don't Need All Of It" (arXiv 2407.15516) and the thesis 2404.05741.
//! - **Needs** a model and a text; for choices and accuracies a tokenizer and tasks.
//! - **Computes** loss, choices, continuations and the bytes of decoding for every kind, family and fraction of sublayers.
//! - **Feeds the claims** T1 to T10.
//!
//! Times are measured if there is a clock; at batch size 1 they should have the ratio of the bytes that decoding reads.

pub mod claims;
mod data;
pub mod figure;
mod known;
mod measure;
mod plan;
pub mod search;
mod second_order;
mod similarity;
#[cfg(test)]
mod simulations;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;
mod variants;
mod writing;

pub use table::{PairRecord, Record, SimilarityRecord, SpeedRecord, TaskRecord};
pub use variants::{FRACTIONS, Family, Kind, Variant};

use crate::core::claim::Claim;
use crate::core::data::Source;
use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes};
use crate::core::known::Quantity;
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use layerwise_plot::Figure;
use layerwise_tasks::Task;

/// The tasks for choices.
pub struct Tasks(pub Vec<Task>);

/// See the [module](self).
pub struct SublayerSkip;

register!(SublayerSkip);

impl Experiment for SublayerSkip {
    fn id(&self) -> &'static str {
        "sublayer-skip"
    }

    fn about(&self) -> About {
        About {
            summary: "Leaving out late attention, MLPs or blocks: loss, choices, writing, bytes (arXiv 2407.15516)",
            title: "Skipping late sublayers",
            stands_for: "Tyukin and others, arXiv 2407.15516 and 2404.05741; the ranking by similarity is LLM-Drop's",
            caption: "Loss, accuracy and bytes read when a fraction of the sublayers is left out. Colours: attention, MLP, block; solid: the last ones, dashed: the last ones except the very last, dotted: the first ones after block 0. Similarity is the mean cosine between a sublayer's input and input plus update. Gains in speed are predicted from the bytes that decoding reads.",
            paper_says: "Late attention sublayers can be left out with little loss, more so than MLPs or blocks; skipping them speeds up Llama-2-7B by 21 % for one token.",
        }
    }

    fn needs(&self) -> Needs {
        Needs {
            corpus: true,
            data: Some("tasks (else stand-ins made from text)"),
            ..Needs::default()
        }
    }

    fn source(&self) -> Option<&'static Source> {
        Some(&data::SOURCE)
    }

    fn tables(&self) -> &'static [TableId] {
        const {
            &[
                TableId::of::<Record>(),
                TableId::of::<TaskRecord>(),
                TableId::of::<SimilarityRecord>(),
                TableId::of::<SpeedRecord>(),
                TableId::of::<PairRecord>(),
            ]
        }
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
        figure::drawings(tables)
    }

    fn claims(&self) -> &'static [Claim] {
        claims::CLAIMS
    }

    fn known(&self) -> &'static [Quantity] {
        known::QUANTITIES
    }
}
