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
///
/// ```
/// use layerwise_sweep::{Divergence, Plan, Position, Positions, Runner};
/// use layerwise_transformer::{Model, ModelConfig};
/// use std::collections::BTreeMap;
/// use std::io;
/// use std::sync::{Arc, Mutex};
///
/// /// The largest divergence of each schedule, in nats.
/// #[derive(Debug, Default)]
/// struct Largest(Mutex<BTreeMap<usize, f64>>);
///
/// impl Positions for Largest {
///     fn take(&self, _: usize, schedules: &[usize], positions: &[Position]) -> io::Result<()> {
///         let mut all = self.0.lock().expect("no thread has panicked");
///         for schedule in schedules {
///             let own = all.entry(*schedule).or_default();
///             *own = positions.iter().fold(*own, |most, position| position.kl_nats.max(most));
///         }
///         Ok(())
///     }
///     fn settle(&self) -> io::Result<()> {
///         Ok(()) // nothing is on disk
///     }
/// }
///
/// let model = Model::random(ModelConfig::tiny(), 0);
/// let plan = Plan::new(model.stack(), &["drop(1)".parse()?], 1)?;
/// let largest = Arc::new(Largest::default());
/// let measure = Divergence::new().per_position(largest.clone(), "memory");
/// Runner::new().measure(&model, &plan, &measure, &[vec![0, 5, 3, 8]])?;
/// assert!(largest.0.lock().expect("no thread has panicked")[&1] > 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
