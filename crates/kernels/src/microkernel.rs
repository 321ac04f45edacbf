//! The innermost loop of a product: a tile of sums in registers.
//!
//! With the calls that `vectorized!` makes, the only place for `unsafe` in this crate.
#![allow(unsafe_code)]

use crate::packed::{CHAIN, CHUNK, Chunk, PANEL, PanelRow, TILE_ROWS};
use crate::term::{Pair, Term};
use ndarray::{ArrayView2, ArrayViewMut2};

/// An instruction set that the machine has. Each has those of the following ones as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

/// The extents of a strip, which is a column of tiles below each other.
#[derive(Clone, Copy, Debug)]
struct Extents {
    rows: usize,
    /// 1..=PANEL.
    columns: usize,
    /// Whether the sums are added to the destination.
    add: bool,
}

/// Where the left factor's values lie, in elements.
#[derive(Clone, Copy)]
struct Strides {
    /// From one row to the next.
    row: usize,
    /// From one chunk of [`CHUNK`] terms to the next; within a chunk terms are contiguous.
    chunk: usize,
    /// From one tile of rows to the next.
    tile: usize,
}

/// One strip, or tile of it, to compute.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a, T> {
    a: *const T,
    strides: Strides,
    panel: &'a [PanelRow<T>],
    extents: Extents,
    out: *mut f32,
    /// Elements from one row of the destination to the next.
    out_stride: usize,
}

impl Kernel {
    /// The fastest kernel of this machine.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = std::arch::is_x86_feature_detected!("avx2")
                && std::arch::is_x86_feature_detected!("fma");
            if avx2 && std::arch::is_x86_feature_detected!("avx512f") {
                return match std::arch::is_x86_feature_detected!("avx512bf16") {
                    true => Self::Avx512Bf16,
                    false => Self::Avx512,
                };
            }
            if avx2 {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// Every kernel that this machine can run.
    #[cfg(test)]
    pub(crate) fn available() -> Vec<Self> {
        let mut kernels = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if Self::detect() != Self::Portable {
                kernels.push(Self::Avx2);
            }
            if matches!(Self::detect(), Self::Avx512 | Self::Avx512Bf16) {
                kernels.push(Self::Avx512);
            }
            if Self::detect() == Self::Avx512Bf16 {
                kernels.push(Self::Avx512Bf16);
            }
        }
        kernels
    }

    /// Whether products are fused with their sums, without a rounding between.
    #[cfg(test)]
    pub(crate) fn is_fused(self) -> bool {
        self != Self::Portable || crate::term::FUSED
    }

    /// A strip of the product of packed rows, tiles of \[inner / CHUNK, TILE_ROWS, CHUNK\], and a panel \[inner\].
    pub(crate) fn packed<T: Term>(
        self,
        a: &[Chunk<T>],
        panel: &[PanelRow<T>],
        add: bool,
        out: ArrayViewMut2<'_, f32>,
    ) {
        let tile = panel.len().div_ceil(CHUNK) * TILE_ROWS;
        assert!(
            a.len() >= out.nrows().div_ceil(TILE_ROWS) * tile,
            "packed rows fit the panel and the destination"
        );
        let strides = Strides {
            row: CHUNK,
            chunk: TILE_ROWS * CHUNK,
            tile: tile * CHUNK,
        };
        // SAFETY: the slice holds, for every tile of rows, TILE_ROWS chunks for every CHUNK terms, so each row and term
        // of the strip lies in it; the strides are those of packed rows.
        unsafe { self.run::<T, true>(a.as_ptr().cast(), strides, panel, add, out) }
    }

    /// A strip of the product of rows \[rows, inner\] as they lie and a panel \[inner\].
    pub(crate) fn strided<T: Term>(
        self,
        a: ArrayView2<'_, T>,
        panel: &[PanelRow<T>],
        add: bool,
        out: ArrayViewMut2<'_, f32>,
    ) {
        assert_eq!(
            a.dim(),
            (out.nrows(), panel.len()),
            "rows fit the panel and the destination"
        );
        assert!(
            a.strides()[1] == 1 || panel.len() <= 1,
            "rows of the left factor are contiguous"
        );
        assert!(a.strides()[0] >= 0, "rows of the left factor lie in order");
        let row = a.strides()[0].unsigned_abs();
        let strides = Strides {
            row,
            chunk: CHUNK,
            tile: TILE_ROWS * row,
        };
        // SAFETY: the view has as many rows as the destination, of `panel.len()` contiguous values at the row stride.
        unsafe { self.run::<T, false>(a.as_ptr(), strides, panel, add, out) }
    }

