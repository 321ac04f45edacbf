use layerwise_schedule::ScheduleError;
use layerwise_transformer::{NotFinite, TransformerError};
use std::path::PathBuf;

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
    /// The journal cannot be opened, read or written.
    #[error("{}: {source}", path.display())]
    Journal {
        /// The journal.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A journal's place is taken by something else.
    #[error("{}: expected a regular file, found a folder, a pipe or a device", path.display())]
    JournalNotFile {
        /// The journal.
        path: PathBuf,
    },
    /// Another process is at work on the same run.
    #[error("{}: another process holds this run; wait for it, or give another output", path.display())]
    JournalLocked {
        /// The journal.
        path: PathBuf,
    },
    /// The journal belongs to a run with other inputs.
    #[error(
        "{}: the journal is of another run (key {found}, expected {expected}): the model, corpus, schedules or program changed; start over with --fresh, or give another output",
        path.display()
    )]
    OtherRun {
        /// The journal.
        path: PathBuf,
        /// This run's key.
        expected: String,
        /// The journal's key.
        found: String,
    },
    /// A line of the journal is not what was written.
    #[error("{}: line {line} is damaged (its checksum does not fit); start over with --fresh", path.display())]
    JournalDamaged {
        /// The journal.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}
