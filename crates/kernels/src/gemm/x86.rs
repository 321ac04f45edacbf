//! The microkernels for AVX-512, AVX-512 with bf16, and AVX2 with FMA.
//!
//! Each is a function of the tile's number of rows, known at compile time, so that the sums stay in registers.
#![allow(
    unsafe_code,
    reason = "microkernels read and write through raw pointers"
)]

use super::format::Pair;
use super::panel::{KR, NR};
use super::portable::store_row;
use super::tile::{RowPointer, Strides, Tile};
use std::arch::asm;
use std::arch::x86_64::*;

/// Calls `$kernel::<ROWS, …>($tile)` for the tile's number of rows.
macro_rules! for_rows {
    ($kernel:ident, [$($flag:tt),*], $tile:expr, $($rows:literal)*) => {
        for_rows!(@ [$(($rows))*] $kernel, [$($flag),*], $tile)
    };
    (@ [$(($rows:literal))*] $kernel:ident, $flags:tt, $tile:expr) => {
        match $tile.rows {
            $($rows => for_rows!(@call $kernel, $rows, $flags, $tile),)*
            _ => unreachable!("a tile has 1 to MR rows"),
        }
    };
    (@call $kernel:ident, $rows:literal, [$($flag:tt),*], $tile:expr) => {
        $kernel::<$rows, $($flag),*>($tile)
    };
}

/// The strides of A, of which one is a constant.
#[inline(always)]
fn strides<const PACKED: bool, T>(tile: &Tile<'_, T>) -> Strides {
    if PACKED {
        Strides {
            row: KR,
            ..tile.strides
        }
    } else {
        Strides {
            chunk: KR,
            ..tile.strides
        }
    }
}

/// Bytes of a cache line.
const LINE: usize = 64;

/// How far ahead packed A is prefetched into the L1 cache, in chunks. The next tile's chunks follow on this tile's.
const AHEAD: usize = 6;

/// Prefetches a cache line into L1 in order to write to it.
#[inline(always)]
fn prefetch_to_write(place: *mut f32) {
    // SAFETY: a prefetch of any address is harmless, and a processor without `prefetchw` treats it as a no-op.
    unsafe { asm!("prefetchw [{}]", in(reg) place, options(nostack, preserves_flags)) }
}

/// Half a panel row.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(row: *const f32) -> __m512 {
    // SAFETY: the caller guarantees 16 floats, aligned to 64 bytes.
    unsafe { _mm512_load_ps(row) }
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn broadcast(value: *const f32) -> __m512 {
    // SAFETY: the caller guarantees the value.
    _mm512_set1_ps(unsafe { *value })
}

/// a·b + sum.
#[inline]
#[target_feature(enable = "avx512f")]
fn multiply_add(a: __m512, b: __m512, sum: __m512) -> __m512 {
    _mm512_fmadd_ps(a, b, sum)
}

