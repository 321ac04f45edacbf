//! Matrix products, normalisation, activations and the vocabulary pass, over array views.
//!
//! Everything that must be fast, and everything that must add numbers in one fixed order, is in this crate and nowhere else.
//! Callers know shapes and meaning; this crate knows arithmetic.
//! It knows no model and does no I/O.
//!
//! Every function runs on the calling thread; callers share work among threads with a [`team::Team`].
//! The same inputs give the same bits on one type of machine, whichever thread calls and however many rows are computed together:
//! each output row depends on its own input row alone.
//! The instruction set (AVX-512, AVX2 with FMA, or portable code) is chosen at run time; [`limit_instructions`] chooses a
//! narrower one. [`cpu_features`] names the choice, and [`bf16_features`] the choice for products in bf16.
//!
//! Shapes are checked with `assert!`: a wrong shape is a bug of the calling code, never the fault of a user's file.

pub mod activation;
pub mod comparison;
pub mod contrast;
mod cpu;
mod elementary;
pub mod gemm;
mod lanes;
pub mod mixture;
#[cfg(test)]
mod noise;
pub mod normalization;
mod online_softmax;
pub mod rotary;
pub mod softmax;
pub mod team;
pub mod vocabulary;

pub use cpu::{LimitError, bf16_features, cpu_features, limit_instructions};
