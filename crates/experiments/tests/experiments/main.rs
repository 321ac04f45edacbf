//! The tests of the crate through its interface, as one program, so that they are compiled and linked once.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod drawings;
mod plain;
mod work;
