//! Swapping any two blocks.
//!
//! - **Stands for** nothing published: the paper swaps neighbours. The natural next question, besides the similarity of states
//!   (`cka`), is how far apart blocks can be and still be exchangeable.
//! - **Needs** any models and any text: one sweep of `swap(l,m)`.
//! - **Computes** the divergence and the change of the loss for each pair of blocks.
//! - **Feeds no claim**: it is descriptive, since nothing published says what to expect.

pub mod figure;
mod measure;
mod table;

pub use table::Record;

use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes};
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct SwapDistance;

register!(SwapDistance);

impl Experiment for SwapDistance {
    fn id(&self) -> &'static str {
        "swap-distance"
    }

    fn about(&self) -> About {
        About {
            summary: "Swapping any two blocks: divergence against their distance",
            title: "Swapping any two blocks",
            stands_for: "Nothing published; the paper swaps only neighbours",
            caption: "KL(plain ‖ altered) in nats when blocks ℓ and m are exchanged: a heat map of all pairs on a logarithmic scale, and the median over pairs against the distance m − ℓ. Means over positions 1 to T−1 of at most the first 16 sequences of the text, cut to one length of at most 128 tokens.",
            paper_says: "The paper swaps neighbouring blocks. If blocks of a stage do the same kind of work, blocks of one stage should be exchangeable even at a distance, and blocks of different stages should not.",
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
}
