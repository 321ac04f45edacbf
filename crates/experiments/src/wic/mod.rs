//! Whether a word has the same sense in two contexts, read from each residual stream.
//!
//! - **Stands for** Figures 7a and 18 of the NeurIPS version, and v3's WiC figure.
//! - **Needs** any models, and word-in-context pairs: the real set from its folder, else a stand-in made from text.
//! - **Feeds the claims** D12, D13.

pub mod claims;
pub mod data;
pub mod figure;
mod measure;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;

pub use table::{Method, Record, curve};

use crate::core::claim::Claim;
use crate::core::data::Source;
use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes, Place};
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use data::Pairs;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct Wic;

register!(Wic);

impl Experiment for Wic {
    fn id(&self) -> &'static str {
        "wic"
    }

    fn about(&self) -> About {
        About {
            summary: "Word senses, probed at each depth (nips-fig7a, nips-fig18)",
            title: "Word senses at each depth",
            stands_for: "Figures 7a and 18 of the NeurIPS version; v3's WiC figure",
            caption: "Accuracy, chance 0.5, of telling whether a word has one sense in two contexts, from the residual streams of the word's tokens; by a linear probe, and by a threshold on the cosine, against s/L. Bands are one standard error, clustered by word.",
            paper_says: "Accuracy rises early, peaks in the middle of the model and then falls: semantic features are built before predictions.",
        }
    }

    fn place(&self) -> Place {
        Place::beside(7, "a")
    }

    fn needs(&self) -> Needs {
        Needs {
            data: Some("word-in-context pairs (else a stand-in made from text)"),
            tokenizer: true,
            ..Needs::default()
        }
    }

    fn source(&self) -> Option<&'static Source> {
        Some(&data::SOURCE)
    }

    fn tables(&self) -> &'static [TableId] {
        const { &[TableId::of::<Record>()] }
    }

    fn announce(&self, subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
        let pairs = subject.data.get::<Pairs>().into_iter();
        let told = pairs.map(|pairs| {
            let [train, dev, test] = [&pairs.train, &pairs.dev, &pairs.test].map(Vec::len);
            format!("word senses: {train} pairs, then {dev} and {test}")
        });
        Ok(told.collect())
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
        measure::measure(subject, tables)?;
        Ok(Vec::new())
    }

    fn drawings(&self, tables: &Tables) -> Vec<(String, Figure)> {
        figure::drawings(tables.of())
    }

    fn claims(&self) -> &'static [Claim] {
        claims::CLAIMS
    }
}
