//! The description of a run.

use crate::error::Units;
use crate::key::RunKey;
use crate::shard::Shard;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The description of a run: the first line of its journal.
///
/// `D` is the caller's part of it: everything that a table made from journals alone needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunDescription<D> {
    /// Hash of everything the results depend on.
    pub key: RunKey,
    /// The name of the run among those of one table, such as its model's name.
    pub name: String,
    /// The place of the run among those of its table, from 0.
    pub place: usize,
    /// The number of units of the whole run, of which a shard holds some.
    pub units: usize,
    /// The share of the units that the journal is for.
    pub shard: Shard,
    /// The units of that share, ascending; `None` for the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Vec<usize>>,
    /// The caller's description.
    pub about: D,
}

impl<D> RunDescription<D> {
    /// A run of `units` units, undivided and the first of its table.
    pub fn new(key: RunKey, name: String, units: usize, about: D) -> Self {
        Self {
            key,
            name,
            place: 0,
            units,
            shard: Shard::WHOLE,
            share: None,
            about,
        }
    }

    /// The same run at another place of its table, from 0.
    pub fn at_place(self, place: usize) -> Self {
        Self { place, ..self }
    }

    /// A share of the same run; `costs` has one entry for each unit.
    pub fn part(self, shard: Shard, costs: &[u64]) -> Self {
        let units = || shard.units(&self.key, costs);
        Self {
            share: (shard != Shard::WHOLE).then(units),
            shard,
            ..self
        }
    }

    /// The units of the share that are not finished.
    pub(crate) fn missing<T>(&self, finished: &BTreeMap<usize, T>) -> Units {
        let Some(share) = &self.share else {
            return Units::missing(self.units, finished.keys());
        };
        let own = share.iter().copied();
        let missing = own.filter(|unit| self.holds(*unit) && !finished.contains_key(unit));
        missing.collect::<Vec<_>>().into()
    }

    /// Whether the share contains a unit.
    pub(crate) fn holds(&self, unit: usize) -> bool {
        unit < self.units
            && match &self.share {
                None => true,
                Some(share) => share.binary_search(&unit).is_ok(),
            }
    }
}
