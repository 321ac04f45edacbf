//! Early exit: stopping when a small classifier says that the answer is already final.
//!
//! - **Stands for** AdaInfer, "Not All Layers of LLMs Are Necessary During Inference" (arXiv 2403.02181).
//! - **Needs** a model and a text; for tasks a tokenizer and items whose options differ in their first token.
//! - **Computes** after every block the gap between the two most probable tokens and the first's probability; where each rule
//!   stops; and what that costs and saves.
//! - **Feeds the claims** A1 to A9.
//!
//! Every second item trains, the others test; SST-2 trains on its own split. Times are measured if there is a clock.

pub mod claims;
mod data;
pub mod figure;
mod instance;
mod known;
mod laws;
mod measure;
pub mod own;
mod readings;
mod recording;
#[cfg(test)]
mod simulations;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;
mod times;

pub use table::{FeatureRecord, HistogramRecord, Law, LawRecord, LossRecord, Record, TimeRecord};

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

/// Tasks with one-token answers.
pub struct Tasks(pub Vec<Task>);

/// See the [module](self).
pub struct EarlyExit;

register!(EarlyExit);

impl Experiment for EarlyExit {
    fn id(&self) -> &'static str {
        "early-exit"
    }

    fn about(&self) -> About {
        About {
            summary: "Stopping when a classifier says that the answer is final (AdaInfer, arXiv 2403.02181)",
            title: "Early exit",
            stands_for: "AdaInfer, arXiv 2403.02181",
            caption: "Confidence by depth, blocks after which the linear machine stops, and agreement with the full model against the fraction of blocks left out. Answers are single tokens; every second item trains, the others test. Bands and bars are one standard error.",
            paper_says: "Between a tenth and two fifths of the blocks can be left out with a loss of less than one point of accuracy; easy tasks stop earlier. Related work: SpecEE, which uses features of draft candidates, runs 23.2 of 32, 24.9 of 40 and 53.3 of 80 blocks; CALM lets its threshold fall with the output's position.",
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

    fn has_items(&self) -> bool {
        true
    }

    fn tables(&self) -> &'static [TableId] {
        const {
            &[
                TableId::of::<Record>(),
                TableId::of::<FeatureRecord>(),
                TableId::of::<HistogramRecord>(),
                TableId::of::<LossRecord>(),
                TableId::of::<TimeRecord>(),
                TableId::of::<LawRecord>(),
            ]
        }
    }

    fn announce(&self, subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
        measure::announce(subject)
    }

    fn work(&self, subject: &Subject<'_>) -> Result<f64, ExperimentError> {
        measure::work(subject)
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

    fn finding(&self, tables: &Tables) -> Option<String> {
        claims::savings(tables)
    }
}
