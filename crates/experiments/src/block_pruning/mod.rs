//! Which blocks can be left out for good: the blocks that similarities of states suggest, and the cost.
//!
//! - **Stands for** the rankings of ShortGPT (Men et al. 2024, arXiv 2403.03853: block influence) and of "The Unreasonable
//!   Ineffectiveness of the Deeper Layers" (Gromov et al. 2024, arXiv 2403.17887: angular distance over n blocks), without healing.
//! - **Needs** any models and any text; the first half of its sequences chooses blocks, the other half measures the cost.
//! - **Computes** the cosine and the angular distance arccos(cos)/π between the residual streams before and after each run of
//!   blocks; and, for four ways to choose n blocks, the change of the loss and the divergence without them.
//! - **Feeds the claim** G1. (`sublayer-skip` leaves out sublayers.)

pub mod claims;
pub mod figure;
mod measure;
mod similarity;
mod table;

pub use table::{PruningRecord, Record, Strategy};

use crate::core::claim::Claim;
use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes};
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct BlockPruning;

register!(BlockPruning);

impl Experiment for BlockPruning {
    fn id(&self) -> &'static str {
        "block-pruning"
    }

    fn about(&self) -> About {
        About {
            summary: "Block influence, angular distances, and the cost of leaving out the blocks that they suggest",
            title: "Leaving out blocks for good",
            stands_for: "The rankings of ShortGPT (arXiv 2403.03853) and of \"The Unreasonable Ineffectiveness of the Deeper Layers\" (arXiv 2403.17887), without fine-tuning",
            caption: "Maps: angular distance arccos(cos)/π between the residual streams before block ℓ and after block m, mean over positions 1 to T−1. Lines: altered minus plain loss in nats a token against the share n/L of blocks left out. The blocks are the n of least block influence 1 − cos, the n consecutive ones of least angular distance, the n with the least divergence when left out singly, and n chosen one by one, each time the block that keeps the divergence least. Of at most 16 sequences of one length of at most 128 tokens, the first half chooses the blocks and the other half measures the cost. Bands are one standard error, clustered by sequence.",
            paper_says: "ShortGPT: a quarter of the layers can be left out: those of least influence, which are late layers. Gromov et al.: up to half of the layers can be left out, as one run of deep layers without the last, after a little fine-tuning.",
        }
    }

    fn needs(&self) -> Needs {
        Needs {
            corpus: true,
            ..Needs::default()
        }
    }

    fn tables(&self) -> &'static [TableId] {
        const { &[TableId::of::<PruningRecord>(), TableId::of::<Record>()] }
    }

    fn announce(&self, subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
        Ok(measure::announce(subject))
    }

    fn work(&self, subject: &Subject<'_>) -> Result<f64, ExperimentError> {
        Ok(measure::work(subject))
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
