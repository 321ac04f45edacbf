//! Turns text or token ids into the token sequences that a model runs on.
//!
//! [`read`] turns one file into a [`Corpus`], by its extension:
//!
//! - `.txt`, `.raw`: one document, cut into consecutive windows of T tokens;
//! - `.jsonl`: one document per line, reduced to its first window, or a JSON array of such documents (`.json`);
//! - `.parquet`: one document per row, in a column of texts, treated like `.jsonl`;
//! - `.npy`: a two-dimensional array of token ids, with a sequence in each row, cut to T; integers of any size and byte order,
//!   stored by rows or by columns.
//!
//! Text may be compressed with gzip, and may begin with a byte order mark, which is skipped. Fields that are not read may hold
//! NaN and Infinity, which Python writes although JSON lacks them.
//!
//! T, the context, counts the beginning-of-sequence token (BOS) if there is one.
//! Sequences are never padded.
//! Shorter sequences are kept as they are; those of fewer than [`MIN_TOKENS`] tokens are skipped and counted.
//!
//! Files are not trusted: whatever does not fit is an error that names the file, the item, and what was expected and found.
//! Nothing is guessed.
//! Only regular files are opened.
//!
//! [`read_text`], [`read_text_in`], [`json_line`] and [`Tokenizer`] serve readers of other kinds of text, such as labelled examples.
//! [`Labels`] hold what a user says about every token; [`Piece`] says whether a token begins a word.
//! [`sha256`] hashes a file separately, so that reading the first lines of a long file does not read all of it.

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
pub use sequences::{Bos, Corpus, Options, Skipped, of_ids};
pub use text::{error_in_line, json_line, read_text, read_text_in};
pub use tokenizer::{Beginning, BosSource, Habit, Replaced, TokenBytes, Tokenizer};

/// The smallest number of tokens of a usable sequence: one to attend to, one to predict from, one to predict.
pub const MIN_TOKENS: usize = 3;

/// Reads the file at `path` into token sequences.
///
/// Text needs a tokenizer; token ids ignore it.
/// Reading stops as soon as the [limits](Options) are reached, so the rest of the file is not checked.
///
/// # Errors
///
/// The file has an unknown extension, breaks its format or has no usable sequence; text has no tokenizer; a token id is not below
/// [`Options::vocab`]; or the options cannot be met.
///
/// ```
/// use layerwise_corpus::{Options, Tokenizer, read};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("tokenizer.json");
/// # let model = r#"{"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}"#;
/// # std::fs::write(&path, format!(r#"{{"model": {model}}}"#))?;
/// let tokenizer = Tokenizer::open(&path, 3)?; // its tokens are a, b and ab
/// let path = folder.path().join("text.jsonl");
/// std::fs::write(&path, "{\"text\": \"babab\"}\n{\"text\": \"abababab\"}\n{\"text\": \"ba\"}\n")?;
/// let corpus = read(&path, Some(&tokenizer), &Options::new(3, 3))?; // windows of three tokens
/// assert_eq!(corpus.sequences(), [[1, 2, 2], [2, 2, 2]]);
/// assert_eq!((corpus.cut(), corpus.skipped().short), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

/// Reads a text in memory as one document, cut into consecutive windows.
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
/// The options cannot be met, the tokenizer cannot encode the text, or the text has no usable sequence. Messages call it
/// `text in memory`.
pub fn of_text(
    text: &str,
    tokenizer: &Tokenizer,
    options: &Options,
) -> Result<Corpus, CorpusError> {
    options.check()?;
    text::windows(Path::new("text in memory"), text, tokenizer, options)
}

/// The format of a file, by its name.
///
/// ```
/// use layerwise_corpus::Format;
///
/// assert_eq!(Format::of("texts.jsonl.gz".as_ref())?, Format::Documents);
/// assert!(Format::of("ids.npy.gz".as_ref()).is_err()); // token ids are not compressed
/// # Ok::<(), layerwise_corpus::CorpusError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// One document of text: `.txt`, `.raw`.
    Document,
    /// One document per line, in JSON, or an array of documents: `.jsonl`, `.json`.
    Documents,
    /// One document per row: `.parquet`.
    Table,
    /// Rows of token ids: `.npy`.
    TokenIds,
}

impl Format {
    /// The format by the extension, ignoring case; a further `.gz` says that text is compressed.
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
