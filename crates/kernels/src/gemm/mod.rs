//! Matrix products C = A · B with a B that is packed once: weights, which never change, or the keys and values of one head.
//!
//! The design and the names are those of GotoBLAS and BLIS.
//!
//! - B \[inputs, outputs\] is stored in *panels* of NR = 32 columns, each row by row, so that the microkernel reads it in order.
//! - A \[rows, inputs\] is packed MC = 528 rows at a time.
//! - The *microkernel* keeps a tile of MR × NR = 12 × 32 sums in registers.
//! - The inner dimension is cut into slices of KC terms. A slice of packed A meets NC = 128 columns of B before the next slice,
//!   so that both the slice and its sums stay in the L2 cache.
//!
//! Both factors are in f32 or in bf16 ([`Precision`]). In bf16 two consecutive inputs share the four bytes of one f32, and one
//! instruction multiplies and adds both. Sums are in f32 in both formats.
//!
//! # Which bits a product has
//!
//! An element of C is a sum of chains. Each chain is a sequence of fused multiply-adds over KC terms, in order: 256 inputs in
//! f32, 384 pairs of inputs in bf16. The chains are then added in order.
//! An element depends on its own row of A and its own column of B alone: not on the number of rows or columns that are computed
//! together, nor on the tile they fall into.
//! AVX-512 and AVX2 give the same bits. The portable code rounds each f32 product before it is added, except on AArch64.
//!
//! In bf16 the second input of a pair is added before the first, each addition rounds once, and subnormal numbers count as zero.
//! That is what the instruction `vdpbf16ps` does; the portable code does the same, slowly.

mod format;
mod macrokernel;
mod memory;
mod microkernel;
mod pack;
mod packed;
mod panel;
mod portable;
mod product;
mod tile;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use format::Precision;
pub use macrokernel::Write;
pub use memory::{Arena, Bytes};
pub use packed::{LAYOUT, Packed};
pub(crate) use panel::MR;
pub(crate) use product::PackedA;
pub use product::{Scratch, multiply};

/// KC in f32: the inputs of one chain. Adding up products over slices of this length, in order, gives the bits of one product
/// over all.
pub const SLICE: usize = <f32 as format::Format>::KC;

#[cfg(test)]
mod tests;
