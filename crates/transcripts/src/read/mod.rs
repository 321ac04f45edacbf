//! Strict readers of lists and transcripts.
//!
//! Files are not trusted. Every count has a [limit](Limits) that is checked before the counted item is stored. Whatever breaks
//! the format is an error that names the utterance or line, the field, and what was expected and found.

mod columns;
mod corrections;
mod json;
mod kaldi;

use std::io::Read;

pub use columns::{read_columns, read_table};
pub use corrections::read_corrections;
pub use json::read_hyporadise;
pub use kaldi::read_kaldi;

use crate::nbest::{Hypothesis, NBestLists, Oddities, ScoreScale, Utterance};
use crate::{Place, TranscriptError};

/// The limits of a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest number of bytes of a file.
    pub bytes: u64,
    /// The largest number of utterances of a file.
    pub utterances: usize,
    /// The largest number of hypotheses of one utterance.
    pub hypotheses: usize,
    /// The largest number of hypotheses of all utterances.
    pub all_hypotheses: usize,
    /// The largest number of words, separated by white space, of a hypothesis or reference.
    pub words: usize,
    /// The largest number of bytes of a hypothesis or reference. A normaliser also separates words where there is no white
    /// space, and aligning two texts takes memory in the product of their words.
    pub text_bytes: usize,
}

impl Default for Limits {
    /// 128 MiB, 2²⁰ utterances, 1,000 hypotheses per utterance and 2²² in all, 512 words and 8 KiB of a text.
    fn default() -> Self {
        Self {
            bytes: 1 << 27,
            utterances: 1 << 20,
            hypotheses: 1000,
            all_hypotheses: 1 << 22,
            words: 512,
            text_bytes: 1 << 13,
        }
    }
}

/// Reads a whole text, without a byte order mark at its beginning.
fn read_text(input: impl Read, limits: &Limits) -> Result<String, TranscriptError> {
    let mut bytes = Vec::new();
    // One byte more shows that the limit is exceeded.
    input.take(limits.bytes + 1).read_to_end(&mut bytes)?;
    check(Place::File, "bytes", limits.bytes, bytes.len() as u64)?;
    let mut text = String::from_utf8(bytes).map_err(|error| TranscriptError::Format {
        place: Place::File,
        expected: "UTF-8".to_owned(),
        found: format!(
            "other bytes after the first {}",
            error.utf8_error().valid_up_to()
        ),
    })?;
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(text)
}

fn check(place: Place, unit: &'static str, limit: u64, found: u64) -> Result<(), TranscriptError> {
    match found > limit {
        true => Err(TranscriptError::TooMany {
            place,
            unit,
            limit,
            found,
        }),
        false => Ok(()),
    }
}

/// Checks the size of a hypothesis or reference.
fn check_text(place: &Place, text: &str, limits: &Limits) -> Result<(), TranscriptError> {
    let (bytes, words) = (text.len() as u64, text.split_whitespace().count() as u64);
    let most = limits.text_bytes as u64;
    check(place.clone(), "bytes of a text", most, bytes)?;
    check(place.clone(), "words", limits.words as u64, words)
}

/// A part of a text that is short enough for a message.
fn excerpt(text: &str) -> String {
    let end = text.char_indices().nth(60).map_or(text.len(), |(at, _)| at);
    format!("`{}`", text[..end].escape_debug())
}

/// The JSON reader's message, of which a long middle is left out: it quotes whole texts of the file.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = |found: Option<(usize, char)>| found.map(|(at, _)| at);
    let beginning = place(text.char_indices().nth(200));
    let end = place(text.char_indices().nth_back(100));
    match beginning.zip(end) {
        Some((beginning, end)) if beginning < end => {
            format!("{}…{}", &text[..beginning], &text[end..])
        }
        _ => text,
    }
}

/// Lists while they are read.
struct Collection<'a> {
    limits: &'a Limits,
    utterances: Vec<Utterance>,
    ids: std::collections::HashSet<String>,
    hypotheses: usize,
    oddities: Oddities,
    /// The utterance whose lines are being read: the place of the first, and its id.
    current: Option<(Place, String, Vec<Hypothesis>)>,
}

impl<'a> Collection<'a> {
    fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            utterances: Vec::new(),
            ids: std::collections::HashSet::new(),
            hypotheses: 0,
            oddities: Oddities::default(),
            current: None,
        }
    }

    /// Goes to a line of the utterance `id`, whose lines are consecutive; returns the number of its hypotheses before it.
    fn begin(&mut self, place: &Place, id: &str) -> Result<usize, TranscriptError> {
        let current = self.current.as_ref().filter(|(_, before, _)| before == id);
        if let Some((_, _, hypotheses)) = current {
            return Ok(hypotheses.len());
        }
        self.end()?;
        self.check_room(place)?;
        self.current = Some((place.clone(), id.to_owned(), Vec::new()));
        Ok(0)
    }

    /// Adds the line's hypothesis.
    fn add(&mut self, text: &str, score: Option<f64>) {
        if let Some((_, _, hypotheses)) = &mut self.current {
            let text = text.to_owned();
            hypotheses.push(Hypothesis { text, score });
        }
    }

    /// Adds the utterance whose lines were read last.
    fn end(&mut self) -> Result<(), TranscriptError> {
        match self.current.take() {
            None => Ok(()),
            Some((place, id, hypotheses)) => self.push(&place, Some(id), hypotheses, None),
        }
    }

    /// Checks that there is room for one more utterance.
    fn check_room(&self, place: &Place) -> Result<(), TranscriptError> {
        let found = self.utterances.len() as u64 + 1;
        check(
            place.clone(),
            "utterances",
            self.limits.utterances as u64,
            found,
        )
    }

    /// Checks that an utterance with `before` hypotheses has room for one more.
    fn check_hypothesis(&self, place: &Place, before: usize) -> Result<(), TranscriptError> {
        let (one, all) = (before as u64 + 1, (self.hypotheses + before) as u64 + 1);
        check(
            place.clone(),
            "hypotheses of one utterance",
            self.limits.hypotheses as u64,
            one,
        )?;
        check(
            place.clone(),
            "hypotheses of the file",
            self.limits.all_hypotheses as u64,
            all,
        )
    }

    /// Adds an utterance with at least one hypothesis.
    fn push(
        &mut self,
        place: &Place,
        id: Option<String>,
        hypotheses: Vec<Hypothesis>,
        reference: Option<String>,
    ) -> Result<(), TranscriptError> {
        let id = id.unwrap_or_else(|| self.utterances.len().to_string());
        if !self.ids.insert(id.clone()) {
            let place = place.clone();
            return Err(TranscriptError::RepeatedId { place, id });
        }
        self.hypotheses += hypotheses.len();
        for hypothesis in &hypotheses {
            let is_positive = hypothesis.score.is_some_and(|score| score > 0.0);
            self.oddities.positive_scores += usize::from(is_positive);
            let is_empty = hypothesis.text.trim().is_empty();
            self.oddities.empty_hypotheses += usize::from(is_empty);
        }
        self.utterances.push(Utterance {
            id,
            hypotheses,
            reference,
        });
        Ok(())
    }

    /// The lists; at least one is required.
    fn finish(self, scale: ScoreScale) -> Result<NBestLists, TranscriptError> {
        if self.utterances.is_empty() {
            return Err(TranscriptError::Format {
                place: Place::File,
                expected: "at least one utterance".to_owned(),
                found: "none".to_owned(),
            });
        }
        Ok(NBestLists {
            utterances: self.utterances,
            scale,
            oddities: self.oddities,
        })
    }
}
