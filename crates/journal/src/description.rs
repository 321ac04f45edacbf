//! What a run is.

use crate::key::RunKey;
use crate::shard::Shard;
use serde::{Deserialize, Serialize};

/// What a run is: the first line of its journal.
///
/// `D` is what the caller says of it besides: all that a table made from journals alone needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunDescription<D> {
    /// Hash of everything the results depend on.
    pub key: RunKey,
    /// What the run is called among those that make up one table; the name of its model, say.
    pub name: String,
    /// The run's place among those of its table, from 0.
    pub place: usize,
    /// Units of the whole run, of which a shard holds some.
    pub units: usize,
    /// The share of them that the journal is for.
    pub shard: Shard,
    /// The units of that share, ascending; `None` where it is the whole run.
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

    /// A share of the same run, of which `costs` has one for each unit.
    pub fn part(self, shard: Shard, costs: &[u64]) -> Self {
        let units = || shard.units(&self.key, costs);
        Self {
            share: (shard != Shard::WHOLE).then(units),
            shard,
            ..self
        }
    }

    /// Whether a unit is one of the share.
    pub(crate) fn holds(&self, unit: usize) -> bool {
        unit < self.units
            && match &self.share {
                None => true,
                Some(share) => share.binary_search(&unit).is_ok(),
            }
    }
}
