//! The tests of the crate through its interface, as one program, so that they are compiled and linked once.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod arrays;
mod batches;
mod folding;
mod laws;
mod lenses;
mod packs;
mod parity;
mod parity_models;
mod precision;
mod recording;
mod states;
mod values;
