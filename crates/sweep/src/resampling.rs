//! The sequences that a run resamples from, within a budget.

use crate::error::SweepError;
use crate::memory::{Budget, Counted};
use crate::sources::{partners, partners_among};

/// The sequences that `resample` takes the values of a run's sequences from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Resampling {
    /// Whether each sequence has a partner. Those without one cannot run.
    pub kept: Vec<bool>,
    /// The partners of those that have one, in order, for [`Sources::partners`](crate::Sources::partners).
    pub partners: Counted<Vec<Vec<u32>>>,
}

impl Resampling {
    /// Gives each sequence of a run a partner of its length: another one of them ([`partners`]), or one of another text
    /// ([`partners_among`]). Messages call the copies of the partners `what`.
    ///
    /// ```
    /// use layerwise_sweep::{Budget, Resampling};
    ///
    /// let text = [vec![1, 2], vec![3, 4, 5], vec![6, 7]];
    /// let found = Resampling::new(&text, None, 0, &Budget::new(None), "the partners")?;
    /// assert_eq!(found.kept, [true, false, true]);
    /// assert_eq!(*found.partners, [vec![6, 7], vec![1, 2]]);
    /// # Ok::<(), layerwise_sweep::SweepError>(())
    /// ```
    ///
    /// # Errors
    /// [`SweepError::Memory`] if the partners exceed the budget.
    pub fn new(
        sequences: &[Vec<u32>],
        others: Option<&[Vec<u32>]>,
        seed: u64,
        budget: &Budget,
        what: &str,
    ) -> Result<Self, SweepError> {
        let (text, found) = match others {
            Some(others) => (others, partners_among(sequences, others, seed)),
            None => (sequences, partners(sequences, seed)),
        };
        let kept = found.iter().map(Option::is_some).collect();
        let found = found.into_iter().flatten().map(|at| &text[at]);
        let bytes = found
            .clone()
            .map(|own| size_of_val(own.as_slice()) + size_of::<Vec<u32>>());
        let memory = budget.hold(what, bytes.sum::<usize>() as u64)?;
        Ok(Self {
            kept,
            partners: Counted::new(found.cloned().collect(), memory),
        })
    }

    /// The number of sequences without a partner.
    pub fn left_out(&self) -> usize {
        self.kept.iter().filter(|kept| !**kept).count()
    }
}
