//! Two columns: an id, white space, and a text to the end of the line.

use std::collections::HashSet;
use std::io::Read;

use super::{Collection, Limits, check, check_text, excerpt, read_text};
use crate::nbest::{NBestLists, Row, ScoreScale};
use crate::{Place, TranscriptError};

/// The non-empty lines: number, first word, and the trimmed rest.
pub(super) fn rows(text: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    let numbered = (1..).zip(text.lines());
    numbered.filter_map(|(number, line)| {
        let line = line.trim();
        let (id, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        (!id.is_empty()).then_some((number, id, rest.trim_start()))
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
    for (line, id, text) in rows(&text) {
        let place = Place::Line(line);
        let before = collection.begin(&place, id)?;
        collection.check_hypothesis(&place, before)?;
        check_text(&place, text, limits)?;
        collection.add(text, None);
    }
    collection.end()?;
    collection.finish(ScoreScale::Absent)
}

/// Reads a table of two columns with one line for each id: references, or the transcripts of a system.
///
/// # Errors
///
/// The text is not UTF-8, an id occurs on two lines, or a limit is exceeded.
pub fn read_table(input: impl Read, limits: &Limits) -> Result<Vec<Row>, TranscriptError> {
    table(input, limits, limits.utterances)
}

/// Reads a table with at most `most` lines.
fn table(input: impl Read, limits: &Limits, most: usize) -> Result<Vec<Row>, TranscriptError> {
    let text = read_text(input, limits)?;
    let mut ids = HashSet::new();
    let mut table = Vec::new();
    for (line, id, text) in rows(&text) {
        let place = Place::Line(line);
        let found = table.len() as u64 + 1;
        check(place.clone(), "lines", most as u64, found)?;
        check_text(&place, text, limits)?;
        if !ids.insert(id) {
            let id = id.to_owned();
            return Err(TranscriptError::RepeatedId { place, id });
        }
        let (id, text) = (id.to_owned(), text.to_owned());
        table.push(Row { line, id, text });
    }
    Ok(table)
}

/// Reads the costs of hypotheses: a table whose second column is a finite number.
pub(super) fn read_costs(
    input: impl Read,
    limits: &Limits,
) -> Result<Vec<(Row, f64)>, TranscriptError> {
    let read = |row: Row| match row.text.parse::<f64>() {
        Ok(cost) if cost.is_finite() => Ok((row, cost)),
        _ => Err(TranscriptError::Format {
            place: Place::Line(row.line),
            expected: "an id and one finite number".to_owned(),
            found: excerpt(&row.text),
        }),
    };
    // There is a line for each hypothesis, not for each utterance.
    let rows = table(input, limits, limits.all_hypotheses)?;
    rows.into_iter().map(read).collect()
}
