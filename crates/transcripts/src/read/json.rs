//! Lists in HyPoradise's form: a JSON list of `{"input": [hypotheses], "output": reference, …}`.

use std::cell::RefCell;
use std::fmt;
use std::io::Read;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Collection, Limits, check, check_text, excerpt, read_text, reason};
use crate::nbest::{Hypothesis, NBestLists, ScoreScale};
use crate::{Place, TranscriptError};

/// The largest number of ignored keys that are reported.
const MAX_UNREAD: usize = 16;

/// Reads lists in HyPoradise's form.
///
/// Each object has `input`, a list of at least one string. It may have `output`, the reference; `score` or `am_score`, a list of
/// equally many mean log-probabilities; and `id`, a word, because it stands before the transcript in two columns. Other keys
/// are ignored, and reported in the lists' oddities. Either all objects have scores or none has.
///
/// # Errors
///
/// The file is not such a list, repeats a key or an id, or exceeds a limit.
pub fn read_hyporadise(input: impl Read, limits: &Limits) -> Result<NBestLists, TranscriptError> {
    let text = read_text(input, limits)?;
    let reading = RefCell::new(Reading {
        place: Place::File,
        failure: None,
        collection: Collection::new(limits),
        scored: None,
    });
    let mut json = serde_json::Deserializer::from_str(&text);
    let read = List(&reading)
        .deserialize(&mut json)
        .and_then(|()| json.end());
    let reading = reading.into_inner();
    match (read, reading.failure) {
        (_, Some(failure)) => Err(failure),
        (Err(error), None) => Err(TranscriptError::Json {
            place: reading.place,
            reason: reason(&error),
        }),
        (Ok(()), None) => {
            let scale = match reading.scored {
                Some(true) => ScoreScale::Mean,
                _ => ScoreScale::Absent,
            };
            reading.collection.finish(scale)
        }
    }
}

struct Reading<'a> {
    /// The current position.
    place: Place,
    /// The error with fields that ended the reading, if any.
    failure: Option<TranscriptError>,
    collection: Collection<'a>,
    /// Whether the utterances before this one have scores.
    scored: Option<bool>,
}

impl Reading<'_> {
    /// Stores an error, and returns one for the JSON reader in its place.
    fn kept<E: Error>(&mut self, result: Result<(), TranscriptError>) -> Result<(), E> {
        result.map_err(|failure| {
            self.failure = Some(failure);
            E::custom("refused")
        })
    }

    fn refused<E: Error>(&mut self, expected: &str, found: String) -> E {
        self.failure = Some(TranscriptError::Format {
            place: self.place.clone(),
            expected: expected.to_owned(),
            found,
        });
        E::custom("refused")
    }
}

type Shared<'r, 'a> = &'r RefCell<Reading<'a>>;

struct List<'r, 'a>(Shared<'r, 'a>);

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects with `input`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        loop {
            {
                let mut reading = self.0.borrow_mut();
                let index = reading.collection.utterances.len();
                reading.place = Place::Utterance { index, field: None };
            }
            if list.next_element_seed(Item(self.0))?.is_none() {
                self.0.borrow_mut().place = Place::File;
                return Ok(());
            }
        }
    }
}

struct Item<'r, 'a>(Shared<'r, 'a>);

