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
    /// A file is not a classifier.
    #[error("{}: expected an early-exit classifier in JSON: {found}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// The JSON reader's message.
        found: String,
    },
    /// A field of a classifier has an impossible value.
    #[error("{}: {field}: expected {expected}, found {found}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// The accepted values.
        expected: String,
        /// The value found.
        found: String,
    },
    /// A field of a classifier to be written has an impossible value.
    #[error("{field} of the classifier: expected {expected}, found {found}")]
    Unwritable {
        /// The field.
        field: &'static str,
        /// The accepted values.
        expected: String,
        /// The value found.
        found: String,
    },
    /// There are too few training instances.
    #[error("{found} training instances; a classifier needs at least {least}")]
    TooFewInstances {
        /// The smallest accepted number.
        least: usize,
        /// The number given.
        found: usize,
    },
    /// All training rows have the same label.
    #[error("all {rows} training rows {}; a classifier needs rows of both kinds", match is_final {
        true => "already have their final answer",
        false => "do not have their final answer yet",
    })]
    OneKind {
        /// The rows.
        rows: usize,
        /// Whether the answers of all of them are final.
        is_final: bool,
    },
    /// The rule is unknown.
    #[error("unknown {what} `{found}`; expected {expected}")]
    Unknown {
        /// What the name stands for.
        what: &'static str,
        /// The name.
        found: String,
        /// The known names.
        expected: String,
    },
    /// What follows a rule's name is no number.
    #[error("expected a number after the colon, found {found:?}")]
    NotANumber {
        /// The text after the colon.
        found: String,
    },
    /// The rule needs a number of blocks.
    #[error("expected the number of blocks, as in fixed:{}", blocks.div_ceil(2))]
    NoDepth {
        /// The number of the model's blocks.
        blocks: usize,
    },
    /// Candidates are to be chosen after more blocks than the model has.
    #[error("top:R@K with {from} blocks: {model} has {blocks}")]
    TooDeep {
        /// The blocks after which candidates are chosen.
        from: usize,
        /// The model's name.
        model: String,
        /// The number of its blocks.
        blocks: usize,
    },
    /// A threshold is NaN.
    #[error("the threshold is NaN; give a number")]
    InvalidThreshold,
    /// The rule needs the end of a run, so it cannot stop one early.
    #[error("`{rule}` reads the last block, so it cannot stop a run before it")]
    LooksAhead {
        /// The rule's name.
        rule: &'static str,
    },
    /// A trained rule was requested without a classifier.
    #[error("`{rule}` is a trained rule: give the file of its classifier")]
    Untrained {
        /// The rule's name.
        rule: &'static str,
    },
}
