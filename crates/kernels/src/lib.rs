//! Matrix products, normalisation, activations and the vocabulary pass, over array views.
//!
//! Why a crate of its own: everything that is fast, and everything that must add in one fixed order, is here and nowhere else.
//! Callers hold shapes and meaning; this crate holds arithmetic.
//! It knows no model and does no I/O.
//!
//! All functions run on the calling thread.
//! The same inputs give the same bits on one machine type, whatever thread calls and however many rows are computed together:
//! every output row of a product depends on its own input row alone.
//! Instruction sets (AVX-512, AVX2 with FMA, portable) are chosen at run time; [`cpu_features`] names the choice, and
//! [`bf16_features`] that for products in bf16.
//!
//! Shapes are checked with `assert!`: a mismatch is an error of the calling code, never of a user's file.

pub mod activation;
pub mod comparison;
mod elementary;
mod matmul;
mod microkernel;
#[cfg(test)]
mod noise;
pub mod normalization;
pub mod packed;
pub mod rotary;
pub mod softmax;
mod term;
pub mod vocabulary;

pub use elementary::{bf16_features, cpu_features};
pub use matmul::{Write, matmul};
