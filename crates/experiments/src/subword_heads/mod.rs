//! Heads that merge the pieces of a word.
//!
//! - **Stands for** Figure 6b of the NeurIPS version, v3's head figure, and v1's figure of subjoiner heads (B.11).
//! - **Needs** any models and any text.
//! - **Computes** every head's attention from the last of the window's last 16 tokens to each of them: means over windows,
//!   with standard errors clustered by document.
//! - **Feeds the claim** D11.
//!
//! The maps show up to ten windows, no text twice, of the head that D11 judges: for Pythia-2.8B the published one, tensor
//! index \[1, 6\]; else the head whose attention to the first of a word's four tokens exceeds most its attention to the
//! same position if the word is one token.

pub mod claims;
pub mod figure;
mod known;
mod measure;
mod readings;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;

pub use table::{Cell, Record, Selection};

use crate::core::claim::Claim;
use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes, Place};
use crate::core::known::Quantity;
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use layerwise_plot::Figure;
use layerwise_sweep::cost;

/// See the [module](self).
pub struct SubwordHeads;

register!(SubwordHeads);

impl Experiment for SubwordHeads {
    fn id(&self) -> &'static str {
        "subword-heads"
    }

    fn about(&self) -> About {
        About {
            summary: "Heads that merge the pieces of a word (nips-fig6b, v1-fig-head)",
            title: "Heads that merge the pieces of a word",
            stands_for: "Figure 6b of the NeurIPS version and v3; v1's figure of subjoiner heads",
            caption: "Attention of one head, 0 to 1, from the last of 16 tokens to each of them. Above: windows in which the last word is one token; below: windows in which it is four tokens. Up to ten windows each, no text twice. The published windows of the second kind were filtered on the attention shown, so the table has the means with and without that filter, and D11 is judged without it.",
            paper_says: "Early layers have heads in which the last piece of a word attends to its other pieces, most to the first, and which do nothing of the kind if the word is a single token.",
        }
    }

    fn place(&self) -> Place {
        Place::beside(6, "b")
    }

    fn needs(&self) -> Needs {
        Needs {
            corpus: true,
            tokenizer: true,
            ..Needs::default()
        }
    }

    fn tables(&self) -> &'static [TableId] {
        const { &[TableId::of::<Record>(), TableId::of::<Cell>()] }
    }

    fn announce(&self, _: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
        Ok(vec![
            "windows of words, looked for in whole documents".to_owned(),
        ])
    }

    fn work(&self, subject: &Subject<'_>) -> Result<f64, ExperimentError> {
        Ok(cost::of_plain(subject.model, subject.text.corpus.tokens()))
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

    fn known(&self) -> &'static [Quantity] {
        known::QUANTITIES
    }
}
