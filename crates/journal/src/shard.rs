//! Which units of a run are one process's share.

use crate::key::RunKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// Share K of N of a run's units; `K/N` in text, K from 1.
///
/// A unit belongs to the share that a hash of the run's key and the unit's index picks: every process comes to the same
/// answer by itself, and a stretch of long documents does not fall to one of them.
/// Shares are even on the average only; one of a small run may hold no unit at all.
///
/// ```
/// use layerwise_journal::{RunKey, Shard};
///
/// let key = RunKey::of([b"inputs".as_slice()]);
/// let shards: Vec<Shard> = ["1/3", "2/3", "3/3"].map(|text| text.parse().unwrap()).into();
/// for unit in 0..100 {
///     assert_eq!(shards.iter().filter(|shard| shard.contains(&key, unit)).count(), 1);
/// }
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

    /// The most shards of a run.
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

    /// Whether a unit, by its index in the run, is in this share of it.
    pub fn contains(self, key: &RunKey, unit: usize) -> bool {
        let mut hash = Sha256::new();
        hash.update(key.as_str());
        hash.update((unit as u64).to_le_bytes());
        let hash = hash.finalize();
        let first = hash.iter().take(8);
        let number = first.fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        number % u64::from(self.count) == u64::from(self.index) - 1
    }
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

/// A text that names no share of a run.
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
        // `parse` would take a sign.
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

    proptest! {
        #[test]
        fn a_unit_is_in_one_share_of_each_run(count in 1u32..50, unit: usize, run: u64) {
            let key = RunKey::of([run.to_le_bytes().as_slice()]);
            let one = Shard { count, index: 1 };
            let holders: Vec<Shard> = one.all().filter(|shard| shard.contains(&key, unit)).collect();
            prop_assert_eq!(holders.len(), 1);
            prop_assert_eq!(holders[0].to_string().parse::<Shard>().unwrap(), holders[0]);
        }
    }

    #[test]
    fn shares_are_about_even() {
        let key = RunKey::of([b"a".as_slice()]);
        for shard in "1/4".parse::<Shard>().unwrap().all() {
            let held = (0..4000).filter(|at| shard.contains(&key, *at)).count();
            // The standard deviation is 27.
            assert!((850..1150).contains(&held), "{shard}: {held}");
        }
    }
}
