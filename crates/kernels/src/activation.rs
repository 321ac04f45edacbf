//! Activation functions of the MLP, in place.

use crate::cpu::vectorized;
use crate::elementary::{erf, exp, tanh};

vectorized! {
    /// x ← 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), the `gelu_new` of GPT-2 and Phi.
    pub fn gelu_tanh(values: &mut [f32]) {
        const ROOT: f32 = 0.797_884_6;
        for x in values {
            let inner = ROOT * (0.044_715 * *x * *x).mul_add(*x, *x);
            *x = 0.5 * *x * (1.0 + tanh(inner));
        }
    }

    /// x ← 0.5·x·(1 + erf(x/√2)), the exact GELU of GPT-NeoX.
    pub fn gelu(values: &mut [f32]) {
        for x in values {
            *x = 0.5 * *x * (1.0 + erf(*x * std::f32::consts::FRAC_1_SQRT_2));
        }
    }

    /// x ← x/(1 + e⁻ˣ), the SiLU of Llama and Qwen2.
    pub fn silu(values: &mut [f32]) {
        for x in values {
            *x /= 1.0 + exp(-*x);
        }
    }

    /// x ← max(x, 0); NaN stays.
    pub fn relu(values: &mut [f32]) {
        for x in values {
            *x = if *x <= 0.0 { 0.0 } else { *x };
        }
    }

    /// x ← most·tanh(x/most), the soft cap of Gemma 2's scores and logits.
    pub fn cap(values: &mut [f32], most: f32) {
        for x in values {
            let t = *x / most;
            let z = t * t;
            // Near 0, where most values lie, the odd polynomial of the Cephes library keeps the relative error at one rounding.
            let near = [-0.005_704_988_7, 0.020_639_088, -0.053_739_715, 0.133_314_42, -0.333_332_8_f32]
                .iter()
                .fold(0.0_f32, |sum, coefficient| sum.mul_add(z, *coefficient));
            let near = (near * z).mul_add(t, t);
            *x = most * if t.abs() < 0.625 { near } else { tanh(t) };
        }
    }

    /// x ← x·y, elementwise, as the gate of a gated MLP is multiplied with the up projection.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn multiply(values: &mut [f32], by: &[f32]) {
        assert_eq!(values.len(), by.len(), "lengths of the two factors");
        for (x, y) in values.iter_mut().zip(by) {
            *x *= *y;
        }
    }

    /// x ← x + scale·y, elementwise.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn add_scaled(values: &mut [f32], scale: f32, by: &[f32]) {
        assert_eq!(values.len(), by.len(), "lengths of the two terms");
        for (x, y) in values.iter_mut().zip(by) {
            *x += scale * *y;
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_cap_keeps_small_values_to_the_last_rounding() {
        for step in 0..40_000 {
            let x = (step as f32 - 20_000.0) / 100.0;
            for most in [3.0_f32, 30.0, 50.0] {
                let mut capped = [x];
                super::cap(&mut capped, most);
                let exact = f64::from(most) * (f64::from(x) / f64::from(most)).tanh();
                let off = (f64::from(capped[0]) - exact).abs();
                assert!(
                    off <= 3.0 * f64::from(f32::EPSILON) * exact.abs(),
                    "{x} {most}: {off}"
                );
            }
        }
    }

    use super::*;

    fn check(name: &str, f: fn(&mut [f32]), reference: impl Fn(f64) -> f64) {
        let inputs: Vec<f32> = (-12_000..=12_000).map(|i| i as f32 / 1000.0).collect();
        let mut outputs = inputs.clone();
        f(&mut outputs);
        for (x, got) in inputs.iter().zip(outputs) {
            let expected = reference(f64::from(*x));
            assert!(
                (f64::from(got) - expected).abs() <= 3e-7 * (1.0 + x.abs() as f64),
                "{name}({x}) = {got}, not {expected}"
            );
        }
    }

    #[test]
    fn activations_agree_with_f64() {
        check("gelu_tanh", gelu_tanh, |x| {
            0.5 * x
                * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
        });
        check("gelu", gelu, |x| {
            0.5 * x * (1.0 + libm::erf(x / 2f64.sqrt()))
        });
        check("silu", silu, |x| x / (1.0 + (-x).exp()));
        check("relu", relu, |x| x.max(0.0));
    }

    #[test]
    fn activations_keep_what_is_not_a_number() {
        let check = |name: &str, f: &dyn Fn(&mut [f32])| {
            let mut values = [1.0, f32::NAN, -1.0];
            f(&mut values);
            assert_eq!(values.map(f32::is_nan), [false, true, false], "{name}");
        };
        check("gelu_tanh", &|values| gelu_tanh(values));
        check("gelu", &|values| gelu(values));
        check("silu", &|values| silu(values));
        check("relu", &|values| relu(values));
    }

    #[test]
    fn products_and_sums_are_elementwise() {
        let mut values = [1.0, 2.0, 3.0];
        multiply(&mut values, &[2.0, 0.5, -1.0]);
        assert_eq!(values, [2.0, 1.0, -3.0]);
        add_scaled(&mut values, 0.5, &[2.0, 4.0, 6.0]);
        assert_eq!(values, [3.0, 3.0, 0.0]);
    }
}
