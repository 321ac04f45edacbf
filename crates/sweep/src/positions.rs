//! What one schedule gives at each position of a sequence, for those who keep it.

use std::fmt::Debug;
use std::io;

/// What one schedule gives at one position.
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

/// Takes up what a sweep gives at each position.
///
/// Sequences and schedules come in any order and from any thread, each schedule of a sequence once in a run; after an interruption
/// some may come again, with the same values.
pub trait Positions: Debug + Send + Sync {
    /// Takes up positions 1..=T−1 of a sequence, by its index, under equal schedules, by theirs.
    ///
    /// # Errors
    /// They cannot be written; the run ends.
    fn take(&self, sequence: usize, schedules: &[usize], positions: &[Position]) -> io::Result<()>;

    /// What has been taken up is on the disk when this returns: then the journal tells of it.
    ///
    /// # Errors
    /// As [`Positions::take`].
    fn settle(&self) -> io::Result<()>;
}
