//! Stops a run once a mean is known well enough.

use crate::error::SweepError;
use layerwise_metrics::ClusteredMean;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A target for the standard error of every schedule's mean of one statistic; its text is `kl_nats=0.01`.
///
/// The measure decides which statistics exist ([`Measure::statistics`](crate::Measure::statistics)).
///
/// ```
/// use layerwise_sweep::Target;
///
/// let target: Target = "kl_nats=0.01".parse()?;
/// assert_eq!((target.statistic.as_str(), target.standard_error), ("kl_nats", 0.01));
/// assert!("kl_nats=0".parse::<Target>().is_err());
/// # Ok::<(), layerwise_sweep::SweepError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The statistic's name.
    pub statistic: String,
    /// The largest standard error allowed, in the statistic's unit; positive.
    pub standard_error: f64,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.statistic, self.standard_error)
    }
}

impl FromStr for Target {
    type Err = SweepError;

    fn from_str(text: &str) -> Result<Self, SweepError> {
        let fails = || SweepError::Target {
            found: text.to_owned(),
        };
        let (statistic, value) = text.split_once('=').ok_or_else(fails)?;
        let is_name = |name: &str| {
            let mut bytes = name.bytes();
            !name.is_empty() && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        Ok(Self {
            statistic: Some(statistic)
                .filter(|name| is_name(name))
                .ok_or_else(fails)?
                .to_owned(),
            standard_error: value
                .parse()
                .ok()
                .filter(|value: &f64| value.is_finite() && *value > 0.0)
                .ok_or_else(fails)?,
        })
    }
}

/// Finds the smallest number of items, from the start of the run, that brings a standard error down to a value.
///
/// Items are judged in order, and the schedule with the largest standard error decides. So the outcome depends on the items and
/// the value alone, not on the order in which items finish or on how many more of them finish.
///
/// ```
/// use layerwise_sweep::Judge;
/// use std::collections::BTreeMap;
///
/// // The results of one schedule alternate between 0 and 1; those of the other are always 1.
/// let results = |item: usize| (item, vec![(item % 2) as f64, 1.0]);
/// let finished: BTreeMap<usize, Vec<f64>> = (0..100).map(results).collect();
/// let mut judge = Judge::new(0.15, 2);
/// assert_eq!(judge.follow(&finished, |_, result| (*result, 1)), Some(13)); // items
/// assert!(judge.worst().is_some_and(|(schedule, error)| schedule == 0 && error <= 0.15));
/// ```
#[derive(Clone, Debug)]
pub struct Judge {
    standard_error: f64,
    /// One for each schedule, over the items judged so far.
    means: Vec<ClusteredMean>,
    items: usize,
    /// The schedule that failed last. It will most likely fail again, and then the others need no check.
    failing: usize,
    reached: bool,
}

impl Judge {
    /// With fewer items nothing is judged, because the standard errors themselves are too uncertain (by a quarter of their value
    /// with eight items, by more than half with two).
    pub const LEAST_ITEMS: usize = 8;

    /// A judge without items; `standard_error` is the largest allowed.
    pub fn new(standard_error: f64, schedules: usize) -> Self {
        Self {
            standard_error,
            means: vec![ClusteredMean::new(); schedules],
            items: 0,
            failing: 0,
            reached: false,
        }
    }

    /// Judges further finished items, by their index in the run, up to the first that is missing or the one that reaches the
    /// target. Returns the number of items that reach it.
    ///
    /// `observations` gives the sum and the number of terms that a schedule's result on an item adds to its mean.
    ///
    /// # Panics
    /// If an item does not have one result for each schedule.
    pub fn follow<S>(
        &mut self,
        finished: &BTreeMap<usize, Vec<S>>,
        observations: impl Fn(usize, &S) -> (f64, u64),
    ) -> Option<usize> {
        while !self.reached
            && let Some(sums) = finished.get(&self.items)
        {
            assert_eq!(sums.len(), self.means.len(), "one result for each schedule");
            for (mean, sums) in self.means.iter_mut().zip(sums) {
                let (sum, count) = observations(self.items, sums);
                mean.push(sum, count);
            }
            self.items += 1;
            self.reached = self.items >= Self::LEAST_ITEMS && self.holds();
        }
        self.reached.then_some(self.items)
    }

