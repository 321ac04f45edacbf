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
mod writing;

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
            caption: "A row for each set. First: word error rate in per cent against the model's share α, bands of one standard error over utterances; dotted, from above: the best hypotheses, and by the reference the best of each list and of each lattice. Second: the rate where some share of the lists is sent to correction, the most doubtful first. Third: every system; bars are half of the 95 % interval over resampled utterances, divided by 1.96; what the model writes is of the first 40 utterances alone. Fourth: lists by the highest posterior of a hypothesis, those of a right best hypothesis and those of a wrong one. Settings were chosen on other utterances, but in the first chart.",
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
                TableId::of::<table::AlphaRecord>(),
                TableId::of::<table::ShareRecord>(),
                TableId::of::<table::ConfidenceRecord>(),
            ]
        }
    }

    fn announce(&self, subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
        let sets = subject.data.get::<Sets>().into_iter();
        let told = sets.flat_map(|Sets(sets)| sets).map(|set| {
            let lists = set.lists.utterances.len();
            let settings = match &set.training {
                Some(training) => {
                    format!("{} others choose the settings", training.utterances.len())
                }
                None => "each half chooses the settings of the other".to_owned(),
            };
            format!("transcripts: {lists} lists of {}; {settings}", set.name)
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
