//! Inputs and expected values made by `make.py`.

use ndarray::Array2;
use serde_json::Value;

/// The part of the reference values for one module.
pub(crate) fn part(name: &str) -> Value {
    let mut all: Value = serde_json::from_str(include_str!("reference.json")).unwrap();
    all[name].take()
}

/// A list of numbers.
pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    let entries = value.as_array().unwrap().iter();
    entries.map(|entry| entry.as_f64().unwrap()).collect()
}

/// A list of rows.
pub(crate) fn matrix(value: &Value) -> Array2<f64> {
    let rows: Vec<_> = value.as_array().unwrap().iter().map(numbers).collect();
    Array2::from_shape_fn((rows.len(), rows[0].len()), |(row, column)| {
        rows[row][column]
    })
}
