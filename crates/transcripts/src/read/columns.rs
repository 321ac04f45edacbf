//! Two columns: an id, white space, and a text to the end of the line.

use std::collections::HashSet;
use std::io::Read;

use super::{Collection, Limits, check, excerpt, read_text};
use crate::nbest::{Hypothesis, NBestLists, ScoreScale};
use crate::{Place, TranscriptError};

/// The non-empty lines: number, first word, and the trimmed rest.
pub(super) fn rows(text: &str) -> impl Iterator<Item = (Place, &str, &str)> {
    let numbered = (1..).zip(text.lines());
    numbered.filter_map(|(number, line)| {
        let line = line.trim();
        let (id, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        (!id.is_empty()).then_some((Place::Line(number), id, rest.trim_start()))
    })
}

/// Reads lists in two columns. The lines of one id are consecutive and hold its hypotheses, the best first.
///
/// A line with an id alone is a hypothesis without words. There are no scores and no references.
///
/// # Errors
///
/// The text is not UTF-8, there are no lines, the lines of an id are not consecutive, or a limit is exceeded.
///
/// ```
/// use layerwise_transcripts::{Limits, read_columns};
///
/// let lists = read_columns(&b"u1 show me\nu1 show\nu2 list\n"[..], &Limits::default())?;
/// let numbers: Vec<usize> = lists.utterances.iter().map(|own| own.hypotheses.len()).collect();
/// assert_eq!(numbers, [2, 1]);
/// # Ok::<(), layerwise_transcripts::TranscriptError>(())
/// ```
pub fn read_columns(input: impl Read, limits: &Limits) -> Result<NBestLists, TranscriptError> {
    let text = read_text(input, limits)?;
    let mut collection = Collection::new(limits);
    let mut current: Option<(Place, &str, Vec<Hypothesis>)> = None;
    for (place, id, text) in rows(&text) {
        if current.as_ref().is_none_or(|(_, before, _)| *before != id) {
            if let Some((place, id, hypotheses)) = current.take() {
                collection.push(&place, Some(id.to_owned()), hypotheses, None)?;
            }
            collection.check_room(&place)?;
            current = Some((place.clone(), id, Vec::new()));
        }
        let Some((_, _, hypotheses)) = &mut current else {
            continue;
        };
        collection.check_hypothesis(&place, hypotheses.len())?;
        collection.check_words(&place, text)?;
        let (text, score) = (text.to_owned(), None);
        hypotheses.push(Hypothesis { text, score });
    }
    if let Some((place, id, hypotheses)) = current {
        collection.push(&place, Some(id.to_owned()), hypotheses, None)?;
    }
    collection.finish(ScoreScale::Absent)
}

/// Reads a table of two columns with one line for each id: references, or the transcripts of a system.
///
/// # Errors
///
/// The text is not UTF-8, an id occurs on two lines, or a limit is exceeded.
pub fn read_table(
    input: impl Read,
    limits: &Limits,
) -> Result<Vec<(String, String)>, TranscriptError> {
    let text = read_text(input, limits)?;
    let mut ids = HashSet::new();
    let mut table = Vec::new();
    for (place, id, text) in rows(&text) {
        let found = table.len() as u64 + 1;
        check(place.clone(), "lines", limits.utterances as u64, found)?;
        let words = text.split_whitespace().count() as u64;
        check(place.clone(), "words", limits.words as u64, words)?;
        if !ids.insert(id) {
            let id = id.to_owned();
            return Err(TranscriptError::RepeatedId { place, id });
        }
        table.push((id.to_owned(), text.to_owned()));
    }
    Ok(table)
}

/// Reads a table of two columns whose second column is a finite number.
pub(super) fn read_numbers(
    input: impl Read,
    limits: &Limits,
) -> Result<Vec<(String, f64)>, TranscriptError> {
    let mut lines = 0;
    let read = |(id, text): (String, String)| {
        lines += 1;
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok((id, number)),
            _ => Err(TranscriptError::Format {
                place: Place::Line(lines),
                expected: "an id and one finite number".to_owned(),
                found: excerpt(&text),
            }),
        }
    };
    read_table(input, limits)?.into_iter().map(read).collect()
}
