//! Activation patching: which blocks and positions carry the information that decides the next token.
//!
//! - **Stands for** nothing published; table 1 of the paper names rising patching importance as a sign of feature
//!   engineering.
//! - **Needs** a model with a tokenizer; the experiment makes pairs of prompts with the same number of tokens on both sides.
//! - **Computes** the share of the logit difference that is recovered when one activation of the corrupted prompt is replaced
//!   by that of the clean one.
//! - **Feeds the claim** D29.

pub mod claims;
pub mod figure;
mod measure;
pub mod sets;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;

pub use table::{Record, SetRecord};

use crate::core::claim::Claim;
use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes};
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct ActivationPatching;

register!(ActivationPatching);

impl Experiment for ActivationPatching {
    fn id(&self) -> &'static str {
        "patching"
    }

    fn about(&self) -> About {
        About {
            summary: "Activation patching on indirect objects, induction and agreement",
            title: "Activation patching",
            stands_for: "Nothing published; table 1 of the paper names patching importance as a sign of feature engineering",
            caption: "Pairs of prompts that differ in one word. One activation of the corrupted prompt, at one block and position, is replaced by that of the clean prompt; the recovered share is that of the difference between the two answers' logits, 0 for the corrupted prompt and 1 for the clean one. Positions before the first that differs are left out, since the prompts are equal there.",
            paper_says: "Patching importance rises in the stage of feature engineering (table 1); the paper does not show it.",
        }
    }

    fn needs(&self) -> Needs {
        Needs {
            tokenizer: true,
            ..Needs::default()
        }
    }

    fn tables(&self) -> &'static [TableId] {
        const { &[TableId::of::<Record>(), TableId::of::<SetRecord>()] }
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

    fn claims(&self) -> &'static [Claim] {
        claims::CLAIMS
    }
}