/// Half a panel row.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load_pairs(row: *const Pair) -> __m512i {
    // SAFETY: the caller guarantees 16 pairs, aligned to 64 bytes.
    unsafe { _mm512_load_si512(row.cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn broadcast_pair(pair: *const Pair) -> __m512i {
    // SAFETY: the caller guarantees the pair, which is four bytes of integers.
    _mm512_set1_epi32(unsafe { pair.cast::<i32>().read_unaligned() })
}

/// a₀·b₀ + (a₁·b₁ + sum).
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn multiply_add_pairs(a: __m512i, b: __m512i, sum: __m512) -> __m512 {
    // SAFETY: both types are 64 bytes, and every bit pattern is valid for either.
    let [a, b] = unsafe { [a, b].map(|pairs| std::mem::transmute::<__m512i, __m512bh>(pairs)) };
    _mm512_dpbf16_ps(sum, a, b)
}

/// Defines the AVX-512 microkernel of a number format. A tile of 12 rows keeps its sums in 24 registers.
macro_rules! avx512_tile {
    ($tile:ident, $rows:ident, $features:literal, $term:ty, $load:ident, $broadcast:ident, $multiply_add:ident) => {
        /// # Safety
        /// As [`Microkernel::compute`](super::microkernel::Microkernel::compute).
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $tile<const PACKED: bool, const SPREAD: bool>(tile: Tile<'_, $term>) {
            // SAFETY: the caller's promises are passed on, with the tile's own number of rows.
            unsafe { for_rows!($rows, [PACKED, SPREAD], tile, 1 2 3 4 5 6 7 8 9 10 11 12) }
        }

        /// # Safety
        /// As the microkernel, and the tile has `ROWS` rows.
        #[target_feature(enable = $features)]
        unsafe fn $rows<const ROWS: usize, const PACKED: bool, const SPREAD: bool>(tile: Tile<'_, $term>) {
            let strides = strides::<PACKED, _>(&tile);
            let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
            for (chunk, panel) in tile.panel.chunks(KR).enumerate() {
                // Only a few lines at once: a burst of prefetches would delay the loads that are needed now.
                let ahead = tile.ahead.wrapping_add(chunk * KR).cast::<i8>();
                let a_ahead = tile.a.wrapping_add((chunk + AHEAD) * strides.chunk);
                if !SPREAD {
                    _mm_prefetch::<_MM_HINT_T1>(ahead);
                    _mm_prefetch::<_MM_HINT_T1>(ahead.wrapping_add(LINE));
                    let place = tile.out.at_row(chunk).first;
                    prefetch_to_write(place);
                    prefetch_to_write(place.wrapping_add(16));
                }
                for (k, b) in panel.iter().enumerate() {
                    if SPREAD {
                        for line in [k, k + KR] {
                            if line < tile.lines {
                                _mm_prefetch::<_MM_HINT_T1>(ahead.wrapping_add(line * LINE));
                            }
                        }
                    }
                    if PACKED {
                        // Spread over the terms of a chunk, one line for each row.
                        _mm_prefetch::<_MM_HINT_T0>(a_ahead.wrapping_add(k * ROWS).cast());
                    }
                    // SAFETY: a panel row is 32 terms of 4 bytes, aligned to 64. A may be read at every row and term of
                    // the tile.
                    unsafe {
                        let (a, b) = (tile.a.add(chunk * strides.chunk + k), b.0.as_ptr());
                        let (low, high) = ($load(b), $load(b.add(16)));
                        for (row, sums) in sums.iter_mut().enumerate() {
                            let x = $broadcast(a.add(row * strides.row));
                            sums[0] = $multiply_add(x, low, sums[0]);
                            sums[1] = $multiply_add(x, high, sums[1]);
                        }
                    }
                }
            }
            // SAFETY: the caller guarantees both places.
            unsafe { store(sums, tile.columns, tile.start, tile.out) }
        }
    };
}

avx512_tile!(
    avx512,
    avx512_rows,
    "avx512f",
    f32,
    load,
    broadcast,
    multiply_add
);
avx512_tile!(
    avx512_bf16,
    avx512_bf16_rows,
    "avx512f,avx512bf16",
    Pair,
    load_pairs,
    broadcast_pair,
    multiply_add_pairs
);

/// Writes a tile of sums, each added to the value of `start`. Masks keep to the tile's columns.
///
/// # Safety
/// Both places have `ROWS` rows of `columns` elements.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store<const ROWS: usize>(
    sums: [[__m512; 2]; ROWS],
    columns: usize,
    start: Option<RowPointer>,
    out: RowPointer,
) {
    let mask = ((1_u64 << columns) - 1) as u32;
    let masks = [mask as u16, (mask >> 16) as u16];
    for (row, sums) in sums.into_iter().enumerate() {
        for (half, (mut sum, mask)) in sums.into_iter().zip(masks).enumerate() {
            let half_row = |place: RowPointer| place.at_row(row).at_column(16 * half).first;
            // SAFETY: only the tile's own columns are read and written. Masked lanes are not touched, and the address is
            // formed without a promise that it lies in the array.
            unsafe {
                if let Some(start) = start {
                    sum = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, half_row(start)), sum);
                }
                _mm512_mask_storeu_ps(half_row(out), mask, sum);
            }
        }
    }
}

