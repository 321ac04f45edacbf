//! The crate's error type.

use std::fmt;
use std::io;

/// Where in a file of lists something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// An utterance of a JSON list, from 0, and the field that was read.
    Utterance {
        /// Its place in the list, from 0.
        index: usize,
        /// The field, where one was being read.
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

/// Why lists cannot be read, or transcripts not be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TranscriptError {
    /// Reading failed.
    #[error("reading failed: {0}")]
    Io(#[from] io::Error),
    /// Something is larger than a [limit](crate::Limits) allows.
    #[error("{place}: {found} {unit} are more than the {limit} that are read")]
    TooMany {
        /// Where.
        place: Place,
        /// What is counted.
        unit: &'static str,
        /// The limit.
        limit: u64,
        /// How many there are, or how many were counted before reading stopped.
        found: u64,
    },
    /// The file is no JSON, or JSON of another shape.
    #[error("{place}: {reason}")]
    Json {
        /// Where.
        place: Place,
        /// What the JSON reader says.
        reason: String,
    },
    /// A field, line or file that breaks the format.
    #[error("{place}: expected {expected}, found {found}")]
    Format {
        /// Where.
        place: Place,
        /// What the format asks for.
        expected: String,
        /// What is there instead.
        found: String,
    },
    /// One identifier stands for two utterances.
    #[error("{place}: the id `{id}` was given to an earlier utterance too; give each its own")]
    RepeatedId {
        /// Where the second one is.
        place: Place,
        /// The identifier.
        id: String,
    },
    /// An identifier that no utterance of the lists has.
    #[error("{place}: no utterance has the id `{id}`")]
    UnknownId {
        /// Where it is named.
        place: Place,
        /// The identifier.
        id: String,
    },
    /// Merging hypotheses opened too many slots.
    #[error("word lattice: more than {limit} slots; give fewer or shorter hypotheses")]
    TooManySlots {
        /// The limit.
        limit: usize,
    },
    /// Two systems that are compared have not transcribed the same utterances.
    #[error(
        "comparison: {expected} utterances in the first output, {found} in the second; both must have the same"
    )]
    UtteranceNumbers {
        /// Utterances of the first.
        expected: usize,
        /// Utterances of the second.
        found: usize,
    },
    /// The two systems are held against different references.
    #[error(
        "comparison, utterance {index}: {expected} reference words in the first output, {found} in the second"
    )]
    References {
        /// The utterance, from 0.
        index: usize,
        /// Reference words for the first system.
        expected: u64,
        /// Reference words for the second.
        found: u64,
    },
    /// A setting outside its range.
    #[error("{setting}: expected {expected}, found {found}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
}
