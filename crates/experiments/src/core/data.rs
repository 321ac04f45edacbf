//! Values by their types: data sets, and results that experiments on one model share.

use super::error::ExperimentError;
use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Reads a folder into data sets, and returns the files that it read.
type Read = fn(&Path, Option<usize>, &mut Data) -> Result<Vec<PathBuf>, ExperimentError>;

/// The source of an experiment's data set: a folder that the user names, or else a stand-in made from text.
#[derive(Debug)]
pub struct Source {
    /// The option that names the folder.
    pub option: &'static str,
    /// Help for the option: the contents of the folder.
    pub help: &'static str,
    /// The name of the data in the report.
    pub title: &'static str,
    /// The option for the number of items.
    pub limit: Limit,
    /// Reads the first items of a folder, or all without a number.
    pub read: Read,
    /// Makes this many items from the documents of a text; adds nothing if it cannot.
    pub stand_in: fn(&[String], Option<usize>, &mut Data),
}

/// The number of items of a data set to use.
#[derive(Debug)]
pub struct Limit {
    /// The option that gives the number.
    pub option: &'static str,
    /// Help for the option: what is counted, and the default.
    pub help: &'static str,
    /// The smallest allowed number.
    pub least: u32,
    /// The default; `None` means all items.
    pub default: Option<u32>,
}

/// Data sets, one of each type.
#[derive(Default)]
pub struct Data {
    sets: BTreeMap<TypeId, Box<dyn Any + Send + Sync>>,
}

impl Data {
    /// No data sets.
    pub fn none() -> &'static Self {
        static NONE: Data = Data {
            sets: BTreeMap::new(),
        };
        &NONE
    }

    /// Adds a data set, or replaces one of its type.
    pub fn insert<T: Send + Sync + 'static>(&mut self, set: T) {
        self.sets.insert(TypeId::of::<T>(), Box::new(set));
    }

    /// The data set of a type.
    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.sets.get(&TypeId::of::<T>())?.downcast_ref()
    }
}

type Value = Arc<dyn Any + Send + Sync>;

/// Values that several experiments on one model need and one of them computes: one value of each type.
#[derive(Default)]
pub struct Shared {
    values: Mutex<BTreeMap<TypeId, Value>>,
}

impl Shared {
    /// The value of a type, computed at the first request.
    ///
    /// # Errors
    /// That of `make`.
    pub fn get<T: Send + Sync + 'static>(
        &self,
        make: impl FnOnce() -> Result<T, ExperimentError>,
    ) -> Result<Arc<T>, ExperimentError> {
        let known = self.lock().get(&TypeId::of::<T>()).cloned();
        if let Some(Ok(value)) = known.map(Arc::downcast) {
            return Ok(value);
        }
        let value = Arc::new(make()?);
        let kept: Value = Arc::clone(&value) as Value;
        self.lock().insert(TypeId::of::<T>(), kept);
        Ok(value)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TypeId, Value>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once() {
        let shared = Shared::default();
        let made = |value: i32| shared.get(|| Ok(value)).unwrap();
        assert_eq!((*made(1), *made(2)), (1, 1));
        assert_eq!(*shared.get(|| Ok("other")).unwrap(), "other");
    }

    #[test]
    fn a_data_set_is_found_by_its_type() {
        let mut data = Data::default();
        assert_eq!(data.get::<i32>(), None);
        data.insert(1);
        data.insert("text");
        assert_eq!((data.get(), data.get()), (Some(&1), Some(&"text")));
    }
}
