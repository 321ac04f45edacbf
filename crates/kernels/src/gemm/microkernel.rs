//! The choice of microkernel: for each number format, the code of the instruction set at hand.
#![allow(
    unsafe_code,
    reason = "microkernels read and write through raw pointers"
)]

use super::format::{Format, Pair};
use super::portable;
use super::tile::Tile;
#[cfg(target_arch = "x86_64")]
use super::x86;
use crate::cpu::InstructionSet;

/// How a tile of sums is computed in a number format.
pub(super) trait Microkernel: Format {
    /// Computes one tile. `PACKED` says that A is packed, so that its strides are known at compile time.
    ///
    /// # Safety
    /// - The processor has the instructions of `set`.
    /// - `tile.a` may be read at every row and term of the tile, by its strides: row `r` and term `k` lie at
    ///   `r · strides.row + k / KR · strides.chunk + k % KR`. If `PACKED`, `strides` are those of packed A.
    /// - Every row of `tile.out` may be written, and of `tile.start` read, at `tile.columns` elements.
    /// - `tile.rows` is at most MR and `tile.columns` at most NR, neither is 0.
    unsafe fn compute<const PACKED: bool>(set: InstructionSet, tile: Tile<'_, Self>);
}

impl Microkernel for f32 {
    unsafe fn compute<const PACKED: bool>(set: InstructionSet, tile: Tile<'_, Self>) {
        // SAFETY: the caller's promises are passed on.
        unsafe {
            match set {
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx512Bf16 | InstructionSet::Avx512 => x86::avx512::<PACKED>(tile),
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx2 => x86::avx2::<PACKED>(tile),
                InstructionSet::Portable => portable::compute(tile),
            }
        }
    }
}

impl Microkernel for Pair {
    unsafe fn compute<const PACKED: bool>(set: InstructionSet, tile: Tile<'_, Self>) {
        // SAFETY: the caller's promises are passed on.
        unsafe {
            match set {
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx512Bf16 => x86::avx512_bf16::<PACKED>(tile),
                _ => portable::compute(tile),
            }
        }
    }
}
