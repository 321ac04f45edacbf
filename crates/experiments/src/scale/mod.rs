//! How the shape changes with the number of blocks and parameters.
//!
//! - **Stands for** Figure 25 of the NeurIPS version (models above 10B parameters, which are given like any other), and v1's
//!   remark that deeper models are more robust.
//! - **Needs** the results of other experiments; values that they lack stay empty.
//! - **Feeds the claims** D7, D25.

pub mod figure;
pub mod measure;
mod table;

pub use table::Record;

use crate::core::experiment::{About, Experiment, Needs, Place};
use crate::core::models::Facts;
use crate::core::tables::{TableId, Tables};
use crate::register;
use crate::{attention_locality, mlp_norm, neurons, robustness};
use layerwise_plot::Figure;

/// See the [module](self).
pub struct Scale;

register!(Scale);

impl Experiment for Scale {
    fn id(&self) -> &'static str {
        "scale"
    }

    fn about(&self) -> About {
        About {
            summary: "The shape against the number of blocks and parameters (nips-fig25)",
            title: "The shape against size",
            stands_for: "Figure 25 of the NeurIPS version; v1's remark that deeper models are more robust",
            caption: "For each model, against its number of blocks: medians at depths 0.2 to 0.9 of relative accuracy after a drop and a swap, and of KL(plain ‖ block left out) in nats; and the relative depths at which local attention, prediction neurons, suppression neurons and the MLP's output peak.",
            paper_says: "The same pattern shows in models above 10B parameters. The first version adds that deeper models are more robust, which later versions do not repeat.",
        }
    }

    fn place(&self) -> Place {
        Place::beside(25, "")
    }

    fn needs(&self) -> Needs {
        Needs {
            corpus: true,
            tables: const {
                &[
                    TableId::of::<robustness::Record>(),
                    TableId::of::<attention_locality::Record>(),
                    TableId::of::<neurons::Record>(),
                    TableId::of::<mlp_norm::Record>(),
                ]
            },
            ..Needs::default()
        }
    }

    fn tables(&self) -> &'static [TableId] {
        const { &[TableId::of::<Record>()] }
    }

    fn derive(&self, tables: &mut Tables, models: &[Facts]) {
        *tables.of_mut() = measure::derive(tables, models);
    }

    fn finding(&self, tables: &Tables) -> Option<String> {
        let is_one = figure::depths(tables.of()) == 1;
        let told =
            "All models have the same number of blocks: there is nothing to draw against it.";
        is_one.then(|| told.to_owned())
    }

    fn drawings(&self, tables: &Tables) -> Vec<(String, Figure)> {
        figure::drawings(tables.of())
    }
}