    /// # Safety
    /// For every row `r` of the destination and term `k` below `panel.len()`, `a` may be read at
    /// `r / TILE_ROWS · strides.tile + r % TILE_ROWS · strides.row + k / CHUNK · strides.chunk + k % CHUNK`.
    /// `strides.row` is CHUNK and `strides.chunk` is TILE_ROWS · CHUNK if `PACKED`; `strides.chunk` is CHUNK if not.
    unsafe fn run<T: Term, const PACKED: bool>(
        self,
        a: *const T,
        strides: Strides,
        panel: &[PanelRow<T>],
        add: bool,
        mut out: ArrayViewMut2<'_, f32>,
    ) {
        let (rows, columns) = out.dim();
        assert!((1..=PANEL).contains(&columns), "{columns} columns");
        assert!(
            (out.strides()[1] == 1 || columns == 1) && out.strides()[0] >= 0,
            "rows of the destination are contiguous and lie in order"
        );
        let out_stride = out.strides()[0].unsigned_abs();
        let (base, out) = (a, out.as_mut_ptr());
        let tiles = (0..rows).step_by(TILE_ROWS);
        // A tile's chains follow each other, so that its destination stays in the first-level cache.
        let chains = || panel.chunks(CHAIN).enumerate();
        for (first, (chain, panel)) in
            tiles.flat_map(|first| chains().map(move |chain| (first, chain)))
        {
            let extents = Extents {
                rows: TILE_ROWS.min(rows - first),
                columns,
                add: add || chain > 0,
            };
            // SAFETY: the caller vouches for `a`, tile by tile and term by term; a chain begins with a whole chunk.
            // `out` was checked above: from row `first` on there are `extents.rows` rows of `columns` contiguous
            // elements, `out_stride` apart. The instruction sets were detected when the kernel was chosen.
            unsafe {
                let job = Job {
                    a: base.add(
                        first / TILE_ROWS * strides.tile + chain * CHAIN / CHUNK * strides.chunk,
                    ),
                    strides,
                    panel,
                    extents,
                    out: out.add(first * out_stride),
                    out_stride,
                };
                T::tile::<PACKED>(self, job);
            }
        }
    }
}

