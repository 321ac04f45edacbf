//! Strict JSON: duplicate keys are refused, and every refusal names the file and the item.

use std::cell::RefCell;
use std::fmt;
use std::path::Path;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Value};

use crate::error::{WeightsError, excerpt};
use layerwise_files::{OpenedFile, python_numbers};

/// Carries a typed error through serde, whose own errors hold only text.
#[derive(Debug)]
pub(crate) struct Faults<'a> {
    path: &'a Path,
    first: RefCell<Option<WeightsError>>,
}

impl<'a> Faults<'a> {
    pub(crate) fn new(path: &'a Path) -> Self {
        Self {
            path,
            first: RefCell::new(None),
        }
    }

    pub(crate) fn path(&self) -> &'a Path {
        self.path
    }

    /// Stores `error` and returns an error that stops the parser.
    pub(crate) fn refuse<E: de::Error>(&self, error: WeightsError) -> E {
        self.first.borrow_mut().get_or_insert(error);
        E::custom("refused")
    }

    /// Records that the parser stopped with `error` inside `item`, unless a more exact error is already stored.
    pub(crate) fn inside<E: de::Error>(&self, item: String, error: E) -> E {
        let reason = excerpt(&error.to_string());
        self.first
            .borrow_mut()
            .get_or_insert_with(|| WeightsError::Json {
                path: self.path.to_owned(),
                item,
                reason,
            });
        error
    }

    /// The error to report after the parser stopped with `error`.
    pub(crate) fn into_error(self, item: &str, error: serde_json::Error) -> WeightsError {
        let _: serde_json::Error = self.inside(item.to_owned(), error);
        self.first
            .into_inner()
            .expect("`inside` has just put an error there")
    }
}

/// Text of a file, or the offset of the first byte that is not UTF-8.
pub(crate) fn utf8<'b>(path: &Path, item: &str, bytes: &'b [u8]) -> Result<&'b str, WeightsError> {
    std::str::from_utf8(bytes).map_err(|e| WeightsError::Utf8 {
        path: path.to_owned(),
        item: item.to_owned(),
        offset: e.valid_up_to(),
    })
}

/// Reads a file of at most `limit` bytes that holds one JSON object, which messages call `item`.
pub(crate) fn read_object(
    file: &OpenedFile,
    item: &'static str,
    limit: u64,
) -> Result<Map<String, Value>, WeightsError> {
    let path = file.path();
    if file.size() == 0 {
        return Err(WeightsError::Empty {
            path: path.to_owned(),
            expected: "a JSON object",
        });
    }
    let bytes = file.read_all(limit)?;
    let text = utf8(path, item, &bytes)?;
    if text.starts_with('\u{feff}') {
        return Err(WeightsError::Json {
            path: path.to_owned(),
            item: item.to_owned(),
            reason: "expected JSON, found a byte order mark before it: save the file as UTF-8 without one".to_owned(),
        });
    }
    let parse = |text: &str| {
        let faults = Faults::new(path);
        let mut parser = serde_json::Deserializer::from_str(text);
        let value = StrictValue(&faults)
            .deserialize(&mut parser)
            .and_then(|value| parser.end().map(|()| value));
        value.map_err(|error| faults.into_error(item, error))
    };
    let value = parse(text).or_else(|error| match with_quoted_nan(text) {
        Some(quoted) => parse(&quoted),
        None => Err(error),
    });
    match value? {
        Value::Object(object) => Ok(object),
        other => Err(unexpected(path, item, "an object", &other)),
    }
}

/// JSON with NaN and infinities, which Python writes, as strings, so that only keys that need a number refuse them; `None` if it
/// has none of them.
fn with_quoted_nan(json: &str) -> Option<String> {
    let (mut quoted, mut copied) = (String::new(), 0);
    for place in python_numbers(json) {
        quoted.push_str(&json[copied..place.start]);
        for part in ["\"", &json[place.clone()], "\""] {
            quoted.push_str(part);
        }
        copied = place.end;
    }
    (copied > 0).then(|| quoted + &json[copied..])
}

/// The error for a value that is not of the expected kind.
pub(crate) fn unexpected(path: &Path, item: &str, expected: &str, found: &Value) -> WeightsError {
    let found = match found {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => excerpt(&other.to_string()),
    };
    let reason = format!("expected {expected}, found {found}");
    WeightsError::Json {
        path: path.to_owned(),
        item: item.to_owned(),
        reason,
    }
}

/// Any JSON value, nested no deeper than serde_json allows (128), with no key twice in one object.
#[derive(Clone, Copy)]
struct StrictValue<'f, 'a>(&'f Faults<'a>);

impl<'de> DeserializeSeed<'de> for StrictValue<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictValue<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(value) = seq.next_element_seed(self)? {
            array.push(value);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            match object.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(map.next_value_seed(self)?);
                }
                Entry::Occupied(entry) => {
                    return Err(self.0.refuse(WeightsError::DuplicateKey {
                        path: self.0.path().to_owned(),
                        item: "key",
                        key: excerpt(entry.key()),
                    }));
                }
            }
        }
        Ok(object.into())
    }
}
