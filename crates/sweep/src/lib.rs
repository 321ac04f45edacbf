//! Many layer schedules over a corpus, compared with the plain model, as streamed statistics.
//!
//! The work of a run is a [`Plan`]: the plain schedule and the members of the given edit families, in a prefix trie,
//! so that what schedules have in common is computed once per sequence.
//! The [`engine`](run) hands sequences and subtrees of the trie to threads.
//! Each (sequence, schedule) pair gives a handful of sums ([`Sums`]), which are put together in corpus order:
//! neither threads nor sharing change a bit of any result.
//!
//! # What is measured
//! With positions 0..T−1 of a sequence, KL, agreement and entropy cover positions 1..=T−1 (position 0 sees only BOS, or nothing);
//! the loss at position i is that of predicting token i+1 and covers 1..=T−2.
//!
//! # Memory
//! Besides the model, a worker holds the buffers of one block ([`layerwise_transformer::Workspace`]), the final states,
//! packed, with one tile of their logits, at most one residual stream for each point where a schedule leaves the plain
//! model's path, plus ⌊log₂ schedules⌋ of them;
//! nothing has the size positions × vocabulary, and nothing grows with the number of sequences.
//! [`worker_bytes`] is the bound. A sweep's journal keeps the [`Sums`] of every finished unit, 48 bytes a schedule.
//!
//! # Runs that last
//! A [`Journal`](layerwise_journal::Journal) takes up each finished sequence, so that a run can be stopped at any moment and
//! shared out; a [`Judge`] finds the least number of sequences that makes a standard error small enough.

mod checks;
mod engine;
mod error;
mod memory;
mod plan;
mod stopping;
mod sums;

pub use checks::self_check;
pub use engine::{Options, run};
pub use error::SweepError;
pub use memory::worker_bytes;
pub use plan::{Entry, Label, Plan};
pub use stopping::{Judge, Target};
pub use sums::{Statistic, Statistics, Sums, collect};
