//! The results of a schedule at each position of a sequence.

use std::fmt::Debug;
use std::io;

/// The results of one schedule at one position.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Position {
    /// KL(plain ‖ altered), nats.
    pub kl_nats: f64,
    /// KL(altered ‖ plain), nats.
    pub reverse_kl_nats: f64,
    /// The Jensen–Shannon divergence of the two outputs, nats.
    pub js_nats: f64,
    /// Entropy of the altered output, bits.
    pub entropy_bits: f64,
    /// Loss of predicting the next token, nats; `None` at the last position.
    pub loss_nats: Option<f64>,
    /// Rank of the next token, from 1; `None` at the last position.
    pub rank: Option<u32>,
    /// The most probable token.
    pub top1: u32,
}

/// Receives the results of a sweep at each position.
///
/// Sequences and schedules come in any order and from any thread, each schedule of a sequence once in a run. After an
/// interruption some may come again, with the same values.
pub trait Positions: Debug + Send + Sync {
    /// Receives positions 1..=T−1 of a sequence, given by its index, under schedules that are equal, given by theirs.
    ///
    /// # Errors
    /// Writing fails; the run ends.
    fn take(&self, sequence: usize, schedules: &[usize], positions: &[Position]) -> io::Result<()>;

    /// Everything received so far must be on disk when this returns; the journal records it afterwards.
    ///
    /// # Errors
    /// As [`Positions::take`].
    fn settle(&self) -> io::Result<()>;
}
