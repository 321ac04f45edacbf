//! How far the work of each block reaches: into later blocks, and into later positions.
//!
//! - **Stands for** the effect of skipping a block on later ones, at all positions and at future ones alone, and the depth score of
//!   "Do Language Models Use Their Depth Efficiently?" (Csordás et al. 2025, arXiv 2505.13898).
//! - **Needs** any models and any text.
//! - **Computes**, with block s skipped, for each later block ℓ the mean of ‖u − ū‖/‖u‖ over positions, where u is the update of ℓ in
//!   the plain model and ū the altered one; the mean of ‖p − q‖₂ of the outputs; and the mean depth of blocks weighted by the
//!   latter. Twice: skipped at every position; and at the first half of the positions, with means over the other half, so that
//!   only what reaches later positions counts.
//! - **Feeds no claim**: it is descriptive.

mod effects;
pub mod figure;
mod measure;
mod table;

pub use table::{ChangeRecord, EffectRecord, Record};

use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes};
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct DepthScores;

register!(DepthScores);

impl Experiment for DepthScores {
    fn id(&self) -> &'static str {
        "depth-scores"
    }

    fn about(&self) -> About {
        About {
            summary: "What skipping a block changes in later blocks and the output, at all and at future positions; depth scores",
            title: "How far the work of a block reaches",
            stands_for: "The effects of skipping layers and the depth score of \"Do Language Models Use Their Depth Efficiently?\" (arXiv 2505.13898), with means where it has maxima",
            caption: "Lines: mean of ‖p − q‖₂, where p is the output distribution of the plain model and q that without block s, against s/(L−1). Maps: mean of ‖u − ū‖/‖u‖, the relative change of the update of each later block ℓ. Left, s is skipped at every position and means go over positions 1 to T−1; right, it is skipped at the first half of the positions and means go over the other half. The depth score is the mean of s/(L−1) weighted by the output's change. The first sequences of the text, at most 16, cut to one length of at most 128 tokens. Bands are one standard error, clustered by sequence.",
            paper_says: "Csordás et al.: blocks of the second half change later blocks and the output little where only future positions count, so that they refine the prediction of the next token and compute nothing for later ones.",
        }
    }

    fn needs(&self) -> Needs {
        Needs {
            corpus: true,
            ..Needs::default()
        }
    }

    fn tables(&self) -> &'static [TableId] {
        const {
            &[
                TableId::of::<Record>(),
                TableId::of::<ChangeRecord>(),
                TableId::of::<EffectRecord>(),
            ]
        }
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
}
