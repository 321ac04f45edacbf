//! Divides the units of a run among processes.

use crate::key::RunKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::str::FromStr;

/// Share K of N of a run's units; `K/N` in text, K from 1.
///
/// The costs of the units decide which share holds them. Among equal costs, a hash of the run's key and the unit's index decides.
/// So every process computes the same division by itself, and a stretch of long documents does not fall to one share.
/// The costs of two shares differ by at most the cost of one unit.
///
/// ```
/// use layerwise_journal::{RunKey, Shard};
///
/// let key = RunKey::of([b"inputs".as_slice()]);
/// let costs = [5, 5, 5, 5, 20, 5, 5, 5];
/// let first: Shard = "1/2".parse()?;
/// let shares: Vec<Vec<usize>> = first.all().map(|shard| shard.units(&key, &costs)).collect();
/// let cost = |share: &[usize]| share.iter().map(|unit| costs[*unit]).sum::<u64>();
/// assert_eq!(cost(&shares[0]) + cost(&shares[1]), 55);
/// assert!(cost(&shares[0]).abs_diff(cost(&shares[1])) <= 20);
/// # Ok::<(), layerwise_journal::ShardError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    // The order of the fields is the order of shards: by count, then by index.
    count: u32,
    index: u32,
}

impl Shard {
    /// The whole run, `1/1`.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    /// The largest number of shards of a run.
    pub const MAX_COUNT: u32 = 10_000;

    /// K, from 1 to [`Shard::count`].
    pub fn index(self) -> u32 {
        self.index
    }

    /// N, from 1 to [`Shard::MAX_COUNT`].
    pub fn count(self) -> u32 {
        self.count
    }

    /// All shards of a run that is divided like this one, in order.
    pub fn all(self) -> impl Iterator<Item = Self> {
        let count = self.count;
        (1..=count).map(move |index| Self { count, index })
    }

    /// The units of this share of a run, by their indices, ascending; `costs` has one entry for each unit of the run.
    pub fn units(self, key: &RunKey, costs: &[u64]) -> Vec<usize> {
        if self == Self::WHOLE {
            return (0..costs.len()).collect();
        }
        self.divide(key, costs).swap_remove(self.index as usize - 1)
    }

    /// The units of every share of a run that is divided like this one, as [`Shard::units`] gives them, in the order of
    /// [`Shard::all`].
    ///
    /// Units are assigned in order of decreasing cost, each to the share with the smallest cost so far (longest processing time
    /// first). So two shares differ by at most the cost of one unit and, if all costs are equal, by at most one unit.
    pub fn divide(self, key: &RunKey, costs: &[u64]) -> Vec<Vec<usize>> {
        let units = costs.iter().enumerate();
        let mut order: Vec<(Reverse<u64>, u64, usize)> = units
            .map(|(unit, &cost)| (Reverse(cost), hash(key, unit as u64), unit))
            .collect();
        order.sort_unstable();
        // Among shares with equal cost, the run's key decides which comes first, so that over many runs no share has more than
        // others.
        let count = u64::from(self.count);
        let first = hash(key, u64::MAX) % count;
        let mut shares: BinaryHeap<Reverse<(u64, u64)>> =
            (0..count).map(|place| Reverse((0, place))).collect();
        let mut held = vec![Vec::new(); self.count as usize];
        for (Reverse(cost), _, unit) in order {
            let Some(mut least) = shares.peek_mut() else {
                break;
            };
            let index = (least.0.1 + first) % count;
            held[index as usize].push(unit);
            // Units without cost are divided too.
            least.0.0 = least.0.0.saturating_add(cost.max(1));
        }
        held.iter_mut().for_each(|units| units.sort_unstable());
        held
    }
}

/// The first digits of a hash of a run's key and a number.
fn hash(key: &RunKey, number: u64) -> u64 {
    let mut hash = Sha256::new();
    hash.update(key.as_str());
    hash.update(number.to_le_bytes());
    let hash = hash.finalize();
    let first = hash.iter().take(8);
    first.fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
}

