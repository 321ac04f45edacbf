//! Pairs of prompts for activation patching, from JSON lines.

use layerwise_corpus::{MIN_TOKENS, error_in_line, json_line};
use layerwise_sweep::Pair;
use serde_json::{Map, Value};

/// Why a line is no pair for a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairError {
    /// The line is not a JSON object.
    #[error("expected a JSON object: {reason}")]
    Json {
        /// The reason of the JSON reader, with the column.
        reason: String,
    },
    /// The object has a key without a meaning.
    #[error("unknown key `{found:.100}`; expected `clean`, `corrupted`, `answer` and `wrong`")]
    Key {
        /// The key.
        found: String,
    },
    /// The object lacks a side of the pair.
    #[error("expected `{key}`")]
    Missing {
        /// The key that it lacks.
        key: &'static str,
    },
    /// A value is neither a text nor token ids of the model.
    #[error("`{key}`: expected {expected}, found {found}")]
    Value {
        /// The key.
        key: &'static str,
        /// The accepted values.
        expected: String,
        /// The value.
        found: String,
    },
    /// The sides differ in length.
    #[error(
        "expected the same number of tokens on both sides, found {clean} in `clean` and {corrupted} in `corrupted`"
    )]
    Sides {
        /// The tokens of the clean side.
        clean: usize,
        /// The tokens of the corrupted side.
        corrupted: usize,
    },
    /// The sides are too short to measure, or too long for the model.
    #[error("expected {MIN_TOKENS} to {context} tokens on each side, found {found}")]
    Length {
        /// The model's context.
        context: usize,
        /// The tokens of each side.
        found: usize,
    },
    /// The text of a single token is another number of tokens.
    #[error(
        "`{key}` is {} tokens, {ids:?}; expected the one token that follows the prompt; give its id, or a text of one token (with most tokenizers the space before a word is part of the token)",
        ids.len()
    )]
    SeveralTokens {
        /// The key.
        key: &'static str,
        /// The tokens.
        ids: Vec<u32>,
    },
    /// There is a wrong token, but no right one.
    #[error("found `wrong` without `answer`; give both, since `answer` is compared with `wrong`")]
    WrongAlone,
}

/// A text of a pair, to be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairText<'t> {
    /// A prompt, before which the model may expect a token.
    Prompt(&'t str),
    /// The one token that follows a prompt.
    Next(&'t str),
}

/// Reads a pair from a line of JSON: an object with `clean` and `corrupted` and, if known, `answer` and `wrong`, each a text or
/// token ids.
///
/// `context` and `vocab` are the model's. `encode` turns texts into token ids; a line of ids needs none.
///
/// ```
/// use layerwise_tasks::{PairError, PairText, read_pair};
///
/// let words = ["<bos>", "red", "green", "apple"];
/// let mut encode = |text: PairText<'_>| -> Result<Vec<u32>, PairError> {
///     let (bos, text) = match text {
///         PairText::Prompt(text) => (Some(0), text),
///         PairText::Next(text) => (None, text),
///     };
///     let id = |word: &str| words.iter().position(|known| *known == word).expect("a known word");
///     let ids = text.split(' ').map(|word| id(word) as u32);
///     Ok(bos.into_iter().chain(ids).collect())
/// };
/// let line = r#"{"clean": "red apple", "corrupted": "green apple", "answer": "red", "wrong": 2}"#;
/// let pair = read_pair(line, 512, words.len(), &mut encode)?;
/// assert_eq!(pair.clean, [0, 1, 3]);
/// assert_eq!((pair.answer, pair.wrong), (Some(1), Some(2)));
/// # Ok::<(), PairError>(())
/// ```
///
/// # Errors
/// The line is no such object, the sides differ in length or do not fit the model, an answer is not one token, or `encode` fails.
pub fn read_pair<E: From<PairError>>(
    line: &str,
    context: usize,
    vocab: usize,
    encode: &mut dyn FnMut(PairText<'_>) -> Result<Vec<u32>, E>,
) -> Result<Pair, E> {
    let object: Map<String, Value> = json_line(line).map_err(|error| PairError::Json {
        reason: error_in_line(&error),
    })?;
    let is_known = |key: &str| ["clean", "corrupted", "answer", "wrong"].contains(&key);
    if let Some(unknown) = object.keys().find(|key| !is_known(key)) {
        return Err(E::from(PairError::Key {
            found: unknown.clone(),
        }));
    }
    let mut line = Line {
        object: &object,
        vocab,
        encode,
    };
    let clean = line.sequence("clean")?;
    let corrupted = line.sequence("corrupted")?;
    if clean.len() != corrupted.len() {
        return Err(E::from(PairError::Sides {
            clean: clean.len(),
            corrupted: corrupted.len(),
        }));
    }
    if !(MIN_TOKENS..=context).contains(&clean.len()) {
        return Err(E::from(PairError::Length {
            context,
            found: clean.len(),
        }));
    }
    let answer = line.token("answer")?;
    let wrong = line.token("wrong")?;
    if answer.is_none() && wrong.is_some() {
        return Err(E::from(PairError::WrongAlone));
    }
    Ok(Pair::new(clean, corrupted).deciding(answer, wrong))
}

/// The object of a line, and what reads its values.
struct Line<'a, E> {
    object: &'a Map<String, Value>,
    vocab: usize,
    encode: &'a mut dyn FnMut(PairText<'_>) -> Result<Vec<u32>, E>,
}

