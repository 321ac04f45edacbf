//! N-best lists: a recogniser's hypotheses for each utterance, and its reference.

use std::collections::BTreeSet;

use crate::{ErrorCounts, Normaliser, TranscriptError, Vocabulary, WordId, distance};

/// One transcript that a recogniser proposes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Hypothesis {
    /// Its text, as in the file.
    pub text: String,
    /// The recogniser's log-probability, on the lists' [scale](NBestLists::scale).
    pub score: Option<f64>,
}

/// A recogniser's hypotheses for one utterance.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Utterance {
    /// Unique among the lists; if the file gives none, its index from 0.
    pub id: String,
    /// At least one, the best first.
    pub hypotheses: Vec<Hypothesis>,
    /// The reference transcript.
    pub reference: Option<String>,
}

/// A line of a table of two columns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// Its number in the file, from 1.
    pub line: usize,
    /// Its first word.
    pub id: String,
    /// What follows the white space, to the end of the line.
    pub text: String,
}

/// The meaning of a file's scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScoreScale {
    /// There are no scores; only the order of the hypotheses is known.
    Absent,
    /// Mean log-probabilities per token, in nats.
    Mean,
    /// Log-probabilities of whole transcripts, in nats.
    Sum,
}

/// Peculiarities of a file that did not prevent reading it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Oddities {
    /// The number of scores above 0, which cannot be log-probabilities.
    pub positive_scores: usize,
    /// The number of hypotheses without words.
    pub empty_hypotheses: usize,
    /// Keys of JSON objects that were ignored, at most 16 of them.
    pub unread_keys: BTreeSet<String>,
}

/// Lists of hypotheses, one per utterance, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NBestLists {
    /// At least one.
    pub utterances: Vec<Utterance>,
    /// The meaning of the scores; either all lists have scores or none has.
    pub scale: ScoreScale,
    /// Peculiarities of the file.
    pub oddities: Oddities,
}

/// The distinct hypotheses of one utterance, as words.
///
/// Recognisers often fill up short lists with copies, so equal hypotheses count once: the first, with its score.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DistinctList {
    /// At least one, the best first; a hypothesis may have no words.
    pub hypotheses: Vec<Vec<WordId>>,
    /// The recogniser's scores of them, if it gave any.
    pub scores: Option<Vec<f64>>,
    /// The words of the reference, if known.
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

    /// The smallest number of errors of a hypothesis in the list; `None` without a reference.
    pub fn oracle_errors(&self) -> Option<usize> {
        let reference = self.reference.as_ref()?;
        let errors = self.hypotheses.iter();
        errors.map(|words| distance(reference, words)).min()
    }

    /// The errors of words against the reference; `None` without a reference.
    pub fn errors(&self, words: &[WordId]) -> Option<ErrorCounts> {
        let reference = self.reference.as_ref()?;
        Some(crate::errors(reference, words))
    }
}

impl NBestLists {
    /// Gives utterances the references of a table, by id.
    ///
    /// # Errors
    ///
    /// The lists lack an id. An utterance without an entry has no reference.
    ///
    /// ```
    /// use layerwise_transcripts::{Limits, Normaliser, Vocabulary, read_columns, read_table};
    ///
    /// let limits = Limits::default();
    /// let mut lists = read_columns(&b"u1 show me fights\nu1 show me flights\n"[..], &limits)?;
    /// lists.set_references(read_table(&b"u1 show me flights\n"[..], &limits)?)?;
    /// let list = lists.utterances[0].distinct(&Normaliser::Norm, &mut Vocabulary::new());
    /// assert_eq!(list.oracle_errors(), Some(0)); // the second hypothesis is right
    /// # Ok::<(), layerwise_transcripts::TranscriptError>(())
    /// ```
    pub fn set_references(&mut self, references: Vec<Row>) -> Result<(), TranscriptError> {
        let places: std::collections::HashMap<String, usize> = (0..)
            .zip(&self.utterances)
            .map(|(place, utterance)| (utterance.id.clone(), place))
            .collect();
        for Row { line, id, text } in references {
            let Some(&place) = places.get(&id) else {
                let place = crate::Place::Line(line);
                return Err(TranscriptError::UnknownId { place, id });
            };
            self.utterances[place].reference = Some(text);
        }
        Ok(())
    }

    /// Checks that every id belongs to an utterance.
    ///
    /// # Errors
    ///
    /// The first id that does not.
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