impl<'de> DeserializeSeed<'de> for Item<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Item<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `input`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (whole, index) = {
            let mut reading = self.0.borrow_mut();
            let place = reading.place.clone();
            let room = reading.collection.check_room(&place);
            reading.kept(room)?;
            (place, reading.collection.utterances.len())
        };
        let mut texts: Option<Vec<String>> = None;
        let mut scores: Option<Vec<f64>> = None;
        let mut reference: Option<Option<String>> = None;
        let mut id: Option<String> = None;
        while let Some(key) = map.next_key::<String>()? {
            const FIELDS: [&str; 5] = ["input", "output", "score", "am_score", "id"];
            let field = FIELDS.into_iter().find(|field| *field == key);
            self.0.borrow_mut().place = Place::Utterance { index, field };
            let is_repeated = match field {
                Some("input") => texts.replace(map.next_value_seed(Texts(self.0))?).is_some(),
                Some("output") => reference.replace(map.next_value()?).is_some(),
                Some("id") => id.replace(map.next_value()?).is_some(),
                Some(_) => scores
                    .replace(map.next_value_seed(Scores(self.0))?)
                    .is_some(),
                None => {
                    map.next_value::<IgnoredAny>()?;
                    let unread = &mut self.0.borrow_mut().collection.oddities.unread_keys;
                    if unread.len() < MAX_UNREAD {
                        unread.insert(excerpt(&key));
                    }
                    false
                }
            };
            if is_repeated {
                let mut reading = self.0.borrow_mut();
                return Err(reading.refused("the field once", "it twice".to_owned()));
            }
        }
        let mut reading = self.0.borrow_mut();
        reading.place = whole;
        let Some(texts) = texts else {
            return Err(reading.refused("the field `input`", "none".to_owned()));
        };
        if let Some(id) = &id
            && (id.is_empty() || id.contains(char::is_whitespace))
        {
            let field = Some("id");
            reading.place = Place::Utterance { index, field };
            return Err(reading.refused("an id without white space", excerpt(id)));
        }
        reading.place = Place::Utterance {
            index,
            field: Some("score"),
        };
        let has_scores = scores.is_some();
        if *reading.scored.get_or_insert(has_scores) != has_scores {
            let (expected, found) = match has_scores {
                true => ("no scores, as before", "some".to_owned()),
                false => ("scores, as before", "none".to_owned()),
            };
            return Err(reading.refused(expected, found));
        }
        if let Some(scores) = &scores
            && scores.len() != texts.len()
        {
            let expected = format!("{} scores, as many as hypotheses", texts.len());
            return Err(reading.refused(&expected, scores.len().to_string()));
        }
        let reference = reference.flatten();
        if let Some(reference) = &reference {
            let place = Place::Utterance {
                index,
                field: Some("output"),
            };
            let checked = check_text(&place, reference, reading.collection.limits);
            reading.kept(checked)?;
        }
        let scores = scores.map_or_else(
            || vec![None; texts.len()],
            |scores| scores.into_iter().map(Some).collect(),
        );
        let hypotheses = texts.into_iter().zip(scores);
        let hypotheses = hypotheses
            .map(|(text, score)| Hypothesis { text, score })
            .collect();
        let place = Place::Utterance { index, field: None };
        let pushed = reading.collection.push(&place, id, hypotheses, reference);
        reading.kept(pushed)
    }
}

/// Reads the hypotheses of an utterance.
struct Texts<'r, 'a>(Shared<'r, 'a>);

impl<'de> DeserializeSeed<'de> for Texts<'_, '_> {
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Texts<'_, '_> {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element::<String>()? {
            let mut reading = self.0.borrow_mut();
            let place = reading.place.clone();
            let checked = reading
                .collection
                .check_hypothesis(&place, texts.len())
                .and_then(|()| check_text(&place, &text, reading.collection.limits));
            reading.kept(checked)?;
            texts.push(text);
        }
        match texts.is_empty() {
            true => {
                let mut reading = self.0.borrow_mut();
                Err(reading.refused("at least one hypothesis", "none".to_owned()))
            }
            false => Ok(texts),
        }
    }
}

/// Reads the scores of an utterance's hypotheses.
struct Scores<'r, 'a>(Shared<'r, 'a>);

impl<'de> DeserializeSeed<'de> for Scores<'_, '_> {
    type Value = Vec<f64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Scores<'_, '_> {
    type Value = Vec<f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut scores = Vec::new();
        while let Some(score) = list.next_element::<f64>()? {
            let mut reading = self.0.borrow_mut();
            let limit = reading.collection.limits.hypotheses as u64;
            let place = reading.place.clone();
            let checked = check(place, "scores", limit, scores.len() as u64 + 1);
            reading.kept(checked)?;
            scores.push(score);
        }
        Ok(scores)
    }
}
