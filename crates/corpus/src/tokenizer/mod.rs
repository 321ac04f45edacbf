//! A tokenizer's files, checked before the tokenizers library reads them.
//!
//! The library panics on some files, and accepts others that give wrong tokens. So this module checks what the library does not:
//! the ids of the vocabulary, the merges, and that nothing truncates, pads or draws at random.
//! A remaining panic of the library becomes an error.

mod beginning;
mod bytes;
mod check;
mod class;
mod files;

use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use layerwise_files::{OpenedFile, sha256};
use serde_json::{Map, Value};

use crate::CorpusError;
use crate::file::open;

use beginning::Settings;
pub use beginning::{Beginning, BosSource, Habit};
pub use bytes::TokenBytes;
use check::Check;
pub use class::Replaced;
use files::MAX_FILE;

/// A byte-pair encoding (BPE) tokenizer, from a `tokenizer.json` or from a `vocab.json` and a `merges.txt`.
///
/// ```
/// use layerwise_corpus::Tokenizer;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("tokenizer.json");
/// let model = r#"{"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}"#;
/// std::fs::write(&path, format!(r#"{{"model": {model}, "decoder": {{"type": "Fuse"}}}}"#))?;
///
/// let tokenizer = Tokenizer::open(&path, 3)?; // for a model of three tokens
/// assert_eq!(tokenizer.encode("abba")?, [2, 1, 0]);
/// assert_eq!(tokenizer.decode(&[2, 1, 0])?, "abba");
/// assert_eq!(tokenizer.encode_with_spans("aab")?, [(0, 0..1), (2, 1..3)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Tokenizer {
    path: PathBuf,
    inner: tokenizers::Tokenizer,
    sha256: String,
    /// The contents of `tokenizer_config.json`, if there is one.
    settings: Option<Settings>,
    beyond: Vec<String>,
    replaced: Option<Replaced>,
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
    /// The file must be regular, of at most 64 MiB, and a JSON object that the tokenizers library loads.
    /// These are refused: models other than BPE; dropout, truncation and padding; ids that two tokens share, or that are not
    /// below `vocab` (except for added tokens); added tokens to which the library would give another id; and merges of or into
    /// unknown tokens.
    pub fn open(path: &Path, vocab: usize) -> Result<Self, CorpusError> {
        Self::from_file(&open(path)?, vocab)
    }

    /// Builds the tokenizer from an opened `tokenizer.json`, such as that of a checkpoint's folder.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::open`].
    pub fn from_file(file: &OpenedFile, vocab: usize) -> Result<Self, CorpusError> {
        let bytes = file.read_all(MAX_FILE)?;
        let path = file.path();
        Self::from_json(path, &Check { path, vocab }.parse(&bytes)?, &bytes, vocab)
    }

    /// Builds the tokenizer from the text of a `tokenizer.json`, which messages call `path`; `bytes` are those of `file`.
    fn from_json(
        path: &Path,
        file: &Map<String, Value>,
        bytes: &[u8],
        vocab: usize,
    ) -> Result<Self, CorpusError> {
        let check = Check { path, vocab };
        let added = check.file(file)?;
        let loaded = contain(|| tokenizers::Tokenizer::from_bytes(bytes));
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
        let beyond = added.into_iter().filter(|(_, id)| *id as usize >= vocab);
        Ok(Self {
            path: path.to_owned(),
            inner,
            sha256: sha256(bytes),
            settings: None,
            beyond: beyond.map(|(token, _)| token).collect(),
            replaced: None,
        })
    }

    /// The file: `tokenizer.json`, or `vocab.json` if there are two.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the `tokenizer.json`. If transformers changes or combines the files, it is that of the resulting JSON.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Added tokens with ids beyond the model's vocabulary, such as a padding token. A text that contains one of them cannot be
    /// run.
    pub fn beyond_vocabulary(&self) -> &[String] {
        &self.beyond
    }

    /// The parts of the `tokenizer.json` that the checkpoint's tokenizer class in transformers replaces; `None` if it changes
    /// nothing.
    pub fn replaced(&self) -> Option<&Replaced> {
        self.replaced.as_ref()
    }

    /// Roughly the largest number of bytes of memory for encoding a text of `text` bytes.
    pub fn encoding_bytes(text: usize) -> usize {
        text.saturating_mul(50)
    }

    /// Roughly the largest number of bytes of memory for decoding `tokens` tokens.
    pub fn decoding_bytes(tokens: usize) -> usize {
        tokens.saturating_mul(200)
    }

    /// The token ids of a text, without special tokens around it.
    ///
    /// A special token that the text spells out, such as `<|endoftext|>`, is encoded as that token.
    ///
    /// # Errors
    ///
    /// The tokenizers library may fail on a text, for example on an unknown character.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, CorpusError> {
        let encoding = contain(|| self.inner.encode_fast(text, false));
        let encoding = encoding.map_err(|reason| self.encoding_failed(text, reason))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// As [`Tokenizer::encode`], with the byte range of the text that each token covers.
    ///
    /// The file decides whether the space before a word belongs to its range. If several tokens make up one character, each of
    /// them covers the whole character.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn encode_with_spans(&self, text: &str) -> Result<Vec<(u32, Range<usize>)>, CorpusError> {
        let encoding = contain(|| self.inner.encode(text, false));
        let encoding = encoding.map_err(|reason| self.encoding_failed(text, reason))?;
        let spans = encoding
            .get_offsets()
            .iter()
            .map(|&(start, end)| start..end);
        Ok(encoding.get_ids().iter().copied().zip(spans).collect())
    }

    fn encoding_failed(&self, text: &str, reason: String) -> CorpusError {
        CorpusError::Encode {
            path: self.path.clone(),
            bytes: text.len(),
            reason,
        }
    }

    /// The text of token ids, with special tokens spelt out.
    ///
    /// Bytes that are not UTF-8, as when a character is cut, become U+FFFD. An id without a token, as in a padded vocabulary,
    /// adds nothing.
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

    /// The text that a token adds after another one.
    ///
    /// [`Tokenizer::decode`] of one token may leave out the space at its beginning, as at the beginning of a text. If the two
    /// tokens are parts of one character, it is the text of the token alone.
    ///
    /// ```no_run
    /// use layerwise_corpus::Tokenizer;
    ///
    /// let llama = Tokenizer::open("path/to/tokenizer.json".as_ref(), 32_000)?;
    /// let text = llama.encode("The sky is")?;
    /// let [.., sky, is] = text[..] else { panic!("two tokens") };
    /// assert_eq!(llama.decode(&[is])?, "is");
    /// assert_eq!(llama.added(sky, is)?, " is");
    /// # Ok::<(), layerwise_corpus::CorpusError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::decode`].
    pub fn added(&self, before: u32, token: u32) -> Result<String, CorpusError> {
        let whole = self.decode(&[before, token])?;
        match whole.strip_prefix(&self.decode(&[before])?) {
            Some(text) => Ok(text.to_owned()),
            None => self.decode(&[token]),
        }
    }
}

