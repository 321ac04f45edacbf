//! Published numbers beside measured ones: the records of both, and how a measured one is found.

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
        /// How far it may be from what was drawn.
        pub read_off_error: Option<f64>,
        /// The section of the specification that has it.
        pub source: String,
    }
    table("published-values") key(quantity, model, index) fault(|_| None)
}

record! {
    /// One line of `known-values.csv`: a published number beside a measured one.
    pub struct Compared {
        /// Name of the [`Quantity`].
        pub quantity: String,
        /// The model as it is named in the run, or `families` and names of families.
        pub model: String,
        /// Block, residual stream or rank.
        pub index: Option<usize>,
        /// The published number.
        pub published: f64,
        /// How far it may be from what was drawn.
        pub read_off_error: Option<f64>,
        /// The number of this run; empty where it was not measured.
        pub measured: Option<f64>,
        /// Whether the two differ by no more than that error; empty where either is missing.
        pub within: Option<bool>,
        /// The section of the specification that has it.
        pub source: String,
    }
    table("known-values") key(quantity, model, index) fault(|_| None)
}

/// A quantity that numbers are published of.
#[derive(Clone, Copy)]
pub struct Quantity {
    /// Its name, words joined by hyphens.
    pub name: &'static str,
    /// The number that a run has for it: of one model, or of several of the published families together, at a block,
    /// residual stream or rank.
    pub of: fn(&Tables, &[&Facts], usize) -> Option<f64>,
}
