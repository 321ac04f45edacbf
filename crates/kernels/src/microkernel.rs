//! The innermost loop of a product: a tile of sums in registers.
//!
//! With the calls that `vectorized!` makes, the only place for `unsafe` in this crate.
#![allow(unsafe_code)]

use crate::Write;
use crate::packed::{CHUNK, Chunk, PANEL, PanelRow, TILE_ROWS, chunk_at, lengthen};
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
}

/// Where rows of sums lie, in elements.
#[derive(Clone, Copy)]
struct Place {
    first: *mut f32,
    /// From one row to the next.
    stride: usize,
}

impl Place {
    /// The place from a row on.
    fn at_row(self, row: usize) -> Self {
        Self {
            first: self.first.wrapping_add(row * self.stride),
            ..self
        }
    }
}

/// Where the left factor's values lie, in elements.
#[derive(Clone, Copy)]
struct Strides {
    /// From one row to the next.
    row: usize,
    /// From one chunk of [`CHUNK`] terms to the next; within a chunk terms are contiguous.
    chunk: usize,
}

/// One strip, or tile of it, to compute.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a, T> {
    a: *const T,
    strides: Strides,
    panel: &'a [PanelRow<T>],
    extents: Extents,
    /// What the sums are added to, if anything.
    start: Option<Place>,
    out: Place,
    /// The row of the next panel to fetch while the first chunk is multiplied; each further chunk fetches the row that lies
    /// CHUNK rows on. It need not exist.
    ahead: *const PanelRow<T>,
}

/// Some columns of the right factor, the first of which begins a panel.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a, T> {
    /// Panel after panel.
    pub(crate) rows: &'a [PanelRow<T>],
    /// Rows of a panel.
    pub(crate) stride: usize,
    /// Rows of a panel that are multiplied: the first ones.
    pub(crate) terms: usize,
}

impl<'a, T: Term> Right<'a, T> {
    /// A chain's part of a panel.
    fn part(self, panel: usize, chain: usize) -> &'a [PanelRow<T>] {
        let first = panel * self.stride;
        let terms = chain * T::CHAIN..self.terms.min((chain + 1) * T::CHAIN);
        &self.rows[first + terms.start..first + terms.end]
    }

    /// Where a chain's part of a panel begins, which need not exist.
    fn first_row(self, panel: usize, chain: usize) -> *const PanelRow<T> {
        self.rows
            .as_ptr()
            .wrapping_add(panel * self.stride + chain * T::CHAIN)
    }
}

/// Panels that are multiplied one after another with a chain's part of packed rows, while that stays in the second-level cache
/// with their sums.
pub(crate) const GROUP: usize = 4;

