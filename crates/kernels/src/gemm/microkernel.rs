//! The choice of microkernel: for each number format, the code for the detected instruction set.
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
    /// Computes one tile.
    ///
    /// `PACKED` says that A is packed, so that its row stride is known at compile time.
    /// `SPREAD` says to spread the prefetching of `tile.lines` over the terms of a chunk. Set it if C has few tiles, because each
    /// tile must then prefetch much.
    ///
    /// # Safety
    /// - The processor has the instructions of `set`.
    /// - `tile.a` may be read at every row and term of the tile, by its strides: row `r` and term `k` lie at
    ///   `r · strides.row + k / KR · strides.chunk + k % KR`. If `PACKED`, `strides.row` is KR; if not, `strides.chunk` is.
    /// - Every row of `tile.out` may be written, and of `tile.start` read, at `tile.columns` elements.
    /// - `tile.rows` is at most MR and `tile.columns` at most NR, neither is 0.
    unsafe fn compute<const PACKED: bool, const SPREAD: bool>(
        set: InstructionSet,
        tile: Tile<'_, Self>,
    );
}

impl Microkernel for f32 {
    unsafe fn compute<const PACKED: bool, const SPREAD: bool>(
        set: InstructionSet,
        tile: Tile<'_, Self>,
    ) {
        // SAFETY: the caller's promises are passed on.
        unsafe {
            match set {
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx512Bf16 | InstructionSet::Avx512 => {
                    x86::avx512::<PACKED, SPREAD>(tile)
                }
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx2 => x86::avx2::<PACKED>(tile),
                InstructionSet::Portable => portable::compute(tile),
            }
        }
    }
}

impl Microkernel for Pair {
    unsafe fn compute<const PACKED: bool, const SPREAD: bool>(
        set: InstructionSet,
        tile: Tile<'_, Self>,
    ) {
        // SAFETY: the caller's promises are passed on.
        unsafe {
            match set {
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx512Bf16 => x86::avx512_bf16::<PACKED, SPREAD>(tile),
                _ => portable::compute(tile),
            }
        }
    }
}
