//! N-best lists written by Kaldi's `lattice-to-nbest` and `nbest-to-linear`.

use std::io::Read;

use super::columns::{read_numbers, rows};
use super::{Collection, Limits, excerpt, read_text};
use crate::nbest::{Hypothesis, NBestLists, ScoreScale};
use crate::{Place, TranscriptError};

/// Reads lists in Kaldi's form: lines of `UTTERANCE-N words`, with N from 1 in order, one utterance after another.
///
/// Each of `costs` is a table of the same keys with a cost, a negative log-probability, on each line. A hypothesis' score is the
/// negated sum of its costs, on the scale of whole transcripts.
///
/// # Errors
///
/// The text is not UTF-8, a key does not end in a number or is out of order, a table of costs has other keys, or a limit is
/// exceeded.
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
    let costs = costs
        .into_iter()
        .map(|costs| read_numbers(costs, limits))
        .collect::<Result<Vec<_>, _>>()?;
    let mut collection = Collection::new(limits);
    let mut current: Option<(Place, &str, Vec<Hypothesis>)> = None;
    let mut keys = 0;
    for (place, key, text) in rows(&text) {
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
        if number != hypotheses.len() + 1 {
            return Err(refuse(format!(
                "the key `{id:.60}-{}`",
                hypotheses.len() + 1
            )));
        }
        collection.check_hypothesis(&place, hypotheses.len())?;
        collection.check_words(&place, text)?;
        let mut score = None;
        for (at, table) in costs.iter().enumerate() {
            match table.get(keys) {
                Some((found, cost)) if found == key => *score.get_or_insert(0.0) -= cost,
                found => {
                    let found = found.map_or("no line", |(key, _)| key.as_str());
                    return Err(refuse(format!(
                        "the key of line {} of cost table {} ({})",
                        keys + 1,
                        at + 1,
                        excerpt(found)
                    )));
                }
            }
        }
        keys += 1;
        let text = text.to_owned();
        hypotheses.push(Hypothesis { text, score });
    }
    if let Some((place, id, hypotheses)) = current {
        collection.push(&place, Some(id.to_owned()), hypotheses, None)?;
    }
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