/// Where a product goes.
pub(crate) struct Destination<'a> {
    /// \[rows, columns\].
    pub(crate) out: ArrayViewMut2<'a, f32>,
    pub(crate) write: Write<'a>,
    /// Memory for the sums of a group of panels, for chains that are not the last: rows of a destination may lie a power of
    /// two apart, and would drive each other out of the cache.
    pub(crate) strip: &'a mut Vec<PanelRow<f32>>,
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

    /// The product of packed rows, placed by [`chunk_at`], and panels.
    pub(crate) fn packed<T: Term>(
        self,
        a: &[Chunk<T>],
        right: Right<'_, T>,
        destination: &mut Destination<'_>,
    ) {
        let chunks = right.terms.div_ceil(CHUNK) * TILE_ROWS;
        assert!(
            a.len() >= destination.out.nrows().div_ceil(TILE_ROWS) * chunks,
            "packed rows fit the panels and the destination"
        );
        let strides = Strides {
            row: CHUNK,
            chunk: TILE_ROWS * CHUNK,
        };
        // SAFETY: the slice holds, for every tile of rows, TILE_ROWS chunks for every CHUNK terms, which is where `chunk_at`
        // places them; the strides are those of packed rows.
        unsafe { self.run::<T, true>(a.as_ptr().cast(), strides, right, destination) }
    }

    /// The product of rows \[rows, terms\] as they lie and panels.
    pub(crate) fn strided<T: Term>(
        self,
        a: ArrayView2<'_, T>,
        right: Right<'_, T>,
        destination: &mut Destination<'_>,
    ) {
        assert_eq!(
            a.dim(),
            (destination.out.nrows(), right.terms),
            "rows fit the panels and the destination"
        );
        assert!(
            a.strides()[1] == 1 || right.terms <= 1,
            "rows of the left factor are contiguous"
        );
        assert!(a.strides()[0] >= 0, "rows of the left factor lie in order");
        let strides = Strides {
            row: a.strides()[0].unsigned_abs(),
            chunk: CHUNK,
        };
        // SAFETY: the view has as many rows as the destination, of `right.terms` contiguous values at the row stride.
        unsafe { self.run::<T, false>(a.as_ptr(), strides, right, destination) }
    }

    /// # Safety
    /// If `PACKED`, `rows` are chunks placed by [`chunk_at`] for every row of the destination and each of `right.terms` terms;
    /// `strides.row` is CHUNK and `strides.chunk` is TILE_ROWS · CHUNK. If not, `rows` may be read at `r · strides.row + k` for
    /// every such row `r` and term `k`, and `strides.chunk` is CHUNK.
    unsafe fn run<T: Term, const PACKED: bool>(
        self,
        rows: *const T,
        strides: Strides,
        right: Right<'_, T>,
        destination: &mut Destination<'_>,
    ) {
        let Destination { out, write, strip } = destination;
        let (height, width) = out.dim();
        assert!(
            (out.strides()[1] == 1 || width <= 1) && out.strides()[0] >= 0,
            "rows of the destination are contiguous and lie in order"
        );
        if let Write::Biased(bias) = write {
            assert_eq!(bias.len(), width, "length of the bias");
        }
        let destination = Place {
            stride: out.strides()[0].unsigned_abs(),
            first: out.as_mut_ptr(),
        };
        let (tiles, chunks) = (height.div_ceil(TILE_ROWS), right.terms.div_ceil(CHUNK));
        let (count, chains) = (width.div_ceil(PANEL), right.terms.div_ceil(T::CHAIN));
        if chains > 1 {
            let length = GROUP.min(count) * height;
            lengthen(strip, length, PanelRow([0.0; PANEL]));
        }
        for group in (0..count).step_by(GROUP) {
            let group = group..count.min(group + GROUP);
            for (chain, panel) in
                (0..chains).flat_map(|chain| group.clone().map(move |panel| (chain, panel)))
            {
                let next = if panel + 1 < group.end {
                    (chain, panel + 1)
                } else if chain + 1 < chains {
                    (chain + 1, group.start)
                } else {
                    (0, group.end)
                };
                let columns = panel * PANEL..width.min((panel + 1) * PANEL);
                let destination = Place {
                    first: destination.first.wrapping_add(columns.start),
                    ..destination
                };
                let strip = Place {
                    stride: PANEL,
                    first: strip
                        .as_mut_ptr()
                        .wrapping_add((panel - group.start) * height)
                        .cast(),
                };
                let start = match write {
                    _ if chain > 0 => Some(strip),
                    Write::Replace => None,
                    Write::Add => Some(destination),
                    // Every row starts from the same one, which is only read.
                    Write::Biased(bias) => Some(Place {
                        stride: 0,
                        first: bias[columns.clone()].as_ptr().cast_mut(),
                    }),
                };
                let out = if chain + 1 == chains {
                    destination
                } else {
                    strip
                };
                for tile in 0..tiles {
                    let first = tile * TILE_ROWS;
                    let a = match PACKED {
                        true => {
                            CHUNK * chunk_at::<T>(tiles, chunks, tile, chain * T::CHAIN / CHUNK)
                        }
                        false => first * strides.row + chain * T::CHAIN,
                    };
                    // SAFETY: the caller vouches for `rows`, tile by tile and term by term; a chain begins with a whole chunk.
                    // The destination was checked above: from row `first` on there are `extents.rows` rows of
                    // `extents.columns` contiguous elements, `out.stride` apart, and so it is with the bias; the strip has
                    // PANEL elements for each of the rows and each panel of the group, which every chain but the last fills
                    // before the next one reads them. The instruction sets were detected when the kernel was chosen.
                    unsafe {
                        let job = Job {
                            a: rows.add(a),
                            strides,
                            panel: right.part(panel, chain),
                            extents: Extents {
                                rows: TILE_ROWS.min(height - first),
                                columns: columns.len(),
                            },
                            start: start.map(|start| start.at_row(first)),
                            out: out.at_row(first),
                            // Between them the first CHUNK tiles fetch every row; the others fetch them again, at no cost.
                            ahead: right.first_row(next.1, next.0).wrapping_add(tile % CHUNK),
                        };
                        T::tile::<PACKED>(self, job);
                    }
                }
            }
        }
    }
}

