//! N-best lists written by Kaldi's `lattice-to-nbest` and `nbest-to-linear`.

use std::io::Read;

use super::columns::{read_costs, rows};
use super::{Collection, Limits, check_text, excerpt, read_text};
use crate::nbest::{NBestLists, ScoreScale};
use crate::{Place, TranscriptError};

/// Reads lists in Kaldi's form: lines of `UTTERANCE-N words`, with N from 1 in order, one utterance after another.
///
/// Each of `costs` is a table of the same keys with a cost, a negative log-probability, on each line. A hypothesis' score is the
/// negated sum of its costs, on the scale of whole transcripts.
///
/// # Errors
///
/// The text is not UTF-8, a key does not end in a number or is out of order, a table of costs has other keys, costs have no
/// finite sum, or a limit is exceeded.
///
/// ```
/// use layerwise_transcripts::{Limits, ScoreScale, read_kaldi};
///
/// let (texts, acoustic) = ("u-1 show me\nu-2 show\n", "u-1 1.5\nu-2 2.5\n");
/// let lists = read_kaldi(texts.as_bytes(), [acoustic.as_bytes()], &Limits::default())?;
/// assert_eq!(lists.utterances[0].hypotheses[1].score, Some(-2.5));
/// assert_eq!(lists.scale, ScoreScale::Sum);
/// # Ok::<(), layerwise_transcripts::TranscriptError>(())
/// ```
pub fn read_kaldi<R: Read>(
    input: impl Read,
    costs: impl IntoIterator<Item = R>,
    limits: &Limits,
) -> Result<NBestLists, TranscriptError> {
    let text = read_text(input, limits)?;
    let read = |(table, costs): (usize, R)| {
        read_costs(costs, limits).map_err(|error| TranscriptError::Costs {
            table,
            error: Box::new(error),
        })
    };
    let costs = (1..).zip(costs).map(read);
    let costs = costs.collect::<Result<Vec<_>, _>>()?;
    let mut collection = Collection::new(limits);
    let mut keys = 0;
    for (line, key, text) in rows(&text) {
        let place = Place::Line(line);
        let refuse = |expected: String| TranscriptError::Format {
            place: place.clone(),
            expected,
            found: excerpt(key),
        };
        let numbered = key.rsplit_once('-').and_then(|(id, number)| {
            let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
            let number: usize = number.parse().ok()?;
            (is_number && !id.is_empty()).then_some((id, number))
        });
        let Some((id, number)) = numbered else {
            return Err(refuse("a key such as `utterance-1`".to_owned()));
        };
        let before = collection.begin(&place, id)?;
        if number != before + 1 {
            return Err(refuse(format!("the key `{id:.60}-{}`", before + 1)));
        }
        collection.check_hypothesis(&place, before)?;
        check_text(&place, text, limits)?;
        let mut score: Option<f64> = None;
        for (at, table) in costs.iter().enumerate() {
            match table.get(keys) {
                Some((row, cost)) if row.id == key => *score.get_or_insert(0.0) -= cost,
                Some((row, _)) => {
                    return Err(refuse(format!(
                        "the key of line {} of cost table {} ({})",
                        row.line,
                        at + 1,
                        excerpt(&row.id)
                    )));
                }
                None => {
                    let table = at + 1;
                    return Err(refuse(format!("no line, as in cost table {table}")));
                }
            }
        }
        if score.is_some_and(|score| !score.is_finite()) {
            return Err(refuse("a key whose costs have a finite sum".to_owned()));
        }
        keys += 1;
        collection.add(text, score);
    }
    collection.end()?;
    for (at, table) in costs.iter().enumerate() {
        if table.len() != keys {
            return Err(TranscriptError::Format {
                place: Place::File,
                expected: format!("{keys} lines in cost table {}, as in the lists", at + 1),
                found: table.len().to_string(),
            });
        }
    }
    collection.finish(match costs.is_empty() {
        true => ScoreScale::Absent,
        false => ScoreScale::Sum,
    })
}
