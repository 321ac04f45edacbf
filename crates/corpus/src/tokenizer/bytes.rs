//! The bytes of all tokens.

use std::sync::Arc;

use super::Tokenizer;

/// The bytes of every token of a vocabulary, and the hash of the tokenizer that determines them.
///
/// They make losses of models with different tokenizers comparable: the measure `Divergence::with_bytes` of `layerwise-sweep`
/// takes `lengths` and `tokenizer`. [`Piece::of_sequence`](crate::Piece::of_sequence) takes `of`.
///
/// ```no_run
/// use layerwise_corpus::{TokenBytes, Tokenizer};
///
/// let tokenizer = Tokenizer::open("path/to/tokenizer.json".as_ref(), 50_257)?;
/// let bytes = TokenBytes::of(&tokenizer, 50_257);
/// let text = tokenizer.encode("Call me Ishmael.")?;
/// let sum: u32 = text.iter().map(|id| bytes.lengths[*id as usize]).sum();
/// assert_eq!(sum, 16);
/// # Ok::<(), layerwise_corpus::CorpusError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenBytes {
    /// The bytes of each token, as [`Tokenizer::token_bytes`] gives them; `None` if it has no text.
    pub of: Vec<Option<Vec<u8>>>,
    /// Their numbers; 0 for a token without text.
    pub lengths: Arc<[u32]>,
    /// SHA-256 of the tokenizer.
    pub tokenizer: String,
}

impl TokenBytes {
    /// The bytes of all tokens of a vocabulary of `vocab` tokens.
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