impl Default for Shard {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// A text that is not a share of a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "shard `{found}`: expected K/N with K from 1 to N, and N at most {}",
    Shard::MAX_COUNT
)]
pub struct ShardError {
    /// The text as given.
    pub found: String,
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        // `parse` would accept a sign.
        let number = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<u32>().ok()).flatten()
        };
        text.split_once('/')
            .and_then(|(index, count)| Some((number(index)?, number(count)?)))
            .filter(|(index, count)| (1..=*count).contains(index) && *count <= Self::MAX_COUNT)
            .map(|(index, count)| Self { count, index })
            .ok_or_else(|| ShardError {
                found: text.to_owned(),
            })
    }
}

impl TryFrom<String> for Shard {
    type Error = ShardError;

    fn try_from(text: String) -> Result<Self, ShardError> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_shard_is_refused() {
        for text in [
            "",
            "/",
            "1",
            "1/",
            "/1",
            "0/1",
            "2/1",
            "0/0",
            "1/10001",
            "+1/2",
            "1/-2",
            "1/2/3",
            " 1/2",
            "1 / 2",
            "a/b",
            "1/99999999999",
        ] {
            let error = text.parse::<Shard>().unwrap_err();
            assert!(error.to_string().contains(&format!("`{text}`")), "{error}");
        }
        assert_eq!("1/1".parse::<Shard>().unwrap(), Shard::WHOLE);
    }

    /// The units of each share.
    fn shares(key: &RunKey, count: u32, costs: &[u64]) -> Vec<Vec<usize>> {
        let first = Shard { count, index: 1 };
        first.all().map(|shard| shard.units(key, costs)).collect()
    }

    proptest! {
        #[test]
        fn shares_hold_each_unit_once_and_differ_by_one_at_most(
            count in 1u32..40,
            costs in proptest::collection::vec(1u64..2_000, 0..200),
            run: u64,
        ) {
            let key = RunKey::of([run.to_le_bytes()]);
            let shares = shares(&key, count, &costs);
            let mut all = shares.concat();
            all.sort_unstable();
            prop_assert!(all.into_iter().eq(0..costs.len()));
            let held = shares.iter().map(|share| share.iter().map(|unit| costs[*unit]).sum::<u64>());
            let (least, most) = (held.clone().min().unwrap(), held.max().unwrap());
            let dearest = costs.iter().copied().max().unwrap_or(0);
            prop_assert!(most - least <= dearest, "{least} to {most}, a unit costs {dearest}");
            for share in &shares {
                prop_assert!(share.is_sorted());
            }
        }

        #[test]
        fn equal_units_are_shared_out_to_within_one(count in 1u32..40, units in 0usize..200, run: u64) {
            let key = RunKey::of([run.to_le_bytes()]);
            let sizes: Vec<usize> = shares(&key, count, &vec![7; units]).iter().map(Vec::len).collect();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
        }

        #[test]
        fn a_share_has_its_text(count in 1u32..=Shard::MAX_COUNT, index: u32) {
            let shard = Shard { count, index: index % count + 1 };
            prop_assert_eq!(shard.to_string().parse::<Shard>().unwrap(), shard);
        }
    }

    #[test]
    fn who_holds_a_unit_depends_on_the_run() {
        let of = |run: &[u8]| shares(&RunKey::of([run]), 4, &[3; 8]);
        assert_eq!(of(b"a").iter().map(Vec::len).collect::<Vec<_>>(), [2; 4]);
        assert_ne!(of(b"a"), of(b"b"));
        // No share is always the one with more units.
        let more = (0..64_u8).map(|run| shares(&RunKey::of([[run]]), 2, &[1; 3])[0].len());
        let more: usize = more.sum();
        assert!((64 + 16..128 - 16).contains(&more), "{more}");
    }
}
