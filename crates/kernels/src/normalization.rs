//! LayerNorm and RMSNorm over rows. Sums are in f64, in one fixed order.

use crate::cpu::vectorized;
use crate::lanes::LANES;
use ndarray::{ArrayView2, ArrayViewMut2};

/// Gain and bias of a norm, each \[model\]. `None` stands for ones or zeros, as after folding.
#[derive(Clone, Copy, Debug, Default)]
pub struct Affine<'a> {
    /// γ, multiplied after normalising.
    pub gain: Option<&'a [f32]>,
    /// β, added last; RMSNorm has none.
    pub bias: Option<&'a [f32]>,
}

vectorized! {
    /// out = (x − mean)/√(variance + ε)·γ + β for each row of `x` \[seq, model\], with the population variance.
    ///
    /// # Panics
    /// If the shapes differ or the rows are not contiguous.
    pub fn layer_norm(x: ArrayView2<'_, f32>, affine: Affine<'_>, epsilon: f64, out: ArrayViewMut2<'_, f32>) {
        normalize::<true>(x, affine, epsilon, out);
    }

    /// out = x/√(mean(x²) + ε)·γ for each row of `x` \[seq, model\].
    ///
    /// # Panics
    /// If the shapes differ or the rows are not contiguous.
    pub fn rms_norm(x: ArrayView2<'_, f32>, affine: Affine<'_>, epsilon: f64, out: ArrayViewMut2<'_, f32>) {
        normalize::<false>(x, affine, epsilon, out);
    }
}

/// The centre and scale that LayerNorm uses for a row \[model\]: its mean and √(variance + ε).
#[inline(always)]
pub fn layer_norm_scale(row: &[f32], epsilon: f64) -> (f64, f64) {
    let mean = sum(row, |v| v) / row.len() as f64;
    let variance = sum(row, |v| (v - mean) * (v - mean)) / row.len() as f64;
    (mean, (variance + epsilon).sqrt())
}

/// The centre (0) and scale that RMSNorm uses for a row \[model\]: √(mean(x²) + ε).
#[inline(always)]
pub fn rms_norm_scale(row: &[f32], epsilon: f64) -> (f64, f64) {
    (
        0.0,
        (sum(row, |v| v * v) / row.len() as f64 + epsilon).sqrt(),
    )
}

/// LayerNorm if `CENTRED`, else RMSNorm. A constant, because a closure would be compiled without the caller's instructions.
#[inline(always)]
fn normalize<const CENTRED: bool>(
    x: ArrayView2<'_, f32>,
    affine: Affine<'_>,
    epsilon: f64,
    mut out: ArrayViewMut2<'_, f32>,
) {
    assert_eq!(x.dim(), out.dim(), "shapes of a norm's input and output");
    for part in [affine.gain, affine.bias].into_iter().flatten() {
        assert_eq!(part.len(), x.ncols(), "length of a norm's gain or bias");
    }
    for (row, mut out) in x.outer_iter().zip(out.outer_iter_mut()) {
        let row = row
            .to_slice()
            .expect("rows of the residual stream are contiguous");
        let out = out
            .as_slice_mut()
            .expect("rows of the residual stream are contiguous");
        let (centre, scale) = match CENTRED {
            true => layer_norm_scale(row, epsilon),
            false => rms_norm_scale(row, epsilon),
        };
        let (centre, inverse) = (centre as f32, (1.0 / scale) as f32);
        for (o, v) in out.iter_mut().zip(row) {
            *o = (v - centre) * inverse;
        }
        if let Some(gain) = affine.gain {
            for (o, g) in out.iter_mut().zip(gain) {
                *o *= g;
            }
        }
        if let Some(bias) = affine.bias {
            for (o, b) in out.iter_mut().zip(bias) {
                *o += b;
            }
        }
    }
}

#[inline(always)]
fn sum(row: &[f32], f: impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [0.0_f64; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane += f(f64::from(*v));
        }
    }
    for (lane, v) in lanes.iter_mut().zip(rest) {
        *lane += f(f64::from(*v));
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    #[test]
    fn a_norm_without_gain_has_unit_size() {
        let x = array![[1.0_f32, 2.0, 3.0, 4.0]];
        let mut out = Array2::zeros((1, 4));
        layer_norm(x.view(), Affine::default(), 0.0, out.view_mut());
        let root = 1.25_f32.sqrt();
        for (got, expected) in out.iter().zip([-1.5, -0.5, 0.5, 1.5]) {
            assert!((got - expected / root).abs() < 1e-6);
        }
        rms_norm(x.view(), Affine::default(), 0.0, out.view_mut());
        assert!((out[(0, 0)] - 1.0 / 7.5_f32.sqrt()).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn norms_agree_with_f64(width in 1usize..70, shift in -3.0f32..3.0, seed: u32) {
            let value = |i: usize| ((i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) as f32 / (1 << 23) as f32 - 1.0;
            let x = Array2::from_shape_fn((3, width), |(r, c)| value(r * width + c) + shift);
            let gain: Vec<f32> = (0..width).map(|i| value(i + 1000)).collect();
            let bias: Vec<f32> = (0..width).map(|i| value(i + 5000)).collect();
            let affine = Affine { gain: Some(&gain), bias: Some(&bias) };
            let mut layer = Array2::zeros(x.dim());
            layer_norm(x.view(), affine, 1e-5, layer.view_mut());
            let mut rms = Array2::zeros(x.dim());
            rms_norm(x.view(), affine, 1e-5, rms.view_mut());
            for r in 0..3 {
                let row: Vec<f64> = x.row(r).iter().map(|v| f64::from(*v)).collect();
                let mean = row.iter().sum::<f64>() / width as f64;
                let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / width as f64;
                let square = row.iter().map(|v| v * v).sum::<f64>() / width as f64;
                for c in 0..width {
                    let (g, b) = (f64::from(gain[c]), f64::from(bias[c]));
                    let expected = (row[c] - mean) / (variance + 1e-5).sqrt() * g + b;
                    prop_assert!((f64::from(layer[(r, c)]) - expected).abs() <= 2e-5 * (1.0 + expected.abs()));
                    let expected = row[c] / (square + 1e-5).sqrt() * g + b;
                    prop_assert!((f64::from(rms[(r, c)]) - expected).abs() <= 2e-6 * (1.0 + expected.abs()));
                }
            }
        }
    }
}