/// The AVX2 microkernel. Its 16 registers hold 6 × 16 or 3 × 32 sums, so a tile is computed in parts.
///
/// # Safety
/// As [`Microkernel::compute`](super::microkernel::Microkernel::compute).
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn avx2<const PACKED: bool>(tile: Tile<'_, f32>) {
    let row_stride = strides::<PACKED, _>(&tile).row;
    for first in (0..tile.rows).step_by(6) {
        // SAFETY: `first` is a row of the tile, so the pointers stay within what the caller guarantees, and the part has only
        // rows of the tile.
        let rows = unsafe {
            Tile {
                a: tile.a.add(first * row_stride),
                rows: (tile.rows - first).min(6),
                start: tile.start.map(|start| start.at_row(first)),
                out: tile.out.at_row(first),
                // The first rows prefetch the next panel.
                lines: if first == 0 { tile.lines } else { 0 },
                ..tile
            }
        };
        if rows.rows <= 3 {
            // Few rows wait for memory, which is read in order if a panel row is read at once.
            // SAFETY: as above.
            unsafe { for_rows!(avx2_rows, [PACKED, 0, 4], rows, 1 2 3) }
            continue;
        }
        for half in (0..tile.columns).step_by(16) {
            let part = Tile {
                columns: (tile.columns - half).min(16),
                start: rows.start.map(|start| start.at_column(half)),
                out: rows.out.at_column(half),
                // Each half prefetches its own lines.
                lines: rows.lines / 2,
                ..rows
            };
            // SAFETY: as above, and `half` is a column of the tile.
            unsafe {
                match half {
                    0 => for_rows!(avx2_rows, [PACKED, 0, 2], part, 4 5 6),
                    _ => for_rows!(avx2_rows, [PACKED, 16, 2], part, 4 5 6),
                }
            }
        }
    }
}

/// A part of a tile: `ROWS` rows, and the columns of the panel from `FROM` on that fit into `VECTORS` vectors.
///
/// # Safety
/// As [`avx2`], and the tile has `ROWS` rows and at most `8 · VECTORS` columns.
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2_rows<
    const ROWS: usize,
    const PACKED: bool,
    const FROM: usize,
    const VECTORS: usize,
>(
    tile: Tile<'_, f32>,
) {
    /// The most rows that wait for memory; the processor prefetches for them by itself.
    const MEMORY_BOUND: usize = 4;
    /// How far ahead B is prefetched into the L1 cache, in panel rows.
    const AHEAD_IN_B: usize = 8;
    let strides = strides::<PACKED, _>(&tile);
    let mut sums = [[_mm256_setzero_ps(); VECTORS]; ROWS];
    for (chunk, panel) in tile.panel.chunks(KR).enumerate() {
        if ROWS > MEMORY_BOUND {
            let a_ahead = tile.a.wrapping_add((chunk + AHEAD) * strides.chunk);
            for row in 0..ROWS {
                _mm_prefetch::<_MM_HINT_T0>(a_ahead.wrapping_add(row * strides.row).cast());
            }
            let ahead = tile.ahead.wrapping_add(chunk * KR).cast::<f32>();
            for line in 0..tile.lines {
                _mm_prefetch::<_MM_HINT_T1>(ahead.wrapping_add(line * NR + FROM).cast());
            }
        }
        for (k, b) in panel.iter().enumerate() {
            // SAFETY: a panel row is 32 floats, aligned to 64 bytes. A may be read at every row and term of the tile.
            unsafe {
                let (a, b) = (
                    tile.a.add(chunk * strides.chunk + k),
                    b.0.as_ptr().add(FROM),
                );
                if ROWS > MEMORY_BOUND {
                    _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(AHEAD_IN_B * NR).cast());
                }
                let mut own = [_mm256_setzero_ps(); VECTORS];
                for (at, own) in own.iter_mut().enumerate() {
                    *own = _mm256_load_ps(b.add(8 * at));
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    let x = _mm256_set1_ps(*a.add(row * strides.row));
                    for (sum, own) in sums.iter_mut().zip(own) {
                        *sum = _mm256_fmadd_ps(x, own, *sum);
                    }
                }
            }
        }
    }
    for (row, sums) in sums.into_iter().enumerate() {
        // SAFETY: row `row` of either place has as many elements as the tile has columns, and the buffer has NR.
        unsafe {
            if tile.columns == 8 * VECTORS {
                for (at, mut sum) in sums.into_iter().enumerate() {
                    if let Some(start) = tile.start {
                        let start = start.at_row(row).at_column(8 * at).first;
                        sum = _mm256_add_ps(_mm256_loadu_ps(start), sum);
                    }
                    _mm256_storeu_ps(tile.out.at_row(row).at_column(8 * at).first, sum);
                }
            } else {
                let mut values = [0.0_f32; NR];
                for (values, sum) in values.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
                    _mm256_storeu_ps(values.as_mut_ptr(), sum);
                }
                store_row(&values[..tile.columns], tile.start, tile.out, row);
            }
        }
    }
}
