//! Corrections from another program: a line `{"id": …, "correction": …}` for each utterance.

use std::collections::HashSet;
use std::fmt;
use std::io::Read;

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::{Limits, check, check_text, read_text, reason};
use crate::{Place, TranscriptError};

/// Reads lines of JSON objects with an `id` and a `correction`; other keys are ignored.
///
/// Corrections are kept as the program wrote them, including line breaks; [`violations`](crate::violations) checks the rules.
///
/// # Errors
///
/// A line is not such an object, an id occurs on two lines, or a limit is exceeded.
///
/// ```
/// use layerwise_transcripts::{Limits, read_corrections};
///
/// let line = r#"{"id": "u1", "correction": "show me flights", "seconds": 0.3}"#;
/// let corrections = read_corrections(line.as_bytes(), &Limits::default())?;
/// assert_eq!(corrections, [("u1".to_owned(), "show me flights".to_owned())]);
/// # Ok::<(), layerwise_transcripts::TranscriptError>(())
/// ```
pub fn read_corrections(
    input: impl Read,
    limits: &Limits,
) -> Result<Vec<(String, String)>, TranscriptError> {
    let text = read_text(input, limits)?;
    let mut ids = HashSet::new();
    let mut corrections = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let place = Place::Line(number);
        let mut json = serde_json::Deserializer::from_str(line);
        let read = json.deserialize_map(Line);
        let (id, correction) =
            read.and_then(|found| json.end().map(|()| found))
                .map_err(|error| TranscriptError::Json {
                    place: place.clone(),
                    // The parser is given one line, and calls it the first.
                    reason: reason(&error).replace(" at line 1 column ", " at column "),
                })?;
        let found = corrections.len() as u64 + 1;
        check(
            place.clone(),
            "corrections",
            limits.utterances as u64,
            found,
        )?;
        check_text(&place, &correction, limits)?;
        if !ids.insert(id.clone()) {
            return Err(TranscriptError::RepeatedId { place, id });
        }
        corrections.push((id, correction));
    }
    Ok(corrections)
}

struct Line;

impl<'de> Visitor<'de> for Line {
    type Value = (String, String);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `id` and `correction`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut id, mut correction) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            let field = match key.as_str() {
                "id" => &mut id,
                "correction" => &mut correction,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if field.replace(map.next_value::<String>()?).is_some() {
                return Err(A::Error::custom(format_args!(
                    "expected `{key}` once, found it twice"
                )));
            }
        }
        let missing =
            |field| A::Error::custom(format_args!("expected the field `{field}`, found none"));
        let id = id.ok_or_else(|| missing("id"))?;
        Ok((id, correction.ok_or_else(|| missing("correction"))?))
    }
}
