//! A `tokenizer.json`, checked before the tokenizers library sees it.
//!
//! The library panics on some files and accepts others that give wrong tokens, so that this module checks what
//! it does not: the vocabulary's ids, the merges, and that nothing cuts, pads or draws at random.
//! What may still panic in it is contained.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use layerwise_files::OpenedFile;
use serde_json::{Map, Value};

use crate::CorpusError;
use crate::file::{kind, open};

/// The largest `tokenizer.json` that is read, in bytes; those of large vocabularies have about 20 MiB.
const MAX_FILE: u64 = 64 << 20;

/// A byte-pair encoding of text, from a `tokenizer.json`.
pub struct Tokenizer {
    path: PathBuf,
    inner: tokenizers::Tokenizer,
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Tokenizer");
        debug.field("path", &self.path).finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Opens a `tokenizer.json` for a model of `vocab` tokens.
    ///
    /// # Errors
    ///
    /// The file must be regular, of at most 64 MiB and a JSON object that the tokenizers library loads.
    /// Refused are models other than BPE, dropout, truncation and padding, ids that are not below `vocab` or
    /// stand for two tokens, added tokens that would get another id than theirs, and merges of or into unknown
    /// tokens.
    pub fn open(path: &Path, vocab: usize) -> Result<Self, CorpusError> {
        Self::from_file(&open(path)?, vocab)
    }

    /// The tokenizer of an opened `tokenizer.json`, such as that of a checkpoint's folder.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::open`].
    pub fn from_file(file: &OpenedFile, vocab: usize) -> Result<Self, CorpusError> {
        let path = file.path();
        let bytes = file.read_all(MAX_FILE)?;
        let check = Check { path, vocab };
        let added = check.file(&bytes)?;
        let loaded = contain(|| tokenizers::Tokenizer::from_bytes(&bytes));
        let inner = loaded.map_err(|reason| CorpusError::TokenizerLoad {
            path: path.to_owned(),
            reason,
        })?;
        // The library numbers added tokens itself, whatever ids the file gives them.
        for (index, (token, id)) in added.iter().enumerate() {
            if inner.token_to_id(token) != Some(*id) {
                let found = match inner.token_to_id(token) {
                    Some(found) => format!("that it would be given id {found}"),
                    None => "that it would be ignored".to_owned(),
                };
                let item = format!("added_tokens[{index}], token {token:?}");
                return Err(check.refuse(item, format!("id {id}"), found));
            }
        }
        Ok(Self {
            path: path.to_owned(),
            inner,
        })
    }

    /// Token ids of a text, without special tokens around it.
    ///
    /// A special token that is spelt out within the text, such as `<|endoftext|>`, is encoded as such.
    ///
    /// # Errors
    ///
    /// The tokenizers library may fail on a text, for instance where a character is unknown.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, CorpusError> {
        let encoding = contain(|| self.inner.encode_fast(text, false));
        let encoding = encoding.map_err(|reason| CorpusError::Encode {
            path: self.path.clone(),
            bytes: text.len(),
            reason,
        })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// As [`Tokenizer::encode`], and for each token the bytes of the text that it stands for.
    ///
    /// Whether the space before a word is among its bytes is up to the file. Where one character is several tokens, each
    /// of them stands for the whole character.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn encode_with_spans(&self, text: &str) -> Result<Vec<(u32, Range<usize>)>, CorpusError> {
        let encoding = contain(|| self.inner.encode(text, false));
        let encoding = encoding.map_err(|reason| CorpusError::Encode {
            path: self.path.clone(),
            bytes: text.len(),
            reason,
        })?;
        let spans = encoding
            .get_offsets()
            .iter()
            .map(|&(start, end)| start..end);
        Ok(encoding.get_ids().iter().copied().zip(spans).collect())
    }

    /// The text of token ids, special tokens spelt out.
    ///
    /// Bytes that are not UTF-8, as where a character is cut, become U+FFFD. An id that stands for no token, as in a
    /// vocabulary that was padded, adds nothing.
    ///
    /// # Errors
    ///
    /// The tokenizers library may fail.
    pub fn decode(&self, ids: &[u32]) -> Result<String, CorpusError> {
        contain(|| self.inner.decode(ids, false)).map_err(|reason| CorpusError::Decode {
            path: self.path.clone(),
            tokens: ids.len(),
            reason,
        })
    }
}

/// Runs a call of the tokenizers library, a panic in which becomes an error.
fn contain<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => {
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("it panicked: {}", message.unwrap_or("no message")))
        }
    }
}

/// The checks of one file.
struct Check<'a> {
    path: &'a Path,
    vocab: usize,
}

impl Check<'_> {
    /// Checks the file's bytes; returns its added tokens with their ids.
    fn file(&self, bytes: &[u8]) -> Result<Vec<(String, u32)>, CorpusError> {
        let object = "a JSON object";
        let file: Value = serde_json::from_slice(bytes)
            .map_err(|error| self.refuse("file", object, error.to_string()))?;
        let file = self.object("file", &file)?;
        for item in ["truncation", "padding"] {
            if let Some(found) = file.get(item).filter(|value| !value.is_null()) {
                return Err(self.refuse(item, "null", kind(found)));
            }
        }
        let model = self.object("model", file.get("model").unwrap_or(&Value::Null))?;
        match model.get("type") {
            // Older files do not name the type; theirs follows from the merges, which are required below.
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
            self.token(&mut tokens, "model.vocab", token, id)?;
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
            added.push((token.clone(), self.token(&mut tokens, &item, token, id)?));
        }
        Ok(added)
    }

    /// Checks that a token's id is below the size of the vocabulary and no other token's.
    fn token<'t>(
        &self,
        tokens: &mut HashMap<u32, &'t str>,
        item: &str,
        token: &'t str,
        id: &Value,
    ) -> Result<u32, CorpusError> {
        let refuse = |expected: String, found: String| {
            Err(self.refuse(format!("{item}, token {token:?}"), expected, found))
        };
        let valid = id.as_u64().filter(|&id| id < self.vocab as u64);
        let Some(valid) = valid.and_then(|id| u32::try_from(id).ok()) else {
            let expected = format!(
                "an id below {}, the size of the model's vocabulary",
                self.vocab
            );
            return refuse(expected, id.to_string());
        };
        match tokens.insert(valid, token) {
            Some(other) if other != token => refuse(
                "an id of its own".to_owned(),
                format!("id {valid}, which is that of token {other:?}"),
            ),
            _ => Ok(valid),
        }
    }

    /// Checks that each merge joins two tokens into a third.
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
                // The first line of a merges file, which older tokenizers kept.
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

    fn refuse(
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

/// A value in at most 80 characters.
fn shorten(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(79) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
