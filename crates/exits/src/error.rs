//! The crate's error type.

use layerwise_files::FileError;
use layerwise_metrics::MetricsError;
use std::path::PathBuf;

/// Why a rule cannot be trained, read or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExitError {
    /// A file cannot be opened or read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A classifier cannot be fitted.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A file is not a classifier's.
    #[error("{}: expected a classifier of early exit in JSON: {found}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What the reader of JSON says.
        found: String,
    },
    /// A field of a classifier cannot be what it is.
    #[error("{}: {field}: expected {expected}, found {found}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What has to be there.
        expected: String,
        /// What is.
        found: String,
    },
    /// A field of a classifier that is to be written cannot be what it is.
    #[error("{field} of the classifier: expected {expected}, found {found}")]
    Unwritable {
        /// The field.
        field: &'static str,
        /// What has to be there.
        expected: String,
        /// What is.
        found: String,
    },
    /// Too little to train on.
    #[error("{found} training instances; a classifier needs at least {least}")]
    TooFewInstances {
        /// The fewest that are accepted.
        least: usize,
        /// Those given.
        found: usize,
    },
    /// Nothing to tell apart.
    #[error("all {rows} training rows {}; a classifier needs rows of both kinds", match is_final {
        true => "have their final answer already",
        false => "do not have their final answer yet",
    })]
    OneKind {
        /// The rows.
        rows: usize,
        /// Whether the answers of all of them are final.
        is_final: bool,
    },
    /// A rule is not among those that are known.
    #[error("unknown {what} `{found}`; expected {expected}")]
    Unknown {
        /// What was to be named.
        what: &'static str,
        /// The name.
        found: String,
        /// The names that are known.
        expected: String,
    },
    /// A threshold is NaN.
    #[error("the threshold is NaN; give a number")]
    InvalidThreshold,
    /// A rule that knows the end cannot run ahead of it.
    #[error("`{rule}` looks at the last block, and cannot stop a run before it")]
    LooksAhead {
        /// The rule's name.
        rule: &'static str,
    },
    /// A rule that is trained was asked for without a classifier.
    #[error("`{rule}` is trained: give a classifier's file")]
    Untrained {
        /// The rule's name.
        rule: &'static str,
    },
}
