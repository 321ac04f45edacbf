use layerwise_schedule::ScheduleError;
use layerwise_transformer::TransformerError;

/// What can go wrong in a sweep.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// A family or edit does not fit the model.
    #[error("edit `{edit}`: {source}")]
    Schedule {
        /// The text as given.
        edit: String,
        /// What is wrong with it.
        source: ScheduleError,
    },
    /// A sequence does not fit the model.
    #[error("sequence {sequence}: {source}")]
    Sequence {
        /// Index of the sequence in the corpus.
        sequence: usize,
        /// What is wrong with it.
        source: TransformerError,
    },
    /// A sequence too short to have a position with statistics.
    #[error("sequence {sequence} has {found} tokens; expected at least 3")]
    SequenceTooShort {
        /// Index of the sequence in the corpus.
        sequence: usize,
        /// Its tokens.
        found: usize,
    },
    /// The model's output is not a number.
    #[error(
        "schedule `{schedule}`, sequence {sequence}, position {position}: the logits hold NaN or infinity; expected finite numbers"
    )]
    NotFinite {
        /// The schedule's edit.
        schedule: String,
        /// Index of the sequence in the corpus.
        sequence: usize,
        /// The first such position.
        position: usize,
    },
    /// The engine contradicts one of its own laws: nothing it says can be trusted.
    #[error("self-check failed: {law}; {found}")]
    SelfCheck {
        /// The law.
        law: &'static str,
        /// What was found instead.
        found: String,
    },
}
