//! The token that a tokenizer puts before a text, and the file that decides it.

use std::fmt;

use serde_json::{Map, Value};

use super::{Tokenizer, contain};
use crate::CorpusError;

/// The token before a text in a family's training, for tokenizers that do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// No token.
    Nothing,
    /// This token, if it separates documents.
    Token {
        /// Its id.
        id: u32,
        /// Whether the checkpoint says that it also ends a text.
        ends_text: bool,
    },
    /// The token `<|endoftext|>`, whatever its id.
    EndOfText,
}

/// What decides the token before a text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BosSource {
    /// The post-processor of `tokenizer.json`.
    PostProcessor,
    /// `add_bos_token` of `tokenizer_config.json`.
    Settings,
    /// The habit of the model's family, because the tokenizer says nothing.
    Habit,
    /// `bos_token` of `tokenizer_config.json`, which is null.
    NoBos,
    /// The config names this id, which is no token of the model.
    NoToken(u32),
    /// The tokenizer adds nothing, and its BOS token, given here, differs from the token that ends documents. So it begins
    /// something else, such as a turn of a conversation.
    OtherUse(String),
}

impl fmt::Display for BosSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PostProcessor => f.write_str("the post-processor of tokenizer.json"),
            Self::Settings => f.write_str("add_bos_token of tokenizer_config.json"),
            Self::Habit => f.write_str("the habit of the family"),
            Self::NoBos => f.write_str("tokenizer_config.json, whose bos_token is null"),
            Self::NoToken(id) => {
                write!(
                    f,
                    "config.json, whose bos_token_id {id} is no token of the model"
                )
            }
            Self::OtherUse(token) => {
                write!(
                    f,
                    "the tokenizer, which adds none; its {token:?} does not separate documents"
                )
            }
        }
    }
}

/// The token before each text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Beginning {
    /// The token, if any.
    pub bos: Option<u32>,
    /// What decides it.
    pub source: BosSource,
}

/// What `tokenizer_config.json`, and `special_tokens_map.json` next to it, say about the tokens around a text.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    add_bos: Option<bool>,
    add_eos: bool,
    has_no_bos: bool,
    bos: Option<String>,
    eos: Option<String>,
}

impl Settings {
    /// If there is a `tokenizer.json` (`is_beside`), transformers adds only the tokens of its post-processor, whatever
    /// `add_bos_token` and `add_eos_token` say.
    pub(super) fn new(settings: &Map<String, Value>, is_beside: bool) -> Self {
        let token = |key| content(settings.get(key)?);
        let asks = |key| settings.get(key).and_then(Value::as_bool);
        Self {
            add_bos: asks("add_bos_token").filter(|asks| !(*asks && is_beside)),
            add_eos: asks("add_eos_token") == Some(true) && !is_beside,
            has_no_bos: settings.get("bos_token").is_some_and(Value::is_null),
            bos: token("bos_token"),
            eos: token("eos_token"),
        }
    }
}

/// The text of a token, given as a string or within an object.
pub(super) fn content(token: &Value) -> Option<String> {
    let text = token.as_str().or_else(|| token.get("content")?.as_str())?;
    Some(text.to_owned())
}

impl Tokenizer {
    /// The token before a text: the one that the post-processor of `tokenizer.json` adds; without a post-processor, what
    /// `add_bos_token` of `tokenizer_config.json` says; otherwise the habit of the model's family.
    ///
    /// As in transformers 5, `add_bos_token` adds nothing if there is a `tokenizer.json`. If it is false, no token precedes a
    /// text, whatever the habit.
    ///
    /// The habit applies only to a token that separates documents: `<|endoftext|>`, or one that both begins and ends a text by
    /// `tokenizer_config.json` or, if that does not name both, by the checkpoint. Any other BOS is added by a post-processor, or
    /// marks something else, such as a turn of a conversation.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Bos`] if the tokenizer puts more than one token before a text, or one outside the vocabulary; and the
    /// errors of [`Tokenizer::encode`].
    pub fn beginning(&self, habit: Habit) -> Result<Beginning, CorpusError> {
        let found = |bos, source| Ok(Beginning { bos, source });
        match self.around_text()?.0.as_slice() {
            [] => {}
            [bos] => return found(Some(*bos), BosSource::PostProcessor),
            several => {
                return Err(self.no_bos(format!(
                    "{} tokens before a text, {several:?}",
                    several.len()
                )));
            }
        }
        let settings = self.settings.clone().unwrap_or_default();
        match (settings.add_bos, &settings.bos) {
            (Some(false), _) => return found(None, BosSource::Settings),
            (Some(true), Some(token)) => {
                return match self.inner.token_to_id(token) {
                    Some(id) => found(Some(id), BosSource::Settings),
                    None => Err(self.no_bos(format!("bos_token {token:?}, which is not a token"))),
                };
            }
            (Some(true), None) | (None, _) => {}
        }
        let (id, ends_text) = match habit {
            Habit::Nothing => return found(None, BosSource::Habit),
            Habit::EndOfText => match self.encode(END_OF_TEXT)?.as_slice() {
                [id] => return found(Some(*id), BosSource::Habit),
                _ => return found(None, BosSource::Habit),
            },
            Habit::Token { id, ends_text } => (id, ends_text),
        };
        if settings.has_no_bos {
            return found(None, BosSource::NoBos);
        }
        let text = self.inner.id_to_token(id);
        let Some(text) = text.filter(|text| !self.beyond.contains(text)) else {
            return found(None, BosSource::NoToken(id));
        };
        match (settings.bos, settings.eos) {
            (Some(bos), Some(eos)) if bos != eos => found(None, BosSource::OtherUse(bos)),
            (Some(_), Some(_)) => found(Some(id), BosSource::Habit),
            _ if ends_text || text == END_OF_TEXT => found(Some(id), BosSource::Habit),
            _ => found(None, BosSource::OtherUse(text)),
        }
    }

    /// The tokens after a text: those that the post-processor of `tokenizer.json` adds or, without that file, EOS if
    /// `add_eos_token` of `tokenizer_config.json` says so.
    ///
    /// [`read`](crate::read) adds none of them, because a window is a part of a text, and a prompt is continued.
    ///
    /// # Errors
    ///
    /// Those of [`Tokenizer::encode`].
    pub fn ending(&self) -> Result<Vec<u32>, CorpusError> {
        let (_, after) = self.around_text()?;
        let settings = self.settings.as_ref().filter(|settings| settings.add_eos);
        let eos = settings.and_then(|settings| self.inner.token_to_id(settings.eos.as_ref()?));
        match after.as_slice() {
            [] => Ok(eos.into_iter().collect()),
            _ => Ok(after),
        }
    }

    /// The tokens that the post-processor puts before and after a text.
    fn around_text(&self) -> Result<(Vec<u32>, Vec<u32>), CorpusError> {
        const TEXT: &str = "a";
        let bare = self.encode(TEXT)?;
        let encoding = contain(|| self.inner.encode_fast(TEXT, true));
        let encoding = encoding.map_err(|reason| self.encoding_failed(TEXT, reason))?;
        let ids = encoding.get_ids();
        let at = ids
            .windows(bare.len().max(1))
            .position(|window| window == bare);
        let at = at.unwrap_or(0);
        let after = ids.get(at + bare.len()..).unwrap_or_default();
        Ok((ids[..at].to_vec(), after.to_vec()))
    }

    fn no_bos(&self, found: String) -> CorpusError {
        CorpusError::Bos {
            path: self.path.clone(),
            found,
        }
    }
}

/// The token that separates documents in the training of GPT-2 and many later models.
const END_OF_TEXT: &str = "<|endoftext|>";
