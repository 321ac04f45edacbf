use crate::shard::Shard;
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
    /// A share of a run that is none.
    #[error(
        "shard `{found}`: expected K/N with K from 1 to N, and N at most {}",
        Shard::MAX_COUNT
    )]
    Shard {
        /// The text as given.
        found: String,
    },
    /// A statistic that there is not.
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
    /// A journal that was begun and holds nothing yet.
    #[error("{}: expected a journal, found no whole line; its run has to be started again", path.display())]
    JournalEmpty {
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
    /// The journal belongs to another share of this run.
    #[error(
        "{}: the journal is of shard {found}, expected shard {expected}; start over with --fresh, or give another output",
        path.display()
    )]
    OtherShard {
        /// The journal.
        path: PathBuf,
        /// The share that is to be run.
        expected: Shard,
        /// The journal's share.
        found: Shard,
    },
    /// The journal's model stood in another place of the table.
    #[error(
        "{}: the journal's model is number {found} of its table, expected number {expected}; name the models in the same order, or give another output",
        path.display()
    )]
    OtherPlace {
        /// The journal.
        path: PathBuf,
        /// The model's place now, from 1.
        expected: usize,
        /// Its place then, from 1.
        found: usize,
    },
    /// A line of the journal is not what was written.
    #[error("{}: line {line} is damaged (its checksum or content does not fit); start over with --fresh", path.display())]
    JournalDamaged {
        /// The journal.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// Two journals of one model that are not of one run.
    #[error(
        "{} and {} are of different runs of {model}: the model, corpus, schedules or program changed between them; expected shards of one run",
        path.display(), other.display()
    )]
    MergeOtherRun {
        /// The model.
        model: String,
        /// The first of the model's journals.
        path: PathBuf,
        /// One that does not belong to it.
        other: PathBuf,
    },
    /// Two journals of one run that was divided in two ways.
    #[error(
        "{} is of shard {shard} and {} of shard {other_shard}: expected shards of one division",
        path.display(), other.display()
    )]
    MergeOtherDivision {
        /// A journal.
        path: PathBuf,
        /// Its share.
        shard: Shard,
        /// Another journal of the run.
        other: PathBuf,
        /// Its share.
        other_shard: Shard,
    },
    /// Shards of a run are not there.
    #[error(
        "{model}: expected all {count} shards, found no journal of {}",
        list(missing)
    )]
    MergeMissing {
        /// The model.
        model: String,
        /// Shards of the run.
        count: u32,
        /// Those without a journal.
        missing: Vec<Shard>,
    },
    /// A shard was not run to its end.
    #[error(
        "{}: shard {shard} is not finished: sequence {sequence} is missing; give the command of this shard again",
        path.display()
    )]
    MergeUnfinished {
        /// The journal.
        path: PathBuf,
        /// Its share.
        shard: Shard,
        /// The first sequence of the corpus that it should hold and does not.
        sequence: usize,
    },
    /// Two journals of one shard that do not say the same.
    #[error("{} and {} have different results for sequence {sequence}", path.display(), other.display())]
    MergeConflict {
        /// A journal.
        path: PathBuf,
        /// Another journal.
        other: PathBuf,
        /// Index of the sequence in the corpus.
        sequence: usize,
    },
}

/// `2/3, 3/3`; no more than a line of them.
fn list(shards: &[Shard]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = shards.iter().take(SHOWN).map(Shard::to_string).collect();
    match shards.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
