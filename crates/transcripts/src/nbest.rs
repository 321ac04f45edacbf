//! N-best lists: what a recogniser took each utterance to be, and what was said.

use std::collections::BTreeSet;

use crate::{ErrorCounts, Normaliser, TranscriptError, Vocabulary, WordId, distance};

/// One transcript that a recogniser proposes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Hypothesis {
    /// Its text, as the file has it.
    pub text: String,
    /// The recogniser's log-probability, on the lists' [scale](NBestLists::scale).
    pub score: Option<f64>,
}

/// What a recogniser made of one utterance.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Utterance {
    /// Unique among the lists; where the file names none, its place from 0.
    pub id: String,
    /// One or more, the best first.
    pub hypotheses: Vec<Hypothesis>,
    /// What was said.
    pub reference: Option<String>,
}

/// What the scores of a file stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScoreScale {
    /// There are none; the order of the hypotheses is all that is known.
    Absent,
    /// Mean log-probabilities of a token, in nats.
    Mean,
    /// Log-probabilities of whole transcripts, in nats.
    Sum,
}

/// What was odd in a file and did not keep it from being read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Oddities {
    /// Scores above 0, which no log-probability is.
    pub positive_scores: usize,
    /// Hypotheses without words.
    pub empty_hypotheses: usize,
    /// Keys of JSON objects that were not read; at most 16 are kept.
    pub unread_keys: BTreeSet<String>,
}

/// Lists of hypotheses, one list an utterance, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NBestLists {
    /// One or more.
    pub utterances: Vec<Utterance>,
    /// What their scores are; all have some or none has.
    pub scale: ScoreScale,
    /// What was odd.
    pub oddities: Oddities,
}

/// The distinct hypotheses of one utterance, as words.
///
/// Lists that a recogniser could not fill are often filled up with copies, so equal hypotheses count once: the first, with
/// its score.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DistinctList {
    /// One or more, the best first; words of hypotheses may be none.
    pub hypotheses: Vec<Vec<WordId>>,
    /// The recogniser's scores of them, where it gave some.
    pub scores: Option<Vec<f64>>,
    /// The words that were said, where that is known.
    pub reference: Option<Vec<WordId>>,
}

impl Utterance {
    /// Normalises texts into words of `vocabulary`, and drops repeated hypotheses.
    pub fn distinct(&self, normaliser: &Normaliser, vocabulary: &mut Vocabulary) -> DistinctList {
        let mut hypotheses: Vec<Vec<WordId>> = Vec::new();
        let mut scores = Vec::new();
        for hypothesis in &self.hypotheses {
            let words = vocabulary.add_all(normaliser.words(&hypothesis.text));
            if !hypotheses.contains(&words) {
                hypotheses.push(words);
                scores.extend(hypothesis.score);
            }
        }
        let reference = self
            .reference
            .as_ref()
            .map(|text| vocabulary.add_all(normaliser.words(text)));
        DistinctList {
            scores: (scores.len() == hypotheses.len()).then_some(scores),
            hypotheses,
            reference,
        }
    }
}

impl DistinctList {
    /// The words of each hypothesis, as a language model takes them.
    pub fn sentences<'v>(&self, vocabulary: &'v Vocabulary) -> Vec<Vec<&'v str>> {
        let hypotheses = self.hypotheses.iter();
        hypotheses.map(|words| vocabulary.words(words)).collect()
    }

    /// The fewest errors that a hypothesis of the list has; `None` without a reference.
    pub fn oracle_errors(&self) -> Option<usize> {
        let reference = self.reference.as_ref()?;
        let errors = self.hypotheses.iter();
        errors.map(|words| distance(reference, words)).min()
    }

    /// The errors of words against the reference; `None` without one.
    pub fn errors(&self, words: &[WordId]) -> Option<ErrorCounts> {
        let reference = self.reference.as_ref()?;
        Some(crate::errors(reference, words))
    }
}

impl NBestLists {
    /// Gives utterances the references of a table with a line for each id.
    ///
    /// # Errors
    ///
    /// An id that the lists do not have. An utterance without a line stays without a reference.
    pub fn set_references(
        &mut self,
        references: Vec<(String, String)>,
    ) -> Result<(), TranscriptError> {
        let places: std::collections::HashMap<String, usize> = (0..)
            .zip(&self.utterances)
            .map(|(place, utterance)| (utterance.id.clone(), place))
            .collect();
        for (line, (id, text)) in (1..).zip(references) {
            let Some(&place) = places.get(&id) else {
                let place = crate::Place::Line(line);
                return Err(TranscriptError::UnknownId { place, id });
            };
            self.utterances[place].reference = Some(text);
        }
        Ok(())
    }

    /// Checks that every id is that of an utterance.
    ///
    /// # Errors
    ///
    /// The first that is not.
    pub fn check_ids<'i>(
        &self,
        ids: impl IntoIterator<Item = &'i String>,
    ) -> Result<(), TranscriptError> {
        let utterances = self.utterances.iter();
        let known: BTreeSet<&str> = utterances.map(|utterance| utterance.id.as_str()).collect();
        let mut ids = ids.into_iter();
        match ids.find(|id| !known.contains(id.as_str())) {
            None => Ok(()),
            Some(id) => Err(TranscriptError::UnknownId {
                place: crate::Place::File,
                id: id.clone(),
            }),
        }
    }
}
