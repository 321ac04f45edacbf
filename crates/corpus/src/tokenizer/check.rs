//! Checks of a `tokenizer.json` that the tokenizers library omits.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::CorpusError;
use crate::file::{BYTE_ORDER_MARK, kind};

/// Checks one file.
pub(super) struct Check<'a> {
    pub(super) path: &'a Path,
    pub(super) vocab: usize,
}

impl Check<'_> {
    /// The object that a file holds.
    pub(super) fn parse(&self, bytes: &[u8]) -> Result<Map<String, Value>, CorpusError> {
        let object = "a JSON object";
        if bytes.starts_with(BYTE_ORDER_MARK) {
            let found = "a byte order mark before it: save the file as UTF-8 without one";
            return Err(self.refuse("file", object, found));
        }
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(file)) => Ok(file),
            Ok(other) => Err(self.refuse("file", object, kind(&other))),
            Err(error) => Err(self.refuse("file", object, error.to_string())),
        }
    }

    /// Checks the contents of a `tokenizer.json`; returns its added tokens with their ids.
    pub(super) fn file(
        &self,
        file: &Map<String, Value>,
    ) -> Result<Vec<(String, u32)>, CorpusError> {
        for item in ["truncation", "padding"] {
            if let Some(found) = file.get(item).filter(|value| !value.is_null()) {
                return Err(self.refuse(item, "null", kind(found)));
            }
        }
        let model = self.object("model", file.get("model").unwrap_or(&Value::Null))?;
        match model.get("type") {
            // Older files do not name the type; it follows from the merges, which are required below.
            None => {}
            Some(Value::String(name)) if name == "BPE" => {}
            Some(other) => return Err(self.refuse("model.type", "\"BPE\"", other.to_string())),
        }
        match model.get("dropout") {
            None | Some(Value::Null) => {}
            Some(dropout) if dropout.as_f64() == Some(0.0) => {}
            Some(dropout) => {
                return Err(self.refuse("model.dropout", "null", dropout.to_string()));
            }
        }
        let vocabulary = self.object("model.vocab", model.get("vocab").unwrap_or(&Value::Null))?;
        let mut tokens = HashMap::with_capacity(vocabulary.len());
        for (token, id) in vocabulary {
            self.token(&mut tokens, "model.vocab", token, id, Some(self.vocab))?;
        }
        self.merges(model, vocabulary)?;

        let mut added = Vec::new();
        let listed = match file.get("added_tokens") {
            None | Some(Value::Null) => &Vec::new(),
            Some(Value::Array(listed)) => listed,
            Some(other) => return Err(self.refuse("added_tokens", "an array", kind(other))),
        };
        for (index, value) in listed.iter().enumerate() {
            let item = format!("added_tokens[{index}]");
            let fields = self.object(&item, value)?;
            let token = match fields.get("content") {
                Some(Value::String(token)) => token,
                other => {
                    let found = other.map_or("nothing", kind);
                    return Err(self.refuse(format!("{item}.content"), "a string", found));
                }
            };
            let id = fields.get("id").unwrap_or(&Value::Null);
            // A token without a row in the embedding, such as a padding token, does no harm until a text contains it.
            added.push((
                token.clone(),
                self.token(&mut tokens, &item, token, id, None)?,
            ));
        }
        Ok(added)
    }

    /// Checks that no other token has a token's id, and that the id is below the size of the vocabulary, if that is given.
    fn token<'t>(
        &self,
        tokens: &mut HashMap<u32, &'t str>,
        item: &str,
        token: &'t str,
        id: &Value,
        vocab: Option<usize>,
    ) -> Result<u32, CorpusError> {
        let refuse = |expected: String, found: String| {
            Err(self.refuse(format!("{item}, token {token:?}"), expected, found))
        };
        let below = vocab.map_or(u64::MAX, |vocab| vocab as u64);
        let valid = id.as_u64().filter(|&id| id < below);
        let Some(valid) = valid.and_then(|id| u32::try_from(id).ok()) else {
            let expected = match vocab {
                Some(vocab) => format!("an id below {vocab}, the size of the model's vocabulary"),
                None => "an id below 2^32".to_owned(),
            };
            return refuse(expected, id.to_string());
        };
        match tokens.insert(valid, token) {
            Some(other) if other != token => refuse(
                "a unique id".to_owned(),
                format!("id {valid}, which is that of token {other:?}"),
            ),
            _ => Ok(valid),
        }
    }

    /// Checks that each merge joins two tokens of the vocabulary into a third.
    fn merges(
        &self,
        model: &Map<String, Value>,
        vocabulary: &Map<String, Value>,
    ) -> Result<(), CorpusError> {
        let merges = match model.get("merges") {
            Some(Value::Array(merges)) => merges,
            other => {
                let found = other.map_or("nothing", kind);
                return Err(self.refuse("model.merges", "an array", found));
            }
        };
        let prefix = match model.get("continuing_subword_prefix") {
            None | Some(Value::Null) => "",
            Some(Value::String(prefix)) => prefix,
            Some(other) => {
                let expected = "a string or null";
                return Err(self.refuse("model.continuing_subword_prefix", expected, kind(other)));
            }
        };
        for (index, merge) in merges.iter().enumerate() {
            let pair = match merge {
                // The first line of a merges file, which older tokenizers kept in the list.
                Value::String(line) if line.starts_with("#version") => continue,
                Value::String(line) => line.split_once(' '),
                Value::Array(pair) => match pair.as_slice() {
                    [Value::String(first), Value::String(second)] => {
                        Some((first.as_str(), second.as_str()))
                    }
                    _ => None,
                },
                _ => None,
            };
            let known = |token: &str| vocabulary.contains_key(token);
            let joined = pair.and_then(|(first, second)| {
                let joined = format!("{first}{}", second.strip_prefix(prefix)?);
                (known(first) && known(second) && known(&joined)).then_some(())
            });
            if joined.is_none() {
                let expected = "two tokens of the vocabulary that together are a third";
                return Err(self.refuse(
                    format!("model.merges[{index}]"),
                    expected,
                    shorten(merge),
                ));
            }
        }
        Ok(())
    }

    fn object<'v>(
        &self,
        item: &str,
        value: &'v Value,
    ) -> Result<&'v Map<String, Value>, CorpusError> {
        value
            .as_object()
            .ok_or_else(|| self.refuse(item, "a JSON object", kind(value)))
    }

    pub(super) fn refuse(
        &self,
        item: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> CorpusError {
        CorpusError::Tokenizer {
            path: self.path.to_owned(),
            item: item.into(),
            expected: expected.into(),
            found: found.into(),
        }
    }
}

/// The value in at most 80 characters.
fn shorten(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(79) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
