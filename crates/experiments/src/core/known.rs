//! Published numbers next to measured ones: the records of both, and the lookup of a measured number.

use super::models::Facts;
use super::table::record;
use super::tables::Tables;

record! {
    /// One line of the data: a published number.
    pub struct Published {
        /// Name of the [`Quantity`].
        pub quantity: String,
        /// The model, or `families` and names of families.
        pub model: String,
        /// Block, residual stream or rank.
        pub index: Option<usize>,
        /// The number.
        pub published: f64,
        /// The reading error of the number.
        pub read_off_error: Option<f64>,
        /// The section of the specification that quotes it.
        pub source: String,
    }
    table("published-values") key(quantity, model, index) fault(|_| None)
}

record! {
    /// One line of `known-values.csv`: a published number next to a measured one.
    pub struct Compared {
        /// Name of the [`Quantity`].
        pub quantity: String,
        /// The model's name in the run, or `families` and names of families.
        pub model: String,
        /// Block, residual stream or rank.
        pub index: Option<usize>,
        /// The published number.
        pub published: f64,
        /// The reading error of the number.
        pub read_off_error: Option<f64>,
        /// This run's number; empty if it was not measured.
        pub measured: Option<f64>,
        /// Whether the two differ by at most that error; empty if either is missing.
        pub within: Option<bool>,
        /// The section of the specification that quotes it.
        pub source: String,
    }
    table("known-values") key(quantity, model, index) fault(|_| None)
}

/// A quantity with published numbers.
#[derive(Clone, Copy)]
pub struct Quantity {
    /// Its name, words joined by hyphens.
    pub name: &'static str,
    /// A run's number for it, for one model or for several of the published families together, at a block, residual stream or
    /// rank.
    pub of: fn(&Tables, &[&Facts], usize) -> Option<f64>,
}