impl Tokenizer {
    /// The bytes that each id below `vocab` adds to a text: part of a character, or several. `None` for special tokens and for
    /// ids without a token.
    ///
    /// They are the bytes within a text; at its beginning [`Tokenizer::decode`] may leave out a space.
    pub fn token_bytes(&self, vocab: usize) -> Vec<Option<Vec<u8>>> {
        let decoder = serde_json::to_string(&self.inner.get_decoder()).unwrap_or_default();
        let is_of_bytes = decoder.contains("\"ByteLevel\"");
        let has_fallback = decoder.contains("\"ByteFallback\"");
        let added = self.inner.get_added_tokens_decoder();
        let of = |id: u32| {
            if let Some(token) = added.get(&id) {
                return (!token.special).then(|| token.content.clone().into_bytes());
            }
            let token = self.inner.id_to_token(id)?;
            if is_of_bytes {
                return token.chars().map(byte_of).collect();
            }
            let digits = token
                .strip_prefix("<0x")
                .and_then(|it| it.strip_suffix('>'));
            let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            match byte.filter(|_| has_fallback) {
                Some(byte) => Some(vec![byte]),
                None => Some(token.replace('▁', " ").into_bytes()),
            }
        };
        (0..vocab).map(|id| of(u32::try_from(id).ok()?)).collect()
    }
}

/// The byte that a character stands for in a byte-level vocabulary. Printable characters of Latin-1 stand for themselves; the
/// other bytes are written, in order, from U+0100 on.
fn byte_of(c: char) -> Option<u8> {
    let is_itself = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let c = u32::from(c);
    let byte = match c {
        0..=0xff => Some(c).filter(|c| is_itself(*c)),
        _ => (0..=0xff)
            .filter(|byte| !is_itself(*byte))
            .nth(c as usize - 0x100),
    };
    byte.and_then(|byte| u8::try_from(byte).ok())
}

/// Calls the tokenizers library; a panic in it becomes an error.
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
