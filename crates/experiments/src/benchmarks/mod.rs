//! Accuracy on benchmarks under altered schedules.
//!
//! - **Stands for** Figures 15 (swap), 16 (drop) and 24 (repeats of five blocks) of the NeurIPS version, and v3's benchmark figure.
//! - **Needs** any models, and items: LAMBADA, ARC-easy and HellaSwag from a given folder, else stand-ins made from text.
//! - **Computes** `acc` as lm-evaluation-harness does.
//! - **Feeds the claims** D8, D24.
//!
//! The published figures leave out ℓ = L−1, including the dropped last block; here nothing is left out. Dotted lines are the
//! plain models, bars one standard error.

pub mod claims;
pub mod data;
pub mod figure;
mod measure;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;

pub use table::{Intervention, Record};

use crate::core::claim::Claim;
use crate::core::data::Source;
use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes, Place};
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct Benchmarks;

register!(Benchmarks);

impl Experiment for Benchmarks {
    fn id(&self) -> &'static str {
        "benchmarks"
    }

    fn about(&self) -> About {
        About {
            summary: "Accuracy under swaps, drops and repeats (nips-fig15, nips-fig16, nips-fig24)",
            title: "Benchmarks under altered schedules",
            stands_for: "Figures 15 (swap), 16 (drop) and 24 (repeats) of the NeurIPS version; v3's benchmark figure",
            caption: "Accuracy on LAMBADA, ARC-Easy and HellaSwag, as lm-evaluation-harness computes acc, or on stand-ins made from text if those are not given, against relative depth. Dotted: the plain model. Error bars are one standard error of the difference from it, paired by item.",
            paper_says: "Accuracy mirrors the divergence: the first and last layers matter most, the middle stays near the plain model. Repeating late blocks improves Qwen models on HellaSwag.",
        }
    }

    fn place(&self) -> Place {
        Place::beside(15, "")
    }

    fn needs(&self) -> Needs {
        Needs {
            data: Some("benchmark items (else stand-ins made from text)"),
            tokenizer: true,
            ..Needs::default()
        }
    }

    fn source(&self) -> Option<&'static Source> {
        Some(&data::SOURCE)
    }

    fn tables(&self) -> &'static [TableId] {
        const { &[TableId::of::<Record>()] }
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
