//! Measures a model under altered layer schedules, over many items, as streamed statistics.
//!
//! A [`Plan`] is the work of a run: the plain schedule and the members of the given edit families, in a prefix trie, so that
//! common prefixes of schedules are computed once per item.
//! A [`Measure`] says what an item is (a sequence, a question, a window of words) and what is measured where a schedule ends.
//! The [`Engine`] hands items and subtrees of the trie to threads, and the [`Runner`] adds what long runs need.
//! Each (item, schedule) pair gives a handful of sums, which are combined in the order of the items.
//! Neither threads nor sharing change a bit of any result.
//!
//! [`Divergence`] is the measure of a sweep: how far altered outputs differ from the plain model's.
//!
//! # Memory
//! Besides the model, a worker holds the buffers of one block ([`layerwise_transformer::Workspace`]), what the measure needs, and
//! at most one residual stream for each point where a schedule leaves the plain model's path, and ⌊log₂ schedules⌋ more.
//! Nothing has the size positions × vocabulary, and nothing grows with the number of items.
//! [`worker_bytes`] is the bound. The results of finished items are kept; [`results_bytes`] bounds them. A [`Budget`] counts both
//! before a run begins.
//!
//! # Long runs
//! A [`Journal`](layerwise_journal::Journal) records each finished item, so that a run can be stopped at any moment, resumed, and
//! divided into shards, which [`merge`] puts together. A [`Judge`] finds the smallest number of items that makes a standard error
//! small enough.

mod checks;
mod classes;
mod comparing;
pub mod cost;
mod differences;
mod divergence;
mod engine;
mod error;
mod fitting;
mod grouping;
pub mod growth;
mod likelihood;
mod measure;
mod memory;
mod merging;
mod pairs;
mod plan;
mod positions;
mod reference;
mod resampling;
mod rounding;
mod runner;
mod sources;
mod stopping;
mod summary;
mod sums;
mod table;
mod work;

pub use checks::self_check;
pub use classes::Classes;
pub use comparing::{ModelDifference, compare};
pub use differences::Differences;
pub use divergence::Divergence;
pub use engine::Engine;
pub use error::SweepError;
pub use fitting::check as check_edits;
pub use likelihood::{Continuation, Likelihood, LogLikelihood, Question, Rule};
pub use measure::{Failure, KeptMeasure, Measure, MeasureId, PlainResults, Reached};
pub use memory::{Budget, Counted, Held, results_bytes, worker_bytes};
pub use merging::{WholeRun, merge};
pub use pairs::{Last, Pair, PairStatistics, PairSums, Patching};
pub use plan::{Entry, Label, Plan};
pub use positions::{Position, Positions};
pub use reference::add_means;
pub use resampling::Resampling;
pub use rounding::{RoundedSchedule, Rounding, most_bytes_of_cache, rounding_of_cache};
pub use runner::{Begun, Described, Journals, Measured, Progress, Runner, Subject};
pub use sources::{Sources, partners, partners_among};
pub use stopping::{Judge, Target};
pub use summary::Summary;
pub use sums::{BothWays, Statistic, Statistics, Sums, collect};
pub use table::Table;
pub use work::{Work, WorkBytes};
