//! Readings that take long: what an item leaves is kept in a journal, as the sums of a sweep's sequences are.

use crate::arguments::Run;
use crate::inputs::OpenedModel;
use layerwise::sweep::{Entry, Failure, Journals, MeasureId, Plan, Work};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// One model, and where what is read of it is written down.
#[derive(Clone, Copy)]
pub struct Notebook<'a> {
    /// The model.
    pub opened: &'a OpenedModel,
    /// The folder of its outputs.
    pub folder: &'a Path,
    /// How readings are carried out.
    pub run: &'a Run,
}

/// What is read.
pub struct Reading<'a> {
    /// The name of its journals' folder, and for the user.
    pub name: &'static str,
    /// What results depend on besides the model, the schedules and the items.
    pub settings: String,
    /// Every item has one result under each of them.
    pub schedules: &'a [Entry],
}

impl Notebook<'_> {
    /// The journals of the model.
    pub fn journals(&self) -> Journals {
        Journals::Folder(self.folder.to_owned())
    }

    /// Runs `read` on every item that no earlier run has finished, on the threads of the run, and returns the results of
    /// all, in the order of the items.
    ///
    /// `input` tells an item by numbers, about as many as it has tokens: they go into the key, and their count into the
    /// estimate of the time. `fits` says whether a result that was kept has the form that `read` gives it.
    ///
    /// # Errors
    /// A journal that cannot be used, the first error of an item, or an interrupt.
    pub fn over<T: Sync, R: Serialize + DeserializeOwned + Clone + Send>(
        &self,
        reading: &Reading<'_>,
        items: &[T],
        input: impl Fn(&T) -> Vec<u32> + Sync,
        fits: impl Fn(&R) -> bool + Sync,
        read: impl Fn(usize, &T) -> anyhow::Result<Vec<R>> + Sync,
    ) -> anyhow::Result<Vec<Vec<R>>> {
        let edits = reading.schedules.iter();
        let edits: Vec<String> = edits.map(|e| e.member.edit.to_string()).collect();
        let id = MeasureId::new(reading.name, 1).with_settings(format!(
            "{} {}",
            reading.settings,
            edits.join(" ")
        ));
        let work = Work::new(id, |index, item| read(index, item).map_err(Failure::other))
            .depending_on(input)
            .fitting(|results: &Vec<R>| {
                results.len() == reading.schedules.len() && results.iter().all(&fits)
            });
        let plan = Plan::plain(self.opened.model.stack())?;
        let runner = self.opened.runner(self.run).journals(self.journals());
        let measured = runner.measure(self.opened.subject(), &plan, &work, items)?;
        Ok(measured.into_plain())
    }
}

/// A sum over a part of a text and the number of its terms, written down to the bit: it may be NaN or infinite, for which
/// JSON has no number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
pub struct Sum {
    /// The sum.
    pub sum: f64,
    /// Its terms.
    pub count: u64,
}

impl From<(u64, u64)> for Sum {
    fn from((bits, count): (u64, u64)) -> Self {
        Self {
            sum: f64::from_bits(bits),
            count,
        }
    }
}

impl From<Sum> for (u64, u64) {
    fn from(Sum { sum, count }: Sum) -> Self {
        (sum.to_bits(), count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_written_down_to_the_bit() {
        for sum in [0.1 + 0.2, -0.0, 5e-324, f64::MAX, f64::INFINITY, -f64::NAN] {
            let written = serde_json::to_string(&Sum {
                sum,
                count: u64::MAX,
            })
            .unwrap();
            let read: Sum = serde_json::from_str(&written).unwrap();
            assert_eq!((read.sum.to_bits(), read.count), (sum.to_bits(), u64::MAX));
        }
    }
}
