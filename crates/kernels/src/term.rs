//! The number formats in which factors are multiplied.

use crate::elementary::vectorized;
use crate::microkernel::Tile;
use crate::packed::{CHUNK, Chunk, PANEL, PanelRow, Rows, pack_rows, turn_over};
use ndarray::{ArrayView2, s};

/// The number format of a product's factors. Sums are in f32 in either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Both factors as they are.
    #[default]
    F32,
    /// Both factors rounded to bfloat16 (8 bits of significand), to the nearest, ties to even.
    Bf16,
}

impl Precision {
    /// `f32` or `bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }

    /// A value as this format holds it.
    #[inline(always)]
    pub fn round(self, value: f32) -> f32 {
        match self {
            Self::F32 => value,
            Self::Bf16 => widened(rounded(value)),
        }
    }
}

/// What a panel holds in one lane of one row, and a chunk in one lane: four bytes, one input in f32 or two in bf16.
pub(crate) trait Term: Tile + Copy + Default + PartialEq {
    /// Inputs (terms of the inner dimension) in one lane.
    const INPUTS: usize;
    /// Terms of one chain of fused multiply-adds, a multiple of [`CHUNK`]: the shorter, the less rounding adds up; the longer,
    /// the fewer sums wait in memory.
    const CHAIN: usize;

    /// One of the [`Term::INPUTS`] values.
    fn value(self, input: usize) -> f32;

    /// Puts one value of another term in the place of one of this term's.
    fn set(&mut self, input: usize, other: Self, of_other: usize);

    /// sum + self·by, as every kernel adds them up.
    fn multiply_add(self, by: Self, sum: f32) -> f32;

