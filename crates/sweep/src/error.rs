use layerwise_journal::JournalError;
use layerwise_schedule::{ScheduleError, Stack};
use layerwise_transformer::{NotFinite, TransformerError};

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
    /// A plan was made for another model.
    #[error(
        "the plan is for {found:?}; expected {expected:?}, the model's blocks: make it with this model's `stack()`"
    )]
    OtherStack {
        /// The plan's stack.
        found: Stack,
        /// The model's stack.
        expected: Stack,
    },
    /// A sequence does not fit the model.
    #[error("sequence {sequence}: {source}")]
    Sequence {
        /// Index of the sequence in the corpus.
        sequence: usize,
        /// What is wrong with it.
        source: Box<TransformerError>,
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
        "schedule `{schedule}`, sequence {sequence}, position {position}: expected finite logits, found NaN or infinity; {}",
        origin.map_or("every activation is finite".to_owned(), |origin| format!("the first is {origin}"))
    )]
    NotFinite {
        /// The edit of the schedule.
        schedule: String,
        /// Index of the sequence in the corpus.
        sequence: usize,
        /// The first such position.
        position: usize,
        /// Where the first such value of the forward pass arises.
        origin: Option<NotFinite>,
    },
    /// The system does not start as many threads as were asked for.
    #[error(
        "threads: expected {expected}, found that the system starts no more than {found}: {source}"
    )]
    Threads {
        /// Threads asked for.
        expected: usize,
        /// Threads that were started.
        found: usize,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The engine contradicts one of its own laws: nothing it says can be trusted.
    #[error("self-check failed: {law}; {found}")]
    SelfCheck {
        /// The law.
        law: &'static str,
        /// What was found instead.
        found: String,
    },
    /// Unknown statistic.
    #[error("statistic `{found}`: expected kl_nats, top1_agreement, entropy_bits or loss_nats")]
    Statistic {
        /// The text as given.
        found: String,
    },
    /// A target for the standard error that is none.
    #[error("target `{found}`: expected STATISTIC=VALUE with a positive number, as kl_nats=0.01")]
    Target {
        /// The text as given.
        found: String,
    },
    /// The journal cannot be used.
    #[error("{0}")]
    Journal(#[from] JournalError),
}