/// The tile of sums of one number format.
pub(crate) trait Tile: Sized {
    /// # Safety
    /// As [`Kernel::run`], with `out` checked and the instructions of `kernel` at hand.
    unsafe fn tile<const PACKED: bool>(kernel: Kernel, job: Job<'_, Self>);
}

impl Tile for f32 {
    unsafe fn tile<const PACKED: bool>(kernel: Kernel, job: Job<'_, Self>) {
        // SAFETY: the caller's promises are passed on.
        unsafe {
            match kernel {
                #[cfg(target_arch = "x86_64")]
                Kernel::Avx512Bf16 | Kernel::Avx512 => x86::avx512::<PACKED>(job),
                #[cfg(target_arch = "x86_64")]
                Kernel::Avx2 => x86::avx2::<PACKED>(job),
                Kernel::Portable => portable(job),
            }
        }
    }
}

impl Tile for Pair {
    unsafe fn tile<const PACKED: bool>(kernel: Kernel, job: Job<'_, Self>) {
        // SAFETY: the caller's promises are passed on.
        unsafe {
            match kernel {
                #[cfg(target_arch = "x86_64")]
                Kernel::Avx512Bf16 => x86::avx512_bf16::<PACKED>(job),
                _ => portable(job),
            }
        }
    }
}

/// # Safety
/// As [`Kernel::run`], with `out` checked.
unsafe fn portable<T: Term>(job: Job<'_, T>) {
    let Job {
        a,
        strides,
        extents,
        ..
    } = job;
    for row in 0..extents.rows {
        let mut sums = [0.0_f32; PANEL];
        for (k, b) in job.panel.iter().enumerate() {
            // SAFETY: the row and the term are below those the caller vouches for.
            let x = unsafe { *a.add(row * strides.row + k / CHUNK * strides.chunk + k % CHUNK) };
            for (sum, b) in sums.iter_mut().zip(&b.0) {
                *sum = x.multiply_add(*b, *sum);
            }
        }
        // SAFETY: row `row` of the destination has `extents.columns` elements, which no other reference covers.
        let out = unsafe {
            std::slice::from_raw_parts_mut(job.out.add(row * job.out_stride), extents.columns)
        };
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = if extents.add { *out + sum } else { sum };
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Extents, Job, Strides};
    use crate::packed::{CHUNK, TILE_ROWS};
    use crate::term::Pair;
    use std::arch::x86_64::*;

    /// Calls `$kernel::<ROWS, PACKED>($job)` for the tile's number of rows, which must be known when compiling.
    macro_rules! for_rows {
        ($kernel:ident, $packed:ident, $job:expr, $($rows:literal)*) => {
            match $job.extents.rows {
                $($rows => $kernel::<$rows, $packed>($job),)*
                _ => unreachable!("the rows were checked"),
            }
        };
    }

    /// The strides, known when compiling where they can be.
    #[inline(always)]
    fn strides<const PACKED: bool, T>(job: &Job<'_, T>) -> Strides {
        if PACKED {
            Strides {
                row: CHUNK,
                chunk: TILE_ROWS * CHUNK,
                ..job.strides
            }
        } else {
            Strides {
                chunk: CHUNK,
                ..job.strides
            }
        }
    }

    /// Half a panel row.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(row: *const f32) -> __m512 {
        // SAFETY: the caller vouches for 16 floats, aligned to 64 bytes.
        unsafe { _mm512_load_ps(row) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn broadcast(value: *const f32) -> __m512 {
        // SAFETY: the caller vouches for the value.
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
        // SAFETY: the caller vouches for 16 pairs, aligned to 64 bytes.
        unsafe { _mm512_load_si512(row.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn broadcast_pair(pair: *const Pair) -> __m512i {
        // SAFETY: the caller vouches for the pair, which is four bytes of integers.
        _mm512_set1_epi32(unsafe { pair.cast::<i32>().read_unaligned() })
    }

    /// a₀·b₀ + (a₁·b₁ + sum).
    #[inline]
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn multiply_add_pairs(a: __m512i, b: __m512i, sum: __m512) -> __m512 {
        // SAFETY: both types are 64 bytes, for which any bits are values.
        let [a, b] = unsafe { [a, b].map(|pairs| std::mem::transmute::<__m512i, __m512bh>(pairs)) };
        _mm512_dpbf16_ps(sum, a, b)
    }

    /// Defines a tile of sums in 24 registers, of a number format with its instructions.
    macro_rules! avx512_tile {
        ($tile:ident, $rows:ident, $features:literal, $term:ty, $load:ident, $broadcast:ident, $multiply_add:ident) => {
            /// # Safety
            /// As [`super::Kernel::run`], with `out` checked and the instructions at hand.
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $tile<const PACKED: bool>(job: Job<'_, $term>) {
                // SAFETY: the caller's promises are passed on, with the tile's own number of rows.
                unsafe { for_rows!($rows, PACKED, job, 1 2 3 4 5 6 7 8 9 10 11 12) }
            }

            /// # Safety
            /// As the tile's function, with `ROWS` the rows of the tile.
            #[target_feature(enable = $features)]
            unsafe fn $rows<const ROWS: usize, const PACKED: bool>(job: Job<'_, $term>) {
                let strides = strides::<PACKED, _>(&job);
                let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
                for (chunk, panel) in job.panel.chunks(CHUNK).enumerate() {
                    for (k, b) in panel.iter().enumerate() {
                        // SAFETY: a panel row is 32 terms of 4 bytes, aligned to 64; `a` may be read at every row and term
                        // of the tile.
                        unsafe {
                            let (a, b) = (job.a.add(chunk * strides.chunk + k), b.0.as_ptr());
                            let (low, high) = ($load(b), $load(b.add(16)));
                            for (row, sums) in sums.iter_mut().enumerate() {
                                let x = $broadcast(a.add(row * strides.row));
                                sums[0] = $multiply_add(x, low, sums[0]);
                                sums[1] = $multiply_add(x, high, sums[1]);
                            }
                        }
                    }
                }
                // SAFETY: the destination is the caller's.
                unsafe { store(sums, job.extents, job.out, job.out_stride) }
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

    /// Writes a tile of sums, or adds it to what is there.
    ///
    /// # Safety
    /// `out` has `ROWS` rows of `extents.columns` elements, `out_stride` apart.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn store<const ROWS: usize>(
        sums: [[__m512; 2]; ROWS],
        extents: Extents,
        out: *mut f32,
        out_stride: usize,
    ) {
        let mask = ((1_u64 << extents.columns) - 1) as u32;
        let masks = [mask as u16, (mask >> 16) as u16];
        for (row, sums) in sums.into_iter().enumerate() {
            for (half, (mut sum, mask)) in sums.into_iter().zip(masks).enumerate() {
                // SAFETY: the mask lets only the tile's own columns be read and written; masked-off lanes are not touched,
                // and the address itself is formed without promising that it lies in the array.
                unsafe {
                    let place = out.add(row * out_stride).wrapping_add(16 * half);
                    if extents.add {
                        sum = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, place), sum);
                    }
                    _mm512_mask_storeu_ps(place, mask, sum);
                }
            }
        }
    }

    /// # Safety
    /// As [`super::Kernel::run`], with `out` checked and AVX2 and FMA at hand.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn avx2<const PACKED: bool>(job: Job<'_, f32>) {
        let rows = job.extents.rows;
        let row_stride = strides::<PACKED, _>(&job).row;
        for first in (0..rows).step_by(6) {
            // SAFETY: `first` is a row of the tile, so both pointers stay in what the caller vouches for, and the
            // narrower tile has only rows that the whole one has.
            unsafe {
                let part = Job {
                    a: job.a.add(first * row_stride),
                    extents: Extents {
                        rows: (rows - first).min(6),
                        ..job.extents
                    },
                    out: job.out.add(first * job.out_stride),
                    ..job
                };
                for_rows!(avx2_rows, PACKED, part, 1 2 3 4 5 6)
            }
        }
    }

    /// # Safety
    /// As [`avx2`], with `ROWS` the rows of the tile.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2_rows<const ROWS: usize, const PACKED: bool>(job: Job<'_, f32>) {
        let strides = strides::<PACKED, _>(&job);
        for half in (0..job.extents.columns).step_by(16) {
            let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
            for (chunk, panel) in job.panel.chunks(CHUNK).enumerate() {
                for (k, b) in panel.iter().enumerate() {
                    // SAFETY: a panel row is 32 floats, aligned to 64 bytes, and `half` is 0 or 16; `a` as in `avx512_rows`.
                    unsafe {
                        let (a, b) = (job.a.add(chunk * strides.chunk + k), b.0.as_ptr().add(half));
                        let (low, high) = (_mm256_load_ps(b), _mm256_load_ps(b.add(8)));
                        for (row, sums) in sums.iter_mut().enumerate() {
                            let x = _mm256_set1_ps(*a.add(row * strides.row));
                            sums[0] = _mm256_fmadd_ps(x, low, sums[0]);
                            sums[1] = _mm256_fmadd_ps(x, high, sums[1]);
                        }
                    }
                }
            }
            let columns = (job.extents.columns - half).min(16);
            for (row, sums) in sums.into_iter().enumerate() {
                let mut values = [0.0_f32; 16];
                // SAFETY: the buffer has 16 floats; row `row` of the destination has `columns` elements from `half` on.
                let out = unsafe {
                    _mm256_storeu_ps(values.as_mut_ptr(), sums[0]);
                    _mm256_storeu_ps(values.as_mut_ptr().add(8), sums[1]);
                    let first = job.out.add(row * job.out_stride + half);
                    std::slice::from_raw_parts_mut(first, columns)
                };
                for (out, sum) in out.iter_mut().zip(values) {
                    *out = if job.extents.add { *out + sum } else { sum };
                }
            }
        }
    }
}
