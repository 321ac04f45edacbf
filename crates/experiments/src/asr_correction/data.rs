//! N-best lists: from files, and a stand-in made from the embedded text.
//!
//! In the stand-in, `standin-nbest`, 12 consecutive words of the text are the reference, with five hypotheses. In each
//! hypothesis every word may be replaced by a neighbour in the alphabetical list of the text's words, be dropped, or come
//! twice, with a total probability of 0.1. Each error lowers a hypothesis' score by 0.02 nats a token, and by as much again
//! times a random number, so that the best hypothesis is not always first. Nobody else uses this stand-in, and its rates
//! compare with nothing published.

use crate::core::data::{Limit, Source};
use crate::core::error::{ExperimentError, Place};
use layerwise_corpus as corpus;
use layerwise_transcripts::{Limits, NBestLists, read_hyporadise};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Words of an utterance.
const WORDS: usize = 12;
/// Hypotheses of an utterance.
const HYPOTHESES: usize = 5;
/// The probability that a word is replaced, and the probability that it is dropped or comes twice.
const SUBSTITUTED: f64 = 0.07;
const DROPPED: f64 = 0.015;
const TWICE: f64 = 0.015;
/// The cost of an error in the score, in nats a token.
const COST: f64 = 0.02;

/// The files of HyPoradise that are read, without their extensions.
const NAMES: [&str; 6] = [
    "test_wsj_score",
    "test_atis",
    "test_chime4",
    "test_td3",
    "test_ls_clean",
    "test_ls_other",
];

/// The name of the stand-in.
pub(super) const STANDIN: &str = "standin-nbest";

/// Sets of HyPoradise, or the stand-in.
pub(crate) static SOURCE: Source = Source {
    option: "asr",
    help: "A folder with sets of HyPoradise, any of test_wsj_score.json, test_atis.json, test_chime4.json, test_td3.json, test_ls_clean.json and test_ls_other.json; settings are chosen on train_NAME.json next to test_NAME.json, else on the other half [default: a stand-in from the embedded text]",
    title: "N-best lists of a recogniser",
    limit: Limit {
        option: "asr-items",
        help: "Take the first N lists of each set of a recogniser [default: 40]",
        least: 2,
        default: Some(40),
    },
    read: |folder, most, data| {
        let files = NAMES.map(|name| folder.join(format!("{name}.json")));
        let files: Vec<PathBuf> = files.into_iter().filter(|file| file.is_file()).collect();
        if files.is_empty() {
            let expected = format!("one of {}, each .json", NAMES.join(", "));
            return Err(ExperimentError::unexpected(expected, "none"))
                .at(|| folder.display().to_string());
        }
        let most = most.unwrap_or(usize::MAX);
        data.insert(Sets::from_files(folder, &files, most)?);
        let training: Vec<PathBuf> = files.iter().filter_map(|file| training(file)).collect();
        Ok([files, training].concat())
    },
    stand_in: |documents, most, data| {
        // Text always has the form of lists.
        if let Ok(Some(sets)) = Sets::standin(documents, most.unwrap_or(usize::MAX)) {
            data.insert(sets);
        }
    },
};

/// The file next to `test_NAME.json` on whose lists settings are chosen, if it is there.
fn training(file: &Path) -> Option<PathBuf> {
    let name = file.file_stem()?.to_string_lossy();
    let name = name.strip_prefix("test_")?;
    let training = file.with_file_name(format!("train_{name}.json"));
    training.is_file().then_some(training)
}

/// Sets of lists.
#[derive(Clone, Debug, PartialEq)]
pub struct Sets(pub Vec<Set>);

/// Lists of one set.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    /// Its name.
    pub name: String,
    /// The lists that are corrected.
    pub lists: NBestLists,
    /// Other lists, on which settings are chosen; without them, each half's settings are chosen on the other half.
    pub training: Option<NBestLists>,
}

impl Sets {
    /// The first `most` lists of a folder's files in HyPoradise's JSON, each a set with its file's name. If `train_NAME.json` lies
    /// next to `test_NAME.json`, its first `most` lists choose the settings.
    ///
    /// # Errors
    /// A file breaks its format, is a link out of the folder, or its lists have no reference; the error names the file.
    pub fn from_files(
        folder: &Path,
        files: &[PathBuf],
        most: usize,
    ) -> Result<Self, ExperimentError> {
        let mut sets = Vec::new();
        for file in files {
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            let training = training(file);
            sets.push(Set {
                lists: read(folder, file, most)?,
                training: training.map(|file| read(folder, &file, most)).transpose()?,
                name: name.into_owned(),
            });
        }
        Ok(Self(sets))
    }

