use layerwise_journal::{JournalError, Shard, Units};
use layerwise_metrics::MetricsError;
use layerwise_schedule::{ScheduleError, Source, Stack};
use layerwise_transformer::{NotFinite, TransformerError};
use std::fmt;

/// What is wrong with an edit; the edit's text appears once.
fn of_edit(edit: &str, source: &impl fmt::Display) -> String {
    let told = source.to_string();
    match told.starts_with(&format!("`{edit}`")) {
        true => format!("edit {told}"),
        false => format!("edit `{edit}`: {told}"),
    }
}

/// The part of the message about results of unfinished items.
fn of_parts(items: usize) -> String {
    match items {
        0 => String::new(),
        items => format!(", and parts of {items} more"),
    }
}

/// Why a sweep fails.
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
    /// The plan was made for another model.
    #[error(
        "the plan is for {found:?}, but the model is {expected:?}; make the plan with this model's `stack()`"
    )]
    OtherStack {
        /// The plan's stack.
        found: Stack,
        /// The model's stack.
        expected: Stack,
    },
    /// Two models to be compared have different vocabularies.
    #[error(
        "the models have vocabularies of {expected} and {found} tokens; compare models with one vocabulary"
    )]
    OtherVocabulary {
        /// The size of the first vocabulary, in tokens.
        expected: usize,
        /// The size of the second vocabulary, in tokens.
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
    /// An item has too few tokens for the measure.
    #[error("{unit} {item} has {found} tokens; expected at least {expected}")]
    TooShort {
        /// What an item is called.
        unit: &'static str,
        /// Index of the item in the run.
        item: usize,
        /// The fewest tokens that the measure accepts.
        expected: usize,
        /// The number of its tokens.
        found: usize,
    },
    /// The values that an edit takes are missing or have the wrong shape.
    #[error("{}", of_edit(edit, source))]
    Values {
        /// The edit of the schedule.
        edit: String,
        /// What is wrong with it.
        source: Box<TransformerError>,
    },
    /// An edit takes values of another sequence, but there is none.
    #[error("edit `{edit}`: {}", match source_of_values {
        Source::Donor => "it takes values of paired sequences, but the items are not pairs",
        _ => "each sequence needs another one of the same length; give a reference text that has some",
    })]
    NoSource {
        /// The edit of the schedule.
        edit: String,
        /// The run that it takes values from.
        source_of_values: Source,
    },
    /// The sequence that values are taken from has another length than the item.
    #[error(
        "{unit} {item} has {expected} tokens, but the sequence that it takes values from has {found}; give sequences of equal length"
    )]
    PartnerDiffers {
        /// What an item is called.
        unit: &'static str,
        /// Index of the item in the run.
        item: usize,
        /// The number of the item's tokens.
        expected: usize,
        /// The number of the other sequence's tokens.
        found: usize,
    },
    /// The mean of an activation over a reference text is not finite.
    #[error(
        "the mean of {place}: expected finite activations of the reference text, found NaN or infinity"
    )]
    MeanNotFinite {
        /// The site, and its block.
        place: String,
    },
    /// The model's output is not finite.
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
        /// The first NaN or infinite value of the forward pass.
        origin: Option<NotFinite>,
    },
    /// The measure fails.
    #[error("{unit} {item}: {source}")]
    Measure {
        /// What an item is called.
        unit: &'static str,
        /// Index of the item in the run.
        item: usize,
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The run was stopped before all items were finished.
    #[error("interrupted: {finished} of {all} {units} are finished{}{}", if *kept { " and kept" } else { ", and none is kept" }, of_parts(*parts))]
    Interrupted {
        /// The number of finished items.
        finished: usize,
        /// The number of items of the run.
        all: usize,
        /// What items are called, as `sequences`.
        units: String,
        /// The number of unfinished items for which the journal keeps some results.
        parts: usize,
        /// Whether a journal keeps the finished items.
        kept: bool,
    },
    /// Work in hand was given up ([`Runner::give_up`](crate::Runner::give_up)).
    #[error("interrupted: the work in hand is given up, and begins anew in another run")]
    GivenUp,
    /// The shares to be merged do not cover all items.
    #[error("{what}: the shares are not finished: missing {missing}")]
    Unfinished {
        /// The model, and what the items are called.
        what: String,
        /// The missing items, by their indices in the run.
        missing: Units,
    },
    /// The run needs more memory than is available.
    #[error("{what}: needs {} of memory, but only {} is available", mebibytes(*needed), mebibytes(*limit))]
    Memory {
        /// What needs it.
        what: String,
        /// Bytes needed, including those already in use.
        needed: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A target for the standard error was set for a shard. The first sequences of a shard are not those of the whole run.
    #[error("a target for the standard error needs the whole run, but this is shard {shard}")]
    TargetOfShard {
        /// The shard.
        shard: Shard,
    },
    /// The system does not start enough threads.
    #[error("the system starts only {found} of {expected} threads: {source}")]
    Threads {
        /// The number of threads requested.
        expected: usize,
        /// The number of threads started.
        found: usize,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The engine violates one of its own laws, so its results cannot be trusted.
    #[error("self-check failed: {law}; {found}")]
    SelfCheck {
        /// The law.
        law: &'static str,
        /// What was found instead.
        found: String,
    },
    /// The statistic is unknown.
    #[error("statistic `{found}`: expected {expected}")]
    Statistic {
        /// The text as given.
        found: String,
        /// The known statistics.
        expected: String,
    },
    /// The text is not a target for the standard error.
    #[error("target `{found}`: expected STATISTIC=VALUE with a positive number, as kl_nats=0.01")]
    Target {
        /// The text as given.
        found: String,
    },
    /// The baseline is no schedule of the run.
    #[error(
        "baseline `{edit}`: the run has no such schedule; expected `id`, the plain model, or one of the run's edits{}: add it to them",
        such_as(near)
    )]
    Baseline {
        /// The baseline's edit.
        edit: String,
        /// Edits of the run that begin like it, at most three.
        near: Vec<String>,
    },
    /// A schedule was not measured where the baseline was.
    #[error("edit `{edit}` beside the baseline: {source}")]
    Unpaired {
        /// The schedule's edit.
        edit: String,
        /// What is unlike.
        source: MetricsError,
    },
    /// The journal cannot be used.
    #[error("{0}")]
    Journal(#[from] JournalError),
}

impl SweepError {
    /// The index of the item that the error concerns, if any.
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

/// `, such as …`, if there are examples.
fn such_as(near: &[String]) -> String {
    match near {
        [] => String::new(),
        near => format!(
            ", such as `{}`, whose indices count from 0",
            near.join("`, `")
        ),
    }
}
