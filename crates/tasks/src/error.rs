//! The crate's error type.

use layerwise_corpus::CorpusError;
use std::io;
use std::path::PathBuf;

/// Why a task cannot be read or encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// A file cannot be opened, or text cannot be encoded.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// A line has an unknown form.
    #[error("{}: line {line}: expected {expected}: {found}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The accepted forms.
        expected: &'static str,
        /// The message of the JSON or CSV reader.
        found: String,
    },
    /// A field has an impossible value.
    #[error("{}: line {line}: {field}: expected {expected}, found {found}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The field.
        field: &'static str,
        /// The accepted values.
        expected: String,
        /// The value found.
        found: String,
    },
    /// A folder cannot be listed, so that files in it may be missing.
    #[error("{}: cannot list the files: {source}; make it a folder that you may read", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A folder has none of the known data sets.
    #[error(
        "{}: expected data sets of tasks, as NAME.jsonl or the folder mmlu, found none of {}",
        path.display(), known.join(", ")
    )]
    NoDataSets {
        /// The folder.
        path: PathBuf,
        /// The names of the known data sets.
        known: Vec<&'static str>,
    },
    /// A file of labels does not have as many as the file that it belongs to has lines.
    #[error("{}: expected {expected} labels, one for each line of {}, found {found}", path.display(), of.display())]
    Labels {
        /// The file of labels.
        path: PathBuf,
        /// The file that it belongs to.
        of: PathBuf,
        /// The number of lines there.
        expected: usize,
        /// The number of labels.
        found: usize,
    },
    /// A file has no items.
    #[error("{}: expected {expected} on each line, found no line", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// The accepted forms.
        expected: &'static str,
    },
    /// Options begin with the same token, so that their first tokens do not tell them apart.
    #[error("{task} item {item}: expected options that differ in their first token, found {:?} and {:?}", options[0], options[1])]
    SameFirstToken {
        /// The task.
        task: String,
        /// The item's index, from 0.
        item: usize,
        /// Two of the options.
        options: [String; 2],
    },
    /// An item cannot be encoded as needed.
    #[error("{task} item {item}: expected {expected}, found {found}")]
    Tokens {
        /// The task.
        task: String,
        /// The item's index, from 0.
        item: usize,
        /// What is needed.
        expected: String,
        /// What was found.
        found: String,
    },
}