    /// Puts columns \[inputs, columns\] into the lanes of a panel that begin at `first_lane`.
    fn fill(part: ArrayView2<'_, f32>, rows: &mut [PanelRow<Self>], first_lane: usize);

    /// Fills a chunk of packed rows from its values, of which the last chunk of a row may have fewer.
    fn put(chunk: &mut [Self; CHUNK], values: &[f32]);

    /// Packs rows \[rows, inner\] of the left factor.
    fn pack(block: ArrayView2<'_, f32>, rows: &mut Rows);

    /// The packed rows of this format.
    fn packed(rows: &Rows) -> &[Chunk<Self>];

    /// Rows of the left factor that a kernel may read where they lie, if it may.
    fn unpacked(block: ArrayView2<'_, f32>) -> Option<ArrayView2<'_, Self>>;
}

/// Whether plain code multiplies and adds in one rounding.
pub(crate) const FUSED: bool = cfg!(target_arch = "aarch64");

impl Term for f32 {
    const INPUTS: usize = 1;
    const CHAIN: usize = 256;

    #[inline(always)]
    fn value(self, _: usize) -> f32 {
        self
    }

    #[inline(always)]
    fn set(&mut self, _: usize, other: Self, _: usize) {
        *self = other;
    }

    #[inline(always)]
    fn multiply_add(self, by: Self, sum: f32) -> f32 {
        if FUSED {
            self.mul_add(by, sum)
        } else {
            sum + self * by
        }
    }

    fn fill(part: ArrayView2<'_, f32>, rows: &mut [PanelRow<Self>], first_lane: usize) {
        if part.strides()[0].unsigned_abs() < part.strides()[1].unsigned_abs() {
            return turn_over(part, rows, first_lane);
        }
        for (row, values) in rows.iter_mut().zip(part.outer_iter()) {
            let lanes = &mut row.0[first_lane..first_lane + values.len()];
            match values.to_slice() {
                Some(values) => lanes.copy_from_slice(values),
                None => lanes
                    .iter_mut()
                    .zip(values)
                    .for_each(|(lane, value)| *lane = *value),
            }
        }
    }

    #[inline(always)]
    fn put(chunk: &mut [Self; CHUNK], values: &[f32]) {
        match <&[f32; CHUNK]>::try_from(values) {
            Ok(values) => *chunk = *values,
            Err(_) => chunk[..values.len()].copy_from_slice(values),
        }
    }

    fn pack(block: ArrayView2<'_, f32>, rows: &mut Rows) {
        pack_singles(block, &mut rows.singles);
    }

    fn packed(rows: &Rows) -> &[Chunk<Self>] {
        &rows.singles
    }

    fn unpacked(block: ArrayView2<'_, f32>) -> Option<ArrayView2<'_, Self>> {
        Some(block)
    }
}

/// Two consecutive inputs in bf16, the first one first; a second one that does not exist is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(transparent)]
pub(crate) struct Pair(pub(crate) [u16; 2]);

impl Term for Pair {
    const INPUTS: usize = 2;
    // Rounding to bf16 outweighs that of the sums.
    const CHAIN: usize = 384;

    #[inline(always)]
    fn value(self, input: usize) -> f32 {
        widened(self.0[input])
    }

    #[inline(always)]
    fn set(&mut self, input: usize, other: Self, of_other: usize) {
        self.0[input] = other.0[of_other];
    }

    /// As `vdpbf16ps`: the second product is added first, each addition rounds once, and subnormal numbers count as zero.
    #[inline(always)]
    fn multiply_add(self, by: Self, sum: f32) -> f32 {
        let [x, y] = [0, 1].map(|at| (flushed(self.value(at)), flushed(by.value(at))));
        let sum = flushed(y.0.mul_add(y.1, flushed(sum)));
        flushed(x.0.mul_add(x.1, sum))
    }

    fn fill(part: ArrayView2<'_, f32>, rows: &mut [PanelRow<Self>], first_lane: usize) {
        const BLOCK: usize = 16;
        let lanes = first_lane..first_lane + part.ncols();
        let mut singles = [PanelRow([0.0_f32; PANEL]); 2 * BLOCK];
        for (first, rows) in (0..).step_by(2 * BLOCK).zip(rows.chunks_mut(BLOCK)) {
            let inputs = first..part.nrows().min(first + 2 * BLOCK);
            let count = inputs.len();
            f32::fill(
                part.slice(s![inputs, ..]),
                &mut singles[..count],
                first_lane,
            );
            singles[count..].fill(PanelRow([0.0; PANEL]));
            for (row, [first, second]) in rows.iter_mut().zip(singles.as_chunks().0) {
                for lane in lanes.clone() {
                    row.0[lane] = Self([rounded(first.0[lane]), rounded(second.0[lane])]);
                }
            }
        }
    }

    #[inline(always)]
    fn put(chunk: &mut [Self; CHUNK], values: &[f32]) {
        if let Ok(values) = <&[f32; 2 * CHUNK]>::try_from(values) {
            let mut halves = [0; 2 * CHUNK];
            for (half, value) in halves.iter_mut().zip(values) {
                *half = rounded(*value);
            }
            for (pair, halves) in chunk.iter_mut().zip(halves.as_chunks().0) {
                *pair = Self(*halves);
            }
        } else {
            // The second half of a last pair meets a zero, and must not be a leftover that is not finite.
            chunk.fill(Self::default());
            for (pair, values) in chunk.iter_mut().zip(values.chunks(2)) {
                for (half, value) in pair.0.iter_mut().zip(values) {
                    *half = rounded(*value);
                }
            }
        }
    }

    fn pack(block: ArrayView2<'_, f32>, rows: &mut Rows) {
        pack_pairs(block, &mut rows.pairs);
    }

    fn packed(rows: &Rows) -> &[Chunk<Self>] {
        &rows.pairs
    }

    fn unpacked(_: ArrayView2<'_, f32>) -> Option<ArrayView2<'_, Self>> {
        None
    }
}

vectorized! {
    fn pack_singles(block: ArrayView2<'_, f32>, packed: &mut Vec<Chunk<f32>>) {
        pack_rows(block, packed);
    }

    fn pack_pairs(block: ArrayView2<'_, f32>, packed: &mut Vec<Chunk<Pair>>) {
        pack_rows(block, packed);
    }
}

/// To the nearest bf16, ties to even; what is not a number stays so.
#[inline(always)]
fn rounded(value: f32) -> u16 {
    let bits = value.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    (if value.is_nan() {
        bits >> 16 | 0x40
    } else {
        nearest
    }) as u16
}

#[inline(always)]
fn widened(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

#[inline(always)]
fn flushed(value: f32) -> f32 {
    if value.is_subnormal() {
        0.0_f32.copysign(value)
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rounding_is_to_the_nearest_and_to_even(value in proptest::num::f32::NORMAL) {
            let got = f64::from(Precision::Bf16.round(value));
            let bits = value.to_bits() & 0xffff_0000;
            let (below, above) = (f32::from_bits(bits), f32::from_bits(bits.wrapping_add(0x1_0000)));
            let (to_below, to_above) = ((f64::from(value) - f64::from(below)).abs(), (f64::from(above) - f64::from(value)).abs());
            let even = if bits & 0x1_0000 == 0 { below } else { above };
            let expected = match to_below.total_cmp(&to_above) {
                std::cmp::Ordering::Less => below,
                std::cmp::Ordering::Equal => even,
                std::cmp::Ordering::Greater => above,
            };
            if above.is_finite() {
                prop_assert_eq!(got, f64::from(expected));
            }
            prop_assert_eq!(Precision::F32.round(value), value);
        }
    }

    #[test]
    fn special_values_are_kept() {
        for value in [0.0, -0.0, 1.0, -2.5, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(Precision::Bf16.round(value).to_bits(), value.to_bits());
        }
        for bits in [0x7fff_ffff, 0xffff_ffff, 0x7f80_0001, 0x7fc0_0000] {
            assert!(Precision::Bf16.round(f32::from_bits(bits)).is_nan());
        }
        assert_eq!(Precision::Bf16.round(1.0 + 1.0 / 256.0), 1.0);
        assert_eq!(Precision::Bf16.round(1.0 + 3.0 / 256.0), 1.0 + 4.0 / 256.0);
        assert_eq!(Precision::Bf16.round(f32::MAX), f32::INFINITY);
    }
}
