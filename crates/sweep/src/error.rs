use layerwise_journal::{JournalError, Shard, Units};
use layerwise_schedule::{ScheduleError, Source, Stack};
use layerwise_transformer::{NotFinite, TransformerError};
use std::fmt;

/// What is wrong with an edit, whose text is told once.
fn of_edit(edit: &str, source: &impl fmt::Display) -> String {
    let told = source.to_string();
    match told.starts_with(&format!("`{edit}`")) {
        true => format!("edit {told}"),
        false => format!("edit `{edit}`: {told}"),
    }
}

/// What is kept besides finished items.
fn of_parts(items: usize) -> String {
    match items {
        0 => String::new(),
        items => format!(", and parts of {items} more"),
    }
}

/// What can go wrong in a sweep.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// A family or edit does not fit the model.
    #[error("{}", of_edit(edit, source))]
    Schedule {
        /// The text as given.
        edit: String,
        /// What is wrong with it.
        source: Box<ScheduleError>,
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
    /// Two models that are compared do not have the same vocabulary.
    #[error(
        "the models have vocabularies of {expected} tokens and {found}; expected one vocabulary"
    )]
    OtherVocabulary {
        /// Tokens of the first.
        expected: usize,
        /// Tokens of the second.
        found: usize,
    },
    /// An item's tokens do not fit the model.
    #[error("{unit} {item}: {source}")]
    DoesNotFit {
        /// What an item is called.
        unit: &'static str,
        /// Index of the item in the run.
        item: usize,
        /// What is wrong with it.
        source: Box<TransformerError>,
    },
    /// An item has too few tokens to be measured.
    #[error("{unit} {item} has {found} tokens; expected at least {expected}")]
    TooShort {
        /// What an item is called.
        unit: &'static str,
        /// Index of the item in the run.
        item: usize,
        /// The fewest tokens that the measure accepts.
        expected: usize,
        /// Its tokens.
        found: usize,
    },
    /// An edit of values takes what is missing or has another shape.
    #[error("{}", of_edit(edit, source))]
    Values {
        /// The edit of the schedule.
        edit: String,
        /// What is wrong with it.
        source: Box<TransformerError>,
    },
    /// An edit takes values of another sequence, and there is none.
    #[error("edit `{edit}`: {}", match source_of_values {
        Source::Donor => "it takes values of paired sequences, and these are not pairs",
        _ => "expected another sequence of the same length for each: give a reference text with some",
    })]
    NoSource {
        /// The edit of the schedule.
        edit: String,
        /// Where it takes values from.
        source_of_values: Source,
    },
    /// A sequence that values are taken from has another number of tokens than the item.
    #[error(
        "{unit} {item} has {expected} tokens; expected as many in the sequence that values are taken from, found {found}"
    )]
    PartnerDiffers {
        /// What an item is called.
        unit: &'static str,
        /// Index of the item in the run.
        item: usize,
        /// The item's tokens.
        expected: usize,
        /// The other sequence's.
        found: usize,
    },
    /// The mean of an activation over a reference text is no number.
    #[error(
        "the mean of {place}: expected finite activations of the reference text, found NaN or infinity"
    )]
    MeanNotFinite {
        /// The site, and its block.
        place: String,
    },
    /// The model's output is not a number.
    #[error(
        "schedule `{schedule}`, {unit} {item}, position {position}: expected finite logits, found NaN or infinity; {}",
        origin.map_or("every activation is finite".to_owned(), |origin| format!("the first is {origin}"))
    )]
    NotFinite {
        /// The edit of the schedule.
        schedule: String,
        /// What an item is called.
        unit: &'static str,
        /// Index of the item in the run.
        item: usize,
        /// The first such position.
        position: usize,
        /// Where the first such value of the forward pass arises.
        origin: Option<NotFinite>,
    },
    /// A measure cannot go on.
    #[error("{unit} {item}: {source}")]
    Measure {
        /// What an item is called.
        unit: &'static str,
        /// Index of the item in the run.
        item: usize,
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A run was stopped with work left to do.
    #[error("interrupted: {finished} of {all} {units} are finished{}{}", if *kept { " and kept" } else { ", and none is kept" }, of_parts(*parts))]
    Interrupted {
        /// Items whose results are there.
        finished: usize,
        /// Items of the run.
        all: usize,
        /// What they are, as `sequences`.
        units: String,
        /// Items of which the journal keeps results of some schedules.
        parts: usize,
        /// Whether the finished ones are in a journal.
        kept: bool,
    },
    /// Shares that are put together leave items out.
    #[error("{what}: the shares are not finished: missing are {missing}")]
    Unfinished {
        /// The model, and what the items are.
        what: String,
        /// The items, by their indices in the run.
        missing: Units,
    },
    /// What is to be run needs more memory than there is.
    #[error("{what}: needs {} of memory, but only {} is available", mebibytes(*needed), mebibytes(*limit))]
    Memory {
        /// What needs it.
        what: String,
        /// Bytes needed, with what is held already.
        needed: u64,
        /// Bytes that may be taken in all.
        limit: u64,
    },
    /// A standard error was asked for of a part of a run: the first sequences of a part are not those of the whole.
    #[error("a target for the standard error needs the whole run, found shard {shard}")]
    TargetOfShard {
        /// The shard.
        shard: Shard,
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
    #[error("statistic `{found}`: expected {expected}")]
    Statistic {
        /// The text as given.
        found: String,
        /// The statistics that there are.
        expected: String,
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

impl SweepError {
    /// Index of the item that the error is about, where it is about one.
    pub fn item(&self) -> Option<usize> {
        match self {
            Self::DoesNotFit { item, .. }
            | Self::TooShort { item, .. }
            | Self::PartnerDiffers { item, .. }
            | Self::NotFinite { item, .. }
            | Self::Measure { item, .. } => Some(*item),
            _ => None,
        }
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
