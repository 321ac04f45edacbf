//! The microkernel in plain Rust, for any processor and for bf16 without hardware support.
#![allow(
    unsafe_code,
    reason = "microkernels read and write through raw pointers"
)]

use super::format::Format;
use super::panel::{KR, NR};
use super::tile::{RowPointer, Tile};

/// # Safety
/// As [`Microkernel::compute`](super::microkernel::Microkernel::compute).
pub(super) unsafe fn compute<T: Format>(tile: Tile<'_, T>) {
    let Tile { a, strides, .. } = tile;
    for row in 0..tile.rows {
        let mut sums = [0.0_f32; NR];
        for (k, b) in tile.panel.iter().enumerate() {
            // SAFETY: the caller guarantees that every row and term of the tile can be read.
            let x = unsafe { *a.add(row * strides.row + k / KR * strides.chunk + k % KR) };
            for (sum, b) in sums.iter_mut().zip(&b.0) {
                *sum = x.multiply_add(*b, *sum);
            }
        }
        // SAFETY: both places have `tile.columns` elements in every row of the tile.
        unsafe { store_row(&sums[..tile.columns], tile.start, tile.out, row) }
    }
}

/// Writes one row of sums, each added to the value of `start`.
///
/// # Safety
/// In both places row `row` has as many elements as there are sums.
pub(super) unsafe fn store_row(
    sums: &[f32],
    start: Option<RowPointer>,
    out: RowPointer,
    row: usize,
) {
    for (column, sum) in sums.iter().enumerate() {
        // SAFETY: the caller guarantees the row.
        unsafe {
            let sum = match start {
                Some(start) => *start.at_row(row).first.add(column) + sum,
                None => *sum,
            };
            *out.at_row(row).first.add(column) = sum;
        }
    }
}
