//! Values by their types: data sets, and what experiments on one model share.

use super::error::ExperimentError;
use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where an experiment's data set comes from: a folder that the user names, or else a stand-in made from text.
#[derive(Debug)]
pub struct Source {
    /// The option that names the folder.
    pub option: &'static str,
    /// What the folder holds.
    pub help: &'static str,
    /// What the report calls the data.
    pub title: &'static str,
    /// How many items are used.
    pub limit: Limit,
    /// Reads the first items of a folder, all where there is no number.
    pub read: fn(&Path, Option<usize>, &mut Data) -> Result<(), ExperimentError>,
    /// Makes as many from the documents of a text; where it cannot, nothing is added.
    pub stand_in: fn(&[String], Option<usize>, &mut Data),
}

/// How many items of a data set are used.
#[derive(Debug)]
pub struct Limit {
    /// The option that gives the number.
    pub option: &'static str,
    /// What is counted, and the number where none is given.
    pub help: &'static str,
    /// The smallest number that can be given.
    pub least: u32,
    /// The number where none is given; all where there is none.
    pub default: Option<u32>,
}

/// Data sets, one of each type.
#[derive(Default)]
pub struct Data {
    sets: BTreeMap<TypeId, Box<dyn Any + Send + Sync>>,
}

impl Data {
    /// Adds a data set, in place of one of its type.
    pub fn insert<T: Send + Sync + 'static>(&mut self, set: T) {
        self.sets.insert(TypeId::of::<T>(), Box::new(set));
    }

    /// The data set of a type.
    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.sets.get(&TypeId::of::<T>())?.downcast_ref()
    }
}

type Value = Arc<dyn Any + Send + Sync>;

/// What several experiments on one model need and one of them computes: one value of each type.
#[derive(Default)]
pub struct Shared {
    values: Mutex<BTreeMap<TypeId, Value>>,
}

impl Shared {
    /// The value of a type, made the first time that it is asked for.
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
