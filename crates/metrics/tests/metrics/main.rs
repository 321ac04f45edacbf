//! The tests of the crate through its interface, as one program, so that they are compiled and linked once.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod cka;
mod clustered;
mod correlation;
mod divergence;
mod folds;
mod moments;
mod probe;
mod reference;
mod rescale;
mod threshold;