/// Fetches a value into the first-level cache, where it and the instruction for it exist.
#[inline(always)]
pub(crate) fn fetch(values: &[f32], at: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of the architecture, and a fetch of any address is harmless.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().wrapping_add(at).cast());
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
        // SAFETY: row `row` of either place has `extents.columns` elements.
        unsafe { store_row(&sums[..extents.columns], job.start, job.out, row) }
    }
}

/// Writes one row of sums, or adds it to where it starts from.
///
/// # Safety
/// Row `row` of both places has as many elements as there are sums.
unsafe fn store_row(sums: &[f32], start: Option<Place>, out: Place, row: usize) {
    for (column, sum) in sums.iter().enumerate() {
        // SAFETY: the caller vouches for the row.
        unsafe {
            let sum = match start {
                Some(start) => *start.at_row(row).first.add(column) + sum,
                None => *sum,
            };
            *out.at_row(row).first.add(column) = sum;
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Extents, Job, Place, Strides, store_row};
    use crate::packed::{CHUNK, TILE_ROWS};
    use crate::term::Pair;
    use std::arch::asm;
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
            }
        } else {
            Strides {
                chunk: CHUNK,
                ..job.strides
            }
        }
    }

    /// Chunks of packed rows that are fetched into the first-level cache ahead of those that are multiplied: those of the next
    /// tile follow on this tile's.
    const AHEAD: usize = 6;

    /// Fetches a place that is going to be written into the first-level cache.
    #[inline(always)]
    fn fetch_to_write(place: *mut f32) {
        // SAFETY: a fetch of any address is harmless, and a processor without the instruction does nothing.
        unsafe { asm!("prefetchw [{}]", in(reg) place, options(nostack, preserves_flags)) }
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
                    // Little by little: many fetches at once would keep the loads waiting that are needed now.
                    let panel_ahead = job.ahead.wrapping_add(chunk * CHUNK).cast::<i8>();
                    let a_ahead = job.a.wrapping_add((chunk + AHEAD) * strides.chunk);
                    _mm_prefetch::<_MM_HINT_T1>(panel_ahead);
                    _mm_prefetch::<_MM_HINT_T1>(panel_ahead.wrapping_add(64));
                    let place = job.out.at_row(chunk).first;
                    fetch_to_write(place);
                    fetch_to_write(place.wrapping_add(16));
                    for (k, b) in panel.iter().enumerate() {
                        if PACKED {
                            _mm_prefetch::<_MM_HINT_T0>(a_ahead.wrapping_add(k * TILE_ROWS).cast());
                        }
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
                unsafe { store(sums, job.extents, job.start, job.out) }
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

    /// Writes a tile of sums, or adds it to where it starts from.
    ///
    /// # Safety
    /// Both places have `ROWS` rows of `extents.columns` elements.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn store<const ROWS: usize>(
        sums: [[__m512; 2]; ROWS],
        extents: Extents,
        start: Option<Place>,
        out: Place,
    ) {
        let mask = ((1_u64 << extents.columns) - 1) as u32;
        let masks = [mask as u16, (mask >> 16) as u16];
        for (row, sums) in sums.into_iter().enumerate() {
            for (half, (mut sum, mask)) in sums.into_iter().zip(masks).enumerate() {
                let half_row = |place: Place| place.at_row(row).first.wrapping_add(16 * half);
                // SAFETY: the mask lets only the tile's own columns be read and written; masked-off lanes are not touched,
                // and the address itself is formed without promising that it lies in the array.
                unsafe {
                    if let Some(start) = start {
                        sum = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, half_row(start)), sum);
                    }
                    _mm512_mask_storeu_ps(half_row(out), mask, sum);
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
                    start: job.start.map(|start| start.at_row(first)),
                    out: job.out.at_row(first),
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
                let from_half = |place: Place| Place {
                    first: place.first.wrapping_add(half),
                    ..place
                };
                // SAFETY: the buffer has 16 floats; row `row` of either place has `columns` elements from `half` on.
                unsafe {
                    _mm256_storeu_ps(values.as_mut_ptr(), sums[0]);
                    _mm256_storeu_ps(values.as_mut_ptr().add(8), sums[1]);
                    let start = job.start.map(from_half);
                    store_row(&values[..columns], start, from_half(job.out), row);
                }
            }
        }
    }
}
