//! Text or token ids to the token sequences that a model is run on.
//!
//! [`read`] turns one file into a [`Corpus`], by its extension:
//!
//! - `.txt`, `.raw`: one document, cut into consecutive windows of T tokens;
//! - `.jsonl`: one document a line, of which the first window is taken;
//! - `.npy`: a two-dimensional array of token ids, each row a sequence, cut to T.
//!
//! T, the context, counts the beginning-of-sequence token (BOS) where there is one.
//! Sequences are never padded.
//! Shorter ones are kept as they are; those of fewer than [`MIN_TOKENS`] tokens are skipped and counted.
//!
//! Files come from elsewhere and are not trusted: what does not fit is an error that names the file, the item,
//! what was expected and what was found, and nothing is guessed.
//! Only regular files are opened.
//!
//! [`read_text`] and [`Tokenizer`] serve readers of other forms of text, such as labelled examples.
//! [`sha256`] hashes a file on its own, so that reading the first lines of a long file does not read all of it.

mod error;
mod file;
mod npy;
mod sequences;
mod text;
mod tokenizer;

use std::path::Path;

pub use error::{CorpusError, Place};
pub use file::sha256;
pub use layerwise_files::{FileError, OpenedFile};
pub use sequences::{Bos, Corpus, Options, Skipped};
pub use text::read_text;
pub use tokenizer::{Beginning, BosSource, Habit, Tokenizer};

/// The fewest tokens a usable sequence has: one to see, one to predict from, one to predict.
pub const MIN_TOKENS: usize = 3;

/// Reads the file at `path` into token sequences.
///
/// Text needs a tokenizer; token ids need none, and leave one unused.
/// Reading stops as soon as the [limits](Options) are reached, so that what follows in the file is not checked.
///
/// # Errors
///
/// A file of no known extension or that breaks its format, text without a tokenizer, token ids that are not below
/// [`Options::vocab`], options that cannot be met, and a file without any usable sequence.
pub fn read(
    path: &Path,
    tokenizer: Option<&Tokenizer>,
    options: &Options,
) -> Result<Corpus, CorpusError> {
    options.check()?;
    let extension = path.extension().and_then(|extension| extension.to_str());
    let tokenizer = || {
        tokenizer.ok_or_else(|| CorpusError::NoTokenizer {
            path: path.to_owned(),
        })
    };
    match extension {
        Some("txt" | "raw") => text::read_document(path, tokenizer()?, options),
        Some("jsonl") => text::read_lines(path, tokenizer()?, options),
        Some("npy") => npy::read(path, options),
        _ => Err(CorpusError::UnknownExtension {
            path: path.to_owned(),
            found: extension.map(str::to_owned),
        }),
    }
}
