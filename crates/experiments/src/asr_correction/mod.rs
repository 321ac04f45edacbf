//! Correction of a recogniser's transcripts by a language model, behind a gate.
//!
//! - **Stands for** multi-stage correction of speech recognition (arXiv 2310.11532), as far as it goes without audio.
//! - **Needs** any models, and N-best lists in HyPoradise's JSON, or else a stand-in made from text.
//! - **Feeds the claims** M1 to M9.

mod as_written;
pub mod claims;
pub mod data;
mod errors;
pub mod figure;
mod measure;
pub mod outputs;
mod scores;
#[cfg(test)]
mod simulations;
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

/// The number of utterances of each set, from its beginning, for which the model writes corrections, as a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written(pub usize);

/// 40: a prompt is some twenty times as long as an utterance.
impl Default for Written {
    fn default() -> Self {
        Self(40)
    }
}

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
            caption: "A row for each set. First: word error rate in per cent against the model's share α, 95 % bands over utterances; dotted, from top to bottom: the best hypotheses, and the best hypothesis of each list and the best path of each lattice by the reference. Second: the rate when a share of the lists is sent to correction, the most doubtful first. Third: every system, with the 95 % interval over resampled utterances. What the model writes along lattices covers only the first utterances (as the table counts them), and what it writes freely is only in the table. Fourth: lists by the highest posterior of a hypothesis, separately for right and wrong best hypotheses. Except in the first chart, settings were chosen on other utterances.",
            paper_says: "A gate finds the utterances that a recogniser is unsure of, and a language model that corrects only those, under rules, lowers the word error rate without training.",
        }
    }

    fn needs(&self) -> Needs {
        Needs {
            data: Some("N-best lists of a recogniser (else a stand-in made from text)"),
            tokenizer: true,
            template: true,
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
        let sets = subject.data.get::<Sets>().into_iter();
        let odd = sets.flat_map(|Sets(sets)| sets).filter_map(|set| {
            let found = set.lists.oddities.positive_scores;
            (found > 0).then(|| {
                let name = &set.name;
                format!("{name}: {found} scores above 0, so that they are not log-probabilities")
            })
        });
        Ok(told.chain(odd).collect())
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
        figure::drawings(tables)
    }

    fn claims(&self) -> &'static [Claim] {
        claims::CLAIMS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asr_correction::table::Record;
    use crate::core::data::{Data, Shared};
    use crate::core::subject::Text;
    use crate::core::testing;
    use layerwise_corpus::{self as corpus, Options};
    use layerwise_journal::Shard;
    use layerwise_sweep::{Journals, Runner};
    use layerwise_transformer::{Model, ModelConfig};
    use std::path::PathBuf;

    #[test]
    fn shares_make_up_the_whole_where_the_context_holds_the_prompts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.txt");
        std::fs::write(&path, testing::documents().concat()).unwrap();
        let tokenizer = testing::tokenizer();
        let config = ModelConfig::tiny().with(|c| {
            c.vocab = 2048;
            c.context = 512;
        });
        let model = Model::random(config, 1);
        let options = Options::new(512, 2048);
        let corpus = corpus::read(&path, Some(&tokenizer), &options).unwrap();
        let Sets(mut sets) = Sets::standin(&testing::documents(), 3).unwrap().unwrap();
        // A second set has a share of its own.
        let mut other = sets[0].clone();
        other.name = "other".to_owned();
        other.lists.utterances.reverse();
        other.lists.utterances.truncate(2);
        sets.push(other);
        let mut data = Data::default();
        data.insert(Sets(sets));
        let measured = |runner: Runner<'_>| {
            let mut runs = testing::runs(&model, 1);
            runs.runner = runner;
            let subject = Subject {
                model: &model,
                name: "m",
                tokenizer: Some(&tokenizer),
                text: Text {
                    path: &path,
                    options: &options,
                    corpus: &corpus,
                    bos: None,
                    most_tokens: None,
                },
                other_text: None,
                bos: None,
                is_bos_asked: false,
                end_tokens: Vec::new(),
                template: None,
                data: &data,
                runs,
                clock: None,
                shared: Shared::default(),
            };
            let mut tables = Tables::default();
            let told = AsrCorrection.measure(&subject, &Passes::default(), &mut tables);
            told.map(|_| tables.of::<Record>().to_vec())
        };
        assert!(AsrCorrection.has_items());
        let expected = measured(Runner::new()).unwrap();
        let written = |mode: &str| expected.iter().filter(|r| r.mode == mode).count();
        assert_eq!((written("generate"), written("constrained")), (2, 2));

        let shares: Vec<PathBuf> = (1..=2)
            .map(|k| {
                let own = folder.path().join(format!("share-{k}"));
                let shard: Shard = format!("{k}/2").parse().unwrap();
                let journals = Journals::Folder(own.clone());
                let found = measured(Runner::new().shard(shard).journals(journals));
                assert!(
                    matches!(found, Err(ExperimentError::ShareFinished)),
                    "{found:?}"
                );
                own
            })
            .collect();
        let merged = |shares: &[PathBuf], out: &str| {
            let journals = Journals::Folder(folder.path().join(out));
            let runner = Runner::new().journals(journals).only_taken_up(true);
            measured(runner.taking_up(shares.to_vec()))
        };
        assert_eq!(merged(&shares, "whole").unwrap(), expected);
        let half = merged(&shares[..1], "half").unwrap_err().to_string();
        assert!(half.contains("standin-nbest: "), "{half}");
    }
}
