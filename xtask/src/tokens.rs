//! What a sweep knows of tokens besides their ids: their bytes, and the user's labels.

use crate::inputs::OpenedModel;
use layerwise::corpus::{Labels, Tokenizer};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// The bytes of every token, and the hash of the tokenizer that determines them.
pub struct TokenBytes {
    /// The bytes of each token; `None` if it has no text.
    pub of: Vec<Option<Vec<u8>>>,
    /// Their numbers.
    pub lengths: Arc<[u32]>,
    /// SHA-256 of the tokenizer.
    pub tokenizer: String,
}

impl TokenBytes {
    /// The bytes of all tokens of a vocabulary.
    pub fn of(tokenizer: &Tokenizer, vocab: usize) -> Self {
        let of = tokenizer.token_bytes(vocab);
        let length = |bytes: &Option<Vec<u8>>| {
            let length = bytes.as_ref().map_or(0, Vec::len);
            u32::try_from(length).expect("a token is short")
        };
        Self {
            lengths: of.iter().map(length).collect(),
            of,
            tokenizer: tokenizer.sha256().to_owned(),
        }
    }
}

/// The user's labels of all tokens.
///
/// # Errors
/// The file cannot be read, does not fit the sequences, or needs too much memory.
pub fn labels_of(
    path: &Path,
    opened: &OpenedModel,
    sequences: &[Vec<u32>],
) -> anyhow::Result<Labels> {
    let size = fs::metadata(path).map_or(0, |found| found.len());
    let what = format!("{}: the labels of {}", opened.name, path.display());
    // A label takes four bytes in the file. In memory it takes two, besides the file and a line of it as strings.
    opened.budget.check(&what, size.saturating_mul(16))?;
    let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
    Ok(Labels::read(path, &lengths)?)
}
