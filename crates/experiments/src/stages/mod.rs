//! The four stages in one picture.
//!
//! - **Stands for** Figure 1 and table 1 of every version.
//! - **Needs** the results of `robustness`, `attention-locality` and `neurons`.
//! - **Computes** each curve at 101 depths, by linear interpolation between blocks; with several models also the mean of
//!   each curve, over the models of a family and then over families. Every curve is then rescaled from its minimum to
//!   its maximum, because the four have different units. A flat curve cannot be rescaled and is not drawn.

pub mod figure;
pub mod measure;
pub mod numbers;
mod table;
mod table_1;

pub use table::{Curve, EVERY_MODEL, Record};

use crate::core::claim::Evidence;
use crate::core::experiment::{About, Experiment, Needs, Place};
use crate::core::models::Facts;
use crate::core::published::TextTable;
use crate::core::tables::{TableId, Tables};
use crate::register;
use crate::{attention_locality, neurons, robustness};
use layerwise_plot::Figure;

/// See the [module](self).
pub struct Stages;

register!(Stages);

impl Experiment for Stages {
    fn id(&self) -> &'static str {
        "stages"
    }

    fn about(&self) -> About {
        About {
            summary: "The four stages in one picture (nips-fig1, table 1)",
            title: "Four stages of inference",
            stands_for: "Figure 1 and table 1 of every version",
            caption: "KL(plain ‖ block left out), total attention to the five previous tokens, and the densities of prediction and suppression neurons against relative depth. Each model's curve is interpolated to 101 depths, averaged within and then over families, and rescaled from its minimum to its maximum, because the units differ; the divergence also by its logarithm, as the first block's is many times the others'. Means over positions 1 to T−1; no error bands.",
            paper_says: "Four stages follow each other: detokenization, feature engineering, prediction ensembling and residual calibration. Sensitivity to ablation and local attention peak first, then prediction neurons at about 85 % of depth, then suppression neurons in the last layers.",
        }
    }

    fn place(&self) -> Place {
        Place::beside(1, "")
    }

    fn needs(&self) -> Needs {
        Needs {
            corpus: true,
            tables: const {
                &[
                    TableId::of::<robustness::Record>(),
                    TableId::of::<attention_locality::Record>(),
                    TableId::of::<neurons::Record>(),
                ]
            },
            ..Needs::default()
        }
    }

    fn tables(&self) -> &'static [TableId] {
        const { &[TableId::of::<Record>()] }
    }

    fn derive(&self, tables: &mut Tables, _models: &[Facts]) {
        *tables.of_mut() = measure::derive(tables);
    }

    fn finding(&self, tables: &Tables) -> Option<String> {
        Some(figure::peaks(tables.of()))
    }

    fn text_tables(&self, evidence: &Evidence<'_>) -> Vec<TextTable> {
        vec![table_1::stages(evidence)]
    }

    fn drawings(&self, tables: &Tables) -> Vec<(String, Figure)> {
        figure::drawings(tables.of())
    }
}