    fn holds(&mut self) -> bool {
        let schedules = self.means.len();
        let mut order = (0..schedules).map(|offset| (self.failing + offset) % schedules);
        let failing = order.find(|&schedule| {
            let error = self.means[schedule].standard_error();
            // An error that is unknown or NaN is not small.
            !error.is_some_and(|error| error <= self.standard_error)
        });
        self.failing = failing.unwrap_or(self.failing);
        failing.is_none()
    }

    /// The largest standard error of any schedule over the items judged so far, and the schedule's index; `None` if no schedule
    /// has one.
    pub fn worst(&self) -> Option<(usize, f64)> {
        let errors = self.means.iter().map(ClusteredMean::standard_error);
        errors
            .enumerate()
            .filter_map(|(schedule, error)| Some((schedule, error?)))
            .max_by(|(_, a), (_, b)| a.total_cmp(b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sums::{Statistic, Sums, collect};
    use proptest::prelude::*;

    /// Two schedules: KL of the second varies by `sizes`, KL of the first is constant.
    fn finished(sizes: &[f64]) -> BTreeMap<usize, Vec<Sums>> {
        let sums = |kl_nats| Sums {
            positions: 2,
            kl_nats,
            ..Sums::default()
        };
        let units = sizes.iter().map(|size| vec![sums(0.0), sums(*size)]);
        units.enumerate().collect()
    }

    fn kl_nats(_: usize, sums: &Sums) -> (f64, u64) {
        sums.observations(Statistic::KlNats)
    }

    /// The definition, written directly.
    fn least(finished: &BTreeMap<usize, Vec<Sums>>, target: f64) -> Option<usize> {
        (Judge::LEAST_ITEMS..=finished.len()).find(|&sequences| {
            let first = finished.values().take(sequences).map(Vec::as_slice);
            collect(2, first).iter().all(|statistics| {
                let error = statistics.kl_nats.standard_error();
                error.is_some_and(|error| error <= target)
            })
        })
    }

    proptest! {
        #[test]
        fn the_least_prefix_is_found_whatever_the_order_of_arrival(
            sizes in proptest::collection::vec(0.0..1.0_f64, 0..60),
            target in 0.02..0.3_f64,
            order in any::<u64>(),
        ) {
            let all = finished(&sizes);
            let expected = least(&all, target);
            prop_assert_eq!(Judge::new(target, 2).follow(&all, kl_nats), expected);
            let mut arrivals: Vec<usize> = (0..sizes.len()).collect();
            arrivals.sort_by_key(|at| (*at as u64).wrapping_add(order).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut judge = Judge::new(target, 2);
            let mut arrived = BTreeMap::new();
            let mut found = None;
            for at in arrivals {
                arrived.insert(at, all[&at].clone());
                found = judge.follow(&arrived, kl_nats);
            }
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn equal_sequences_are_enough_at_the_least_number() {
        let all = finished(&[0.5; 20]);
        assert_eq!(
            Judge::new(1e-9, 2).follow(&all, kl_nats),
            Some(Judge::LEAST_ITEMS)
        );
        // No position has a loss, so the mean is unknown.
        let mut judge = Judge::new(1.0, 2);
        let loss_nats = |_, sums: &Sums| sums.observations(Statistic::LossNats);
        assert_eq!((judge.follow(&all, loss_nats), judge.worst()), (None, None));
    }

    #[test]
    fn the_worst_schedule_is_named() {
        let mut judge = Judge::new(1e-9, 2);
        judge.follow(&finished(&[1.0, 3.0]), kl_nats);
        assert_eq!(judge.worst(), Some((1, 0.5)));
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for text in [
            "",
            "=",
            "kl_nats",
            "kl_nats=",
            "kl_nats=0",
            "kl_nats=-1",
            "kl_nats=nan",
            "kl_nats=inf",
            "kl nats=0.1",
            "=0.1",
            "kl_nats=0.1=0.2",
        ] {
            let error = text.parse::<Target>().unwrap_err().to_string();
            assert!(error.contains("expected"), "{text}: {error}");
        }
        let target: Target = "top1_agreement=0.005".parse().unwrap();
        assert_eq!(target.to_string(), "top1_agreement=0.005");
    }
}
