//! The number formats that factors are held in, and their arithmetic.

use super::panel::KR;

/// The number format of a product's factors. Sums are in f32 in both formats.
///
/// ```
/// use layerwise_kernels::gemm::Precision;
///
/// assert_eq!(Precision::Bf16.round(1.01), 1.0078125); // 8 bits of significand
/// assert_eq!((Precision::F32.bytes(), Precision::Bf16.bytes()), (4, 2));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Both factors in f32.
    #[default]
    F32,
    /// Both factors rounded to bfloat16 (8 bits of significand), to nearest, ties to even.
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

    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }

    /// The value, rounded to this format.
    #[inline(always)]
    pub fn round(self, value: f32) -> f32 {
        match self {
            Self::F32 => value,
            Self::Bf16 => from_bf16(to_bf16(value)),
        }
    }
}

/// A term: the four bytes of a packed factor that one lane multiplies at once. One input in f32, two in bf16.
pub(super) trait Format: Copy + Default + PartialEq {
    /// Inputs of one term.
    const INPUTS: usize;

    /// Terms of one slice of the inner dimension, which form one chain of multiply-adds; a multiple of KR.
    /// Short chains round less, long chains save the traffic of partial sums.
    const KC: usize;

    /// One of the term's inputs.
    fn value(self, input: usize) -> f32;

    /// Overwrites one input of this term with one input of another term.
    fn set(&mut self, input: usize, other: Self, of_other: usize);

    /// `sum + self · by`, rounded as every microkernel rounds it.
    fn multiply_add(self, by: Self, sum: f32) -> f32;
}

/// Whether plain code compiles to a fused multiply-add on this target.
pub(super) const FUSED: bool = cfg!(target_arch = "aarch64");

impl Format for f32 {
    const INPUTS: usize = 1;
    const KC: usize = 256;

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
}

/// Two consecutive inputs in bf16. If the number of inputs is odd, the last pair ends with a zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(transparent)]
pub(super) struct Pair(pub(super) [u16; 2]);

impl Format for Pair {
    const INPUTS: usize = 2;
    // Longer than in f32, because rounding the factors to bf16 outweighs the rounding of sums.
    const KC: usize = 384;

    #[inline(always)]
    fn value(self, input: usize) -> f32 {
        from_bf16(self.0[input])
    }

    #[inline(always)]
    fn set(&mut self, input: usize, other: Self, of_other: usize) {
        self.0[input] = other.0[of_other];
    }

    /// As `vdpbf16ps`: adds the second product first, rounds after each addition, and treats subnormal numbers as zero.
    #[inline(always)]
    fn multiply_add(self, by: Self, sum: f32) -> f32 {
        let [x, y] = [0, 1].map(|at| (flush(self.value(at)), flush(by.value(at))));
        let sum = flush(y.0.mul_add(y.1, flush(sum)));
        flush(x.0.mul_add(x.1, sum))
    }
}

const _: () = assert!(f32::KC.is_multiple_of(KR) && Pair::KC.is_multiple_of(KR));

/// The nearest bf16, ties to even. NaN stays NaN.
#[inline(always)]
pub(super) fn to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    (if value.is_nan() {
        bits >> 16 | 0x40
    } else {
        nearest
    }) as u16
}

#[inline(always)]
fn from_bf16(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

/// Replaces a subnormal number with zero of the same sign.
#[inline(always)]
fn flush(value: f32) -> f32 {
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
