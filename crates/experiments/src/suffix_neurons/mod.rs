//! Neurons that promote or suppress one ending, "-ing", from the weights alone.
//!
//! - **Stands for** Figure 21 of the NeurIPS version and v1's figure of the 36 neurons, and the histograms of v1's "-ing" figure.
//! - **Needs** any models and their tokenizers, no text.
//! - **Computes** for every neuron with kurtosis above 10 or variance above 0.005 (B.9) the mean of its output weights'
//!   products with the columns of W_U over the tokens whose stripped, lower-cased text has the ending, minus the mean over
//!   the other tokens; records the 36 of largest size, with histograms of 100 bins.
//!   The first suppression and the first prediction neuron among them, those of v1's histograms in GPT-2 XL, are also drawn
//!   side by side.
//! - **Feeds** `suffix-probe`, which probes the first 32.

pub mod figure;
mod known;
pub mod measure;
mod table;

pub use table::{Bin, Record};

use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes, Place};
use crate::core::known::Quantity;
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct SuffixNeurons;

register!(SuffixNeurons);

impl Experiment for SuffixNeurons {
    fn id(&self) -> &'static str {
        "suffix-neurons"
    }

    fn about(&self) -> About {
        About {
            summary: "The neurons that move the ending “-ing” most (nips-fig21, v1-fig-top36)",
            title: "Neurons that move the ending “-ing” most",
            stands_for: "Figure 21 of the NeurIPS version; v1's figure of 36 neurons and its histograms",
            caption: "For each neuron, a histogram over tokens of the change of the logit for a unit of activation: tokens that end in “-ing” and the others, on a logarithmic count axis. The 36 neurons with the largest difference of means among those with kurtosis above 10 or variance above 0.005. From the weights alone.",
            paper_says: "In the second half of GPT-2 XL, prediction neurons raise the tokens of the ending and suppression neurons lower them; of the first 32, 23 are of the first kind and 9 of the second.",
        }
    }

    fn place(&self) -> Place {
        Place::beside(12, "a, single neurons")
    }

    fn needs(&self) -> Needs {
        Needs {
            tokenizer: true,
            ..Needs::default()
        }
    }

    fn tables(&self) -> &'static [TableId] {
        const { &[TableId::of::<Record>(), TableId::of::<Bin>()] }
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

    fn known(&self) -> &'static [Quantity] {
        known::QUANTITIES
    }
}
