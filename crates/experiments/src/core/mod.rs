//! What experiments share: records and their tables, curves, claims, styles of models, and the trait of an experiment.
//!
//! Nothing here knows a particular experiment.

pub mod ablation;
pub mod choices;
pub mod claim;
pub mod clock;
pub mod curve;
pub mod data;
pub mod error;
pub mod experiment;
pub mod finding;
pub mod floats;
pub mod harness;
pub mod known;
pub mod lens;
pub mod logarithm;
pub mod models;
pub mod permutation;
pub mod plain;
pub mod published;
pub mod sample;
pub mod styles;
pub mod subject;
pub mod sum;
pub mod sweep;
pub mod table;
pub mod tables;
#[cfg(test)]
pub(crate) mod testing;
