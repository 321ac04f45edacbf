//! Correction of a recogniser's transcripts by a language model, behind a gate.
//!
//! - **Stands for** multi-stage correction of speech recognition (arXiv 2310.11532), as far as it goes without audio.
//! - **Needs** any models, and N-best lists in HyPoradise's JSON: those that are given, else a stand-in made from text.
//! - **Feeds the claims** M1 to M9.

pub mod claims;
pub mod data;
pub mod figure;
mod measure;
#[cfg(test)]
pub(crate) mod synthetic;
pub mod table;

use crate::core::claim::Claim;
use crate::core::data::Source;
use crate::core::error::ExperimentError;
use crate::core::experiment::{About, Experiment, Needs, Passes};
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use data::Sets;
use layerwise_plot::Figure;

/// See the [module](self).
pub struct AsrCorrection;

register!(AsrCorrection);

impl Experiment for AsrCorrection {
    fn id(&self) -> &'static str {
        "asr-correction"
    }

    fn about(&self) -> About {
        About {
            summary: "Transcripts corrected along word lattices behind a gate (arXiv 2310.11532)",
            title: "Correction of a recogniser's transcripts",
            stands_for: "multi-stage correction for speech recognition (arXiv 2310.11532)",
            caption: "Word error rate in per cent of the best hypotheses, of the vote of all, of the hypothesis that recogniser and model choose, of the path of the word lattice that they choose, of that path with as many words as the best hypothesis, and of the lattice behind the gate; bars are half of the 95 % interval over resampled utterances, divided by 1.96. Dotted lines: the best hypothesis and the best path by the reference. Settings were chosen on the other half of the utterances.",
            paper_says: "A gate finds the utterances that a recogniser is unsure of, and a language model that corrects those alone, under rules, lowers the word error rate without training.",
        }
    }

    fn needs(&self) -> Needs {
        Needs {
            data: Some("N-best lists of a recogniser (else a stand-in made from text)"),
            tokenizer: true,
            ..Needs::default()
        }
    }

    fn source(&self) -> Option<&'static Source> {
        Some(&data::SOURCE)
    }

    fn tables(&self) -> &'static [TableId] {
        const {
            &[
                TableId::of::<table::Record>(),
                TableId::of::<table::GateRecord>(),
            ]
        }
    }

    fn announce(&self, subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
        let sets = subject.data.get::<Sets>().into_iter();
        let told = sets.flat_map(|Sets(sets)| sets).map(|(name, lists)| {
            format!("transcripts: {} lists of {name}", lists.utterances.len())
        });
        Ok(told.collect())
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
        figure::drawings(tables)
    }

    fn claims(&self) -> &'static [Claim] {
        claims::CLAIMS
    }
}