impl<E: From<PairError>> Line<'_, E> {
    fn sequence(&mut self, key: &'static str) -> Result<Vec<u32>, E> {
        match self.object.get(key) {
            None => Err(E::from(PairError::Missing { key })),
            Some(Value::String(text)) => (self.encode)(PairText::Prompt(text)),
            Some(value) => self.ids(key, value).map_err(E::from),
        }
    }

    fn token(&mut self, key: &'static str) -> Result<Option<u32>, E> {
        let ids = match self.object.get(key) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => (self.encode)(PairText::Next(text))?,
            Some(value @ Value::Number(_)) => vec![self.id(key, value)?],
            Some(value) => self.ids(key, value)?,
        };
        match <[u32; 1]>::try_from(ids) {
            Ok([id]) => Ok(Some(id)),
            Err(ids) => Err(E::from(PairError::SeveralTokens { key, ids })),
        }
    }

    fn ids(&self, key: &'static str, value: &Value) -> Result<Vec<u32>, PairError> {
        let ids = value.as_array().ok_or_else(|| PairError::Value {
            key,
            expected: "a text or a list of token ids".to_owned(),
            found: format!("{value:.100}"),
        })?;
        ids.iter().map(|id| self.id(key, id)).collect()
    }

    fn id(&self, key: &'static str, value: &Value) -> Result<u32, PairError> {
        let id = value.as_u64().filter(|id| *id < self.vocab as u64);
        let id = id.and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| PairError::Value {
            key,
            expected: format!("token ids below {}", self.vocab),
            found: format!("{value:.100}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a line for a model of 8 tokens and a context of 4; the ids of a text are its characters' from `a`.
    fn read(line: &str) -> Result<Pair, PairError> {
        read_pair(line, 4, 8, &mut |text| {
            let (PairText::Prompt(text) | PairText::Next(text)) = text;
            Ok(text.bytes().map(|byte| u32::from(byte - b'a')).collect())
        })
    }

    #[test]
    fn pairs_are_texts_or_ids() {
        let check = |line: &str, answer: Option<u32>, wrong: Option<u32>| {
            let expected = Pair::new(vec![1, 2, 3], vec![1, 4, 3]).deciding(answer, wrong);
            assert_eq!(read(line).unwrap(), expected, "{line}");
        };
        check(r#"{"clean":"bcd","corrupted":"bed"}"#, None, None);
        check(
            r#"{"clean":[1,2,3],"corrupted":"bed","answer":null}"#,
            None,
            None,
        );
        check(
            r#"{"clean":"bcd","corrupted":[1,4,3],"answer":"f","wrong":[6]}"#,
            Some(5),
            Some(6),
        );
        check(
            r#"{"clean":"bcd","corrupted":"bed","answer":7}"#,
            Some(7),
            None,
        );
    }

    #[test]
    fn lines_that_are_no_pair_are_refused() {
        let check = |line: &str, expected: &str| {
            let found = read(line).unwrap_err().to_string();
            assert!(found.starts_with(expected), "{line}: {found}");
        };
        check("[1]", "expected a JSON object: invalid type: sequence");
        check(r#"{"clear":1}"#, "unknown key `clear`; expected `clean`, ");
        check(r#"{"clean":"bcd"}"#, "expected `corrupted`");
        check(
            r#"{"clean":1,"corrupted":"bed"}"#,
            "`clean`: expected a text or a list of token ids, found 1",
        );
        check(
            r#"{"clean":[1,8,3],"corrupted":"bed"}"#,
            "`clean`: expected token ids below 8, found 8",
        );
        check(
            r#"{"clean":"bcd","corrupted":"be"}"#,
            "expected the same number of tokens on both sides, found 3 in `clean` and 2 in `corrupted`",
        );
        for side in ["bc", "bcdef"] {
            check(
                &format!(r#"{{"clean":"{side}","corrupted":"{side}"}}"#),
                &format!("expected 3 to 4 tokens on each side, found {}", side.len()),
            );
        }
        check(
            r#"{"clean":"bcd","corrupted":"bed","answer":"fg"}"#,
            "`answer` is 2 tokens, [5, 6]; expected the one token that follows the prompt",
        );
        check(
            r#"{"clean":"bcd","corrupted":"bed","wrong":1}"#,
            "found `wrong` without `answer`",
        );
    }
}
