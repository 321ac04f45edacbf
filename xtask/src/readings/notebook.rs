//! Readings that take long: what an item leaves is kept in a journal, as the sums of a sweep's sequences are.

use super::shared_out;
use crate::arguments::Run;
use crate::inputs::OpenedModel;
use crate::interrupt::Interrupted;
use crate::measurement::{progress, run_key, tell_found, tell_time_left};
use crate::output;
use layerwise::journal::{Journal, RunDescription, RunKey};
use layerwise::sweep::{Entry, Label};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

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

/// The journal of a reading with such a key: other inputs have another one, so that the same command may be given with
/// others.
pub fn journal(folder: &Path, reading: &str, key: &RunKey) -> PathBuf {
    folder
        .join(format!("{reading}.run"))
        .join(format!("{}.journal", &key.as_str()[..16]))
}

impl Notebook<'_> {
    /// Runs `read` on every item that no earlier run has finished, on the threads of the run, and returns the results of
    /// all, in the order of the items.
    ///
    /// `input` tells an item by numbers, about as many as it has tokens: they go into the key, and their count into the
    /// estimate of the time. `fits` says whether a result that was kept has the form that `read` gives it.
    ///
    /// # Errors
    /// A journal that cannot be used, the first error in the order of the items, or [`Interrupted`].
    pub fn over<T: Sync, R: Serialize + DeserializeOwned + Send>(
        &self,
        reading: &Reading<'_>,
        items: &[T],
        input: impl Fn(&T) -> Vec<u32>,
        fits: impl Fn(&R) -> bool,
        read: impl Fn(usize, &T) -> anyhow::Result<Vec<R>> + Sync,
    ) -> anyhow::Result<Vec<Vec<R>>> {
        let Self {
            opened,
            folder,
            run,
        } = *self;
        let inputs: Vec<Vec<u32>> = items.iter().map(input).collect();
        let parts = [reading.name, &reading.settings];
        let key = run_key(opened, &parts, reading.schedules, &inputs);
        let path = journal(folder, reading.name, &key);
        let labels: Vec<Label> = reading.schedules.iter().map(Label::from).collect();
        let description = RunDescription::new(key, opened.name.clone(), items.len(), labels);
        let fits = |results: &Vec<R>| {
            results.len() == reading.schedules.len() && results.iter().all(&fits)
        };
        let unit = format!("items of {}", reading.name);
        if let Some(folder) = path.parent() {
            output::make_folder(folder)?;
        }
        let journal = Journal::open(&path, &description, run.fresh, fits)?;
        tell_found(&journal, &path, &opened.name, &unit);
        let is_missing = |index: &usize| !journal.finished().contains_key(index);
        let missing: Vec<usize> = (0..items.len()).filter(is_missing).collect();
        let tokens: usize = missing.iter().map(|&index| inputs[index].len()).sum();
        let bar = progress(&opened.name, tokens, "tokens");
        let start = Instant::now();
        let before = journal.finished().len();
        let journal = Mutex::new(journal);
        let outcome = shared_out(&missing, run, |_, &index| {
            let results = read(index, &items[index])?;
            let mut journal = journal.lock().expect("no thread panics while it writes");
            journal.record(index, results)?;
            let own = inputs[index].len();
            bar.inc(own as u64);
            let others = missing.len() - 1;
            if journal.finished().len() == before + 1 && others > 0 {
                let took = start.elapsed();
                // The other threads are as far with items of their own.
                let workers = run.threads().get().min(missing.len());
                let left = took.mul_f64((tokens - own) as f64 / own as f64 / workers as f64);
                let first = format!("{}: the first item of {}", opened.name, reading.name);
                tell_time_left(&bar, &first, took, left, &format!("{others}"));
            }
            Ok(())
        });
        bar.finish_and_clear();
        outcome?;
        let journal = journal.into_inner().expect("no thread panicked");
        let finished = journal.into_finished();
        if finished.len() < items.len() {
            return Err(Interrupted {
                finished: finished.len(),
                all: items.len(),
                unit,
                kept: true,
            }
            .into());
        }
        // By their index: the order of the items.
        Ok(finished.into_values().collect())
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
