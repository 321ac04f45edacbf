//! Layers as painters: the middle blocks left out, repeated, reversed, shuffled or run in parallel.
//!
//! - **Stands for** Figures 5 to 9 of "Transformer Layers as Painters" (Sun et al. 2024, arXiv 2407.09298).
//! - **Needs** any models and any text.
//! - **Computes** for each variant, with n blocks around the middle: the loss, and the normalised score
//!   1 − (loss − plain loss)/(ln |V| − plain loss), which is 1 for the plain model and 0 for a uniform guess. The source
//!   normalises accuracies on benchmarks in the same way.
//! - **Feeds the claims** P1, P2.

pub mod claims;
pub mod figure;
mod measure;
mod table;

pub use table::{Record, Variant};

use crate::core::claim::Claim;
use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes};
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct Painters;

register!(Painters);

impl Experiment for Painters {
    fn id(&self) -> &'static str {
        "painters"
    }

    fn about(&self) -> About {
        About {
            summary: "Layers as painters: middle blocks skipped, repeated, reversed, shuffled, in parallel",
            title: "Layers as painters",
            stands_for: "Figures 5 to 9 of \"Transformer Layers as Painters\" (arXiv 2407.09298), on text instead of benchmarks",
            caption: "n blocks around the middle are left out, replaced by the middle block, run in reverse or in random order (mean of five), run in parallel with their updates averaged, or run in parallel three times over. Against n/L: 1 − (loss − plain loss)/(ln |V| − plain loss), which is 1 for the plain model and 0 for a uniform guess; bands are one standard error of the loss in that unit, clustered by sequence. Loss at positions 1 to T−2 of at most the first 16 sequences of the text, cut to one length of at most 128 tokens.",
            paper_says: "\"Transformer Layers as Painters\": middle layers share a space of representations but are not the same; their order matters little; repeating one layer is worst, looped parallel and random order are best.",
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