    /// The stand-in, with `most` utterances; `None` if the text is too short for two.
    ///
    /// # Errors
    /// None for text; the type is that of the reader of lists.
    pub fn standin(documents: &[String], most: usize) -> Result<Option<Self>, ExperimentError> {
        let own =
            |word: &&str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_lowercase());
        let runs = documents
            .iter()
            .map(|text| text.split_whitespace().filter(own).collect());
        let runs: Vec<Vec<&str>> = runs.collect();
        let known: BTreeSet<&str> = runs.iter().flatten().copied().collect();
        let known: Vec<&str> = known.into_iter().collect();
        let said: Vec<&[&str]> = runs
            .iter()
            .flat_map(|run| run.chunks_exact(WORDS))
            .collect();
        let count = most.min(said.len());
        if count < 2 {
            return Ok(None);
        }
        let mut random = ChaCha8Rng::seed_from_u64(0);
        // Spread evenly over the text.
        let lists = (0..count).map(|at| list(said[at * said.len() / count], &known, &mut random));
        let lists = Value::Array(lists.collect()).to_string();
        let lists = read_hyporadise(lists.as_bytes(), &Limits::default())?;
        Ok(Some(Self(vec![Set {
            name: STANDIN.to_owned(),
            lists,
            training: None,
        }])))
    }
}

/// The first lists of a folder's file.
fn read(folder: &Path, file: &Path, most: usize) -> Result<NBestLists, ExperimentError> {
    let place = || file.display().to_string();
    let text = corpus::read_text_in(folder, file)?;
    let lists = read_hyporadise(text.as_bytes(), &Limits::default()).at(place)?;
    first(lists, most).at(place)
}

fn first(mut lists: NBestLists, most: usize) -> Result<NBestLists, ExperimentError> {
    lists.utterances.truncate(most.max(1));
    let has_reference = lists
        .utterances
        .iter()
        .any(|utterance| utterance.reference.is_some());
    match has_reference {
        true => Ok(lists),
        false => Err(ExperimentError::unexpected("lists with references", "none")),
    }
}

/// A number from 0 to 1.
fn share(random: &mut ChaCha8Rng) -> f64 {
    f64::from(random.next_u32()) / f64::from(u32::MAX)
}

fn list(said: &[&str], known: &[&str], random: &mut ChaCha8Rng) -> Value {
    let mut hypotheses: Vec<(f64, String)> = (0..HYPOTHESES)
        .map(|_| {
            let (mut words, mut errors) = (Vec::new(), 0);
            for &word in said {
                let drawn = share(random);
                errors += usize::from(drawn < SUBSTITUTED + DROPPED + TWICE);
                if drawn < SUBSTITUTED {
                    let at = known.partition_point(|other| *other < word);
                    let other = if at + 1 < known.len() {
                        at + 1
                    } else {
                        at.saturating_sub(1)
                    };
                    words.push(known[other]);
                } else if drawn < SUBSTITUTED + DROPPED {
                    // The word is dropped.
                } else if drawn < SUBSTITUTED + DROPPED + TWICE {
                    words.extend([word, word]);
                } else {
                    words.push(word);
                }
            }
            let score = -0.1 - COST * (errors as f64 + 2.0 * share(random));
            (score, words.join(" "))
        })
        .collect();
    hypotheses.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (scores, texts): (Vec<f64>, Vec<String>) = hypotheses.into_iter().unzip();
    json!({"input": texts, "score": scores, "output": said.join(" ")})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::documents;
    use layerwise_transcripts::{Normaliser, ScoreScale, Vocabulary};

    #[test]
    fn the_standin_has_lists_that_can_be_corrected() {
        let Sets(sets) = Sets::standin(&documents(), 60).unwrap().unwrap();
        let [Set { name, lists, .. }] = sets.as_slice() else {
            panic!("one set");
        };
        assert_eq!((name.as_str(), lists.utterances.len()), (STANDIN, 60));
        assert_eq!(lists.scale, ScoreScale::Mean);
        let mut vocabulary = Vocabulary::new();
        let (mut best, mut oracle) = (0, 0);
        for utterance in &lists.utterances {
            let list = utterance.distinct(&Normaliser::Norm, &mut vocabulary);
            best += list.errors(&list.hypotheses[0]).unwrap().errors();
            oracle += list.oracle_errors().unwrap() as u64;
        }
        assert!(best > oracle && oracle > 0, "{best}, {oracle}");
        assert_eq!(Sets::standin(&["too short".to_owned()], 60).unwrap(), None);
        assert_eq!(Sets::standin(&documents(), 60).unwrap(), Some(Sets(sets)));
    }

    #[test]
    fn lists_for_training_stand_beside_those_of_a_test() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let file = folder.path().join(name);
            let list = format!("{{\"input\": [\"{text}\"], \"output\": \"{text}\"}}");
            std::fs::write(&file, format!("[{list}, {list}, {list}]")).unwrap();
            file
        };
        let files = [file("test_atis.json", "a"), file("test_td3.json", "b")];
        file("train_atis.json", "c");
        let Sets(sets) = Sets::from_files(folder.path(), &files, 2).unwrap();
        let told: Vec<(&str, usize, Option<usize>)> = sets
            .iter()
            .map(|set| {
                let training = set.training.as_ref().map(|lists| lists.utterances.len());
                (set.name.as_str(), set.lists.utterances.len(), training)
            })
            .collect();
        assert_eq!(told, [("test_atis", 2, Some(2)), ("test_td3", 2, None)]);
    }

    #[test]
    fn lists_without_references_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lists.json");
        std::fs::write(&file, "[{\"input\": [\"a\"]}]").unwrap();
        let error = Sets::from_files(folder.path(), &[file], 5)
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with("lists.json: expected lists with references, found none"),
            "{error}"
        );
    }
}
