//! The crate's error type.

use std::fmt;
use std::path::{Path, PathBuf};

use layerwise_files::FileError;

/// The origin of a sequence in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The file as one document.
    Document,
    /// A line, counted from 1.
    Line(usize),
    /// A row of an array of token ids, counted from 0.
    Row(u64),
    /// An element of a JSON array of documents, counted from 0.
    Element(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document => f.write_str("document"),
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => write!(f, "row {row}"),
            Self::Element(element) => write!(f, "element {element}"),
        }
    }
}

/// Why a file cannot be read into token sequences.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// A file cannot be opened or read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file's extension stands for no known format.
    #[error(
        "{}: expected the extension .txt, .raw, .jsonl or .json, one of them with .gz, .parquet or .npy, found {}",
        path.display(),
        found.as_deref().unwrap_or("none")
    )]
    UnknownExtension {
        /// The file.
        path: PathBuf,
        /// Its extension, if it has one that is Unicode.
        found: Option<String>,
    },
    /// An array of token ids is compressed, so its size would be known only after reading all of it.
    #[error("{}: expected token ids uncompressed, found .npy.gz; unpack it with gunzip", path.display())]
    CompressedIds {
        /// The file.
        path: PathBuf,
    },
    /// A line is too long.
    #[error("{}: {item}: expected at most {limit} bytes, found {found}", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// What is too long.
        item: String,
        /// The largest accepted length, in bytes.
        limit: u64,
        /// The length found, in bytes; for a line, the length of the part read.
        found: u64,
    },
    /// Text cannot be read without a tokenizer.
    #[error("{}: expected a tokenizer for text, found none", path.display())]
    NoTokenizer {
        /// The text file.
        path: PathBuf,
    },
    /// Reading takes more memory than [`Options::memory`](crate::Options::memory) allows.
    #[error("{}: {item}: needs {needed} bytes of memory, but only {limit} are available", path.display())]
    Memory {
        /// The file.
        path: PathBuf,
        /// What takes the memory.
        item: String,
        /// The limit, in bytes.
        limit: u64,
        /// The memory needed, in bytes.
        needed: u64,
    },
    /// The value of an option is out of range.
    #[error("{option}: expected {expected}, found {found}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// What was expected.
        expected: String,
        /// The value found.
        found: String,
    },
    /// A BOS token was given for a file of token ids, whose rows are used as they are.
    #[error(
        "{}: expected no BOS token with a file of token ids, whose rows are used verbatim, found id {bos}",
        path.display()
    )]
    BosWithTokenIds {
        /// The file of token ids.
        path: PathBuf,
        /// The given id.
        bos: u32,
    },
    /// Text is not UTF-8.
    #[error("{}: line {line}: expected UTF-8, found byte 0x{found:02x} at byte {offset} of the line", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// Position of the first such byte in the line, counted from 0.
        offset: usize,
        /// The byte.
        found: u8,
    },
    /// A document is not JSON.
    #[error("{}: {place}: expected {expected}: {reason} at column {column}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line, row or element in which the parser stopped.
        place: Place,
        /// What was expected.
        expected: &'static str,
        /// Where the parser stopped in the line, in bytes counted from 1.
        column: usize,
        /// The parser's reason.
        reason: String,
    },
    /// The JSON of a document does not hold its text.
    #[error("{}: {place}: expected an object with a string in field `{field}`, found {found}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The line, or the element of an array.
        place: Place,
        /// Name of the field.
        field: String,
        /// What was found instead.
        found: String,
    },
    /// An `.npy` file breaks the format or holds something other than rows of token ids.
    #[error("{}: {item}: expected {expected}, found {found}", path.display())]
    Npy {
        /// The file.
        path: PathBuf,
        /// The part of the header, or of the file.
        item: &'static str,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A `.parquet` file breaks the format, or stores its texts in an unsupported form.
    #[error("{}: {item}: expected {expected}, found {found}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The part of the file.
        item: String,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A file of labels does not fit the sequences.
    #[error("{}: {place}: expected {expected}, found {found}", path.display())]
    Labels {
        /// The file.
        path: PathBuf,
        /// The line.
        place: Place,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A token id is outside the model's vocabulary.
    #[error("{}: {place}, token {index}: expected an id from 0 to below {vocab}, found {found}", path.display())]
    TokenOutOfRange {
        /// The file.
        path: PathBuf,
        /// The origin of the sequence.
        place: Place,
        /// Index of the token in the row or document, counted from 0.
        index: usize,
        /// Size of the vocabulary.
        vocab: usize,
        /// The id found.
        found: i128,
    },
    /// A file has no usable sequence.
    #[error(
        "{}: expected at least one sequence of {} tokens or more{}, found none in {documents} document(s): \
         {empty} empty, {short} too short",
        path.display(),
        crate::MIN_TOKENS,
        limit.map(|limit| format!(" within the limit of {limit} tokens")).unwrap_or_default()
    )]
    NoSequence {
        /// The file.
        path: PathBuf,
        /// The number of documents read.
        documents: usize,
        /// The number of empty lines and documents among them.
        empty: usize,
        /// The number of sequences that are too short.
        short: usize,
        /// The limit on the number of tokens, if one was set.
        limit: Option<usize>,
    },
    /// A `tokenizer.json` contains something that would give wrong tokens.
    #[error("{}: {item}: expected {expected}, found {found}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// The part of the file.
        item: String,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A folder's tokenizer is in an unsupported form.
    #[error(
        "{}: expected tokenizer.json, found a tokenizer in another form; make one with: {}",
        path.display(),
        conversion(folder)
    )]
    TokenizerForm {
        /// The file found.
        path: PathBuf,
        /// The checkpoint folder.
        folder: PathBuf,
    },
    /// A text is preceded by more than one token, or by one outside the vocabulary.
    #[error("{}: expected at most one token before a text, found {found}; say which BOS to use", path.display())]
    Bos {
        /// The tokenizer's file.
        path: PathBuf,
        /// What was found.
        found: String,
    },
    /// The tokenizers library refused a `tokenizer.json`.
    #[error("{}: the tokenizers library cannot load it: {reason}", path.display())]
    TokenizerLoad {
        /// The file.
        path: PathBuf,
        /// The library's reason.
        reason: String,
    },
    /// The tokenizers library failed on a text.
    #[error("{}: the tokenizer cannot encode a text of {bytes} bytes: {reason}", path.display())]
    Encode {
        /// The tokenizer's file.
        path: PathBuf,
        /// The length of the text in bytes.
        bytes: usize,
        /// The library's reason.
        reason: String,
    },
    /// The tokenizers library failed on token ids.
    #[error("{}: the tokenizer cannot decode {tokens} token ids: {reason}", path.display())]
    Decode {
        /// The tokenizer's file.
        path: PathBuf,
        /// Number of token ids.
        tokens: usize,
        /// The library's reason.
        reason: String,
    },
}

/// A shell command that makes a `tokenizer.json` from the tokenizer in a folder.
fn conversion(folder: &Path) -> String {
    let folder = folder.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let folder = match folder.chars().all(is_plain) {
        true => folder,
        false => format!("'{}'", folder.replace('\'', r"'\''")),
    };
    format!(
        "python -c \"import sys; from transformers import AutoTokenizer; AutoTokenizer.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[1])\" {folder}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_word_of_the_shell_whatever_its_name() {
        let check = |folder: &str, word: &str| {
            let line = conversion(Path::new(folder));
            assert!(line.ends_with(&format!("\" {word}")), "{line}");
        };
        check("models/llama-2_7b.v1", "models/llama-2_7b.v1");
        check("my models", "'my models'");
        check("$HOME/`it`", "'$HOME/`it`'");
        check("it's", r"'it'\''s'");
    }
}
