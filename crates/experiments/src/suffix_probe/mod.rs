//! Probes for the ending "-ing" of the next token, from single neurons and from ensembles.
//!
//! - **Stands for** Figure 12a (9) of the NeurIPS version, and v1's and v3's "-ing" figures.
//! - **Needs** any models and any text with enough words of that ending; the neurons of `suffix-neurons` (GPT-2 XL: the published list).
//! - **Feeds the claims** D19, D20.

mod chosen;
pub mod claims;
pub mod figure;
mod measure;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;

pub use table::Record;

use crate::core::claim::Claim;
use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes, Place};
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use crate::suffix_neurons;
use layerwise_plot::Figure;
use layerwise_sweep::cost;

/// See the [module](self).
pub struct SuffixProbe;

register!(SuffixProbe);

impl Experiment for SuffixProbe {
    fn id(&self) -> &'static str {
        "suffix-probe"
    }

    fn about(&self) -> About {
        About {
            summary: "Probes for the ending “-ing” of the next token (nips-fig12a, v1-fig-ing)",
            title: "Probes for the ending “-ing”",
            stands_for: "Figure 12a (9) of the NeurIPS version; v1's and v3's “-ing” figures",
            caption: "Accuracy, chance 0.5, of telling from the activations of MLP neurons at the last token of the context whether the next token ends in “-ing”. Points: probes on single neurons. Line: probes on the best k neurons. Dotted: the model's own prediction. Classes are balanced; a document is never in both the training and the test part.",
            paper_says: "The best single probes are suppression neurons and are about as good as the model; ensembles of prediction neurons beat single ones and sometimes the model.",
        }
    }

    fn place(&self) -> Place {
        Place::beside(12, "a")
    }

    fn needs(&self) -> Needs {
        Needs {
            corpus: true,
            tokenizer: true,
            tables: const { &[TableId::of::<suffix_neurons::Record>()] },
            ..Needs::default()
        }
    }

    fn tables(&self) -> &'static [TableId] {
        const { &[TableId::of::<Record>()] }
    }

    fn announce(&self, subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
        Ok(vec![format!("contexts of an ending: {}", subject.text)])
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
        figure::drawings(tables.of())
    }

    fn claims(&self) -> &'static [Claim] {
        claims::CLAIMS
    }
}
