//! The crate's error type.

use std::fmt;
use std::io;

/// A position in a file of lists.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// An utterance of a JSON list, from 0, and the field that was read.
    Utterance {
        /// Its index in the list, from 0.
        index: usize,
        /// The field, if one was being read.
        field: Option<&'static str>,
    },
    /// A line, from 1.
    Line(usize),
    /// The file as a whole.
    File,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Utterance {
                index,
                field: Some(field),
            } => write!(f, "utterance {index}, `{field}`"),
            Self::Utterance { index, field: None } => write!(f, "utterance {index}"),
            Self::Line(line) => write!(f, "line {line}"),
            Self::File => write!(f, "file"),
        }
    }
}

/// Why lists cannot be read, or transcripts cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TranscriptError {
    /// Reading failed.
    #[error("reading failed: {0}")]
    Io(#[from] io::Error),
    /// Something is larger than a [limit](crate::Limits) allows.
    #[error("{place}: expected at most {limit} {unit}, found {found}")]
    TooMany {
        /// The position.
        place: Place,
        /// What is counted.
        unit: &'static str,
        /// The limit.
        limit: u64,
        /// The number found, possibly when reading stopped.
        found: u64,
    },
    /// The file is not JSON, or JSON of another shape.
    #[error("{place}: {reason}")]
    Json {
        /// The position.
        place: Place,
        /// The JSON reader's message.
        reason: String,
    },
    /// A field, line or file breaks the format.
    #[error("{place}: expected {expected}, found {found}")]
    Format {
        /// The position.
        place: Place,
        /// What the format requires.
        expected: String,
        /// What was found.
        found: String,
    },
    /// Two utterances have the same identifier.
    #[error(
        "{place}: an earlier utterance has the id `{id:.60}` too; give each utterance a unique id"
    )]
    RepeatedId {
        /// The position of the second one.
        place: Place,
        /// The identifier.
        id: String,
    },
    /// No utterance of the lists has the identifier.
    #[error("{place}: no utterance has the id `{id:.60}`")]
    UnknownId {
        /// The position of the identifier.
        place: Place,
        /// The identifier.
        id: String,
    },
    /// A table of costs breaks its format.
    #[error("cost table {table}: {error}")]
    Costs {
        /// Its position among the tables, from 1.
        table: usize,
        /// What is wrong with it.
        error: Box<TranscriptError>,
    },
    /// Merging hypotheses opened too many slots.
    #[error("word lattice: more than {limit} slots; give fewer or shorter hypotheses")]
    TooManySlots {
        /// The limit.
        limit: usize,
    },
    /// Two systems to be compared did not transcribe the same utterances.
    #[error(
        "comparison: {expected} utterances in the first output, {found} in the second; both must have the same"
    )]
    UtteranceNumbers {
        /// The number of utterances of the first.
        expected: usize,
        /// The number of utterances of the second.
        found: usize,
    },
    /// The references of the two systems differ.
    #[error(
        "comparison, utterance {index}: {expected} reference words in the first output, {found} in the second; give both the same references"
    )]
    References {
        /// The index of the utterance, from 0.
        index: usize,
        /// The number of reference words for the first system.
        expected: u64,
        /// The number of reference words for the second system.
        found: u64,
    },
    /// A setting is outside its range.
    #[error("{setting}: expected {expected}, found {found}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// The accepted values.
        expected: &'static str,
        /// The value.
        found: String,
    },
}
