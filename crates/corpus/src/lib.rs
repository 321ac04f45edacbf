//! Text or token ids to the token sequences that a model is run on.
//!
//! [`read`] turns one file into a [`Corpus`], by its extension:
//!
//! - `.txt`, `.raw`: one document, cut into consecutive windows of T tokens;
//! - `.jsonl`: one document a line, of which the first window is taken, or a JSON array of such documents (`.json`);
//! - `.parquet`: one document a row, in a column of texts, as `.jsonl`;
//! - `.npy`: a two-dimensional array of token ids, each row a sequence, cut to T; integers of any size and byte order, stored
//!   by rows or by columns.
//!
//! Text may be compressed with gzip, and begin with a byte order mark, which is no part of it. The numbers NaN and Infinity,
//! which Python writes and JSON does not have, may stand in fields that are not read.
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
//! [`Labels`] are what a user says of every token, [`Piece`] what the tokenizer does.
//! [`sha256`] hashes a file on its own, so that reading the first lines of a long file does not read all of it.

mod error;
mod file;
mod labels;
mod npy;
mod parquet;
mod pieces;
mod sequences;
mod text;
mod tokenizer;

use std::ffi::OsStr;
use std::path::Path;

pub use error::{CorpusError, Place};
pub use file::sha256;
pub use labels::Labels;
pub use layerwise_files::{FileError, OpenedFile};
pub use parquet::text_columns;
pub use pieces::Piece;
pub use sequences::{Bos, Corpus, Options, Skipped};
pub use text::read_text;
pub use tokenizer::{Beginning, BosSource, Habit, Replaced, Tokenizer};

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
    let tokenizer = || {
        tokenizer.ok_or_else(|| CorpusError::NoTokenizer {
            path: path.to_owned(),
        })
    };
    match Format::of(path)? {
        Format::Document => text::read_document(path, tokenizer()?, options),
        Format::Documents => text::read_documents(path, tokenizer()?, options),
        Format::Table => parquet::read_documents(path, tokenizer()?, options),
        Format::TokenIds => npy::read(path, options),
    }
}

/// A text in memory, as one document that is cut into consecutive windows.
///
/// ```no_run
/// # use layerwise_corpus::{Options, Tokenizer, of_text};
/// let tokenizer = Tokenizer::open("path/to/tokenizer.json".as_ref(), 50_257)?;
/// let corpus = of_text("Call me Ishmael. Some years ago …", &tokenizer, &Options::new(512, 50_257))?;
/// println!("{} sequences of at most 512 tokens", corpus.sequences().len());
/// # Ok::<(), layerwise_corpus::CorpusError>(())
/// ```
///
/// # Errors
///
/// Options that cannot be met, a text that the tokenizer cannot encode, and one without any usable sequence; messages call it
/// `text in memory`.
pub fn of_text(
    text: &str,
    tokenizer: &Tokenizer,
    options: &Options,
) -> Result<Corpus, CorpusError> {
    options.check()?;
    text::windows(Path::new("text in memory"), text, tokenizer, options)
}

/// What a file holds, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// One document of text: `.txt`, `.raw`.
    Document,
    /// A document of text a line, in JSON, or an array of them: `.jsonl`, `.json`.
    Documents,
    /// A document of text a row: `.parquet`.
    Table,
    /// Rows of token ids: `.npy`.
    TokenIds,
}

impl Format {
    /// By the extension, in capitals or not; text may be compressed, which `.gz` after the extension says.
    ///
    /// # Errors
    ///
    /// [`CorpusError::UnknownExtension`], [`CorpusError::CompressedIds`].
    pub fn of(path: &Path) -> Result<Self, CorpusError> {
        let extension = |path: &Path| {
            let extension = path.extension().and_then(OsStr::to_str);
            extension.map(str::to_ascii_lowercase)
        };
        let mut found = extension(path);
        let is_compressed = found.as_deref() == Some("gz");
        if is_compressed {
            let inner = path.file_stem().map(Path::new).and_then(extension);
            found = inner.map(|inner| format!("{inner}.gz"));
        }
        match found.as_deref() {
            Some("txt" | "raw" | "txt.gz" | "raw.gz") => Ok(Self::Document),
            Some("jsonl" | "json" | "jsonl.gz" | "json.gz") => Ok(Self::Documents),
            Some("parquet") => Ok(Self::Table),
            Some("npy") => Ok(Self::TokenIds),
            Some("npy.gz") => Err(CorpusError::CompressedIds {
                path: path.to_owned(),
            }),
            _ => Err(CorpusError::UnknownExtension {
                path: path.to_owned(),
                found: path.extension().and_then(OsStr::to_str).map(str::to_owned),
            }),
        }
    }
}
