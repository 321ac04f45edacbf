//! Reductions over a row in a fixed order that vectorises: lane i takes every [`LANES`]-th value from the i-th on.

/// Partial results of a reduction: one AVX-512 register of f32.
pub(crate) const LANES: usize = 16;

/// The largest value of a slice. NaN is skipped; an empty slice gives −∞.
#[inline(always)]
pub(crate) fn maximum(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane = if *v > *lane { *v } else { *lane };
        }
    }
    for (lane, v) in lanes.iter_mut().zip(rest) {
        *lane = if *v > *lane { *v } else { *lane };
    }
    halve(lanes, f32::max)
}

/// Reduces lanes to one value: the upper half joins the lower half, until one lane is left.
///
/// Each round is one vector instruction.
#[inline(always)]
pub(crate) fn halve<T: Copy>(mut lanes: [T; LANES], join: impl Fn(T, T) -> T) -> T {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = join(lanes[lane], lanes[lane + half]);
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maximum_skips_nan_and_of_nothing_is_minus_infinity() {
        for (row, expected) in [
            (vec![], f32::NEG_INFINITY),
            (vec![-3.0, f32::NAN, -1.0], -1.0),
            ((0..37).map(|i| (i * 29 % 37) as f32).collect(), 36.0),
        ] {
            assert_eq!(maximum(&row), expected);
        }
    }
}
