//! exp, tanh and erf in f32, written so that the compiler vectorises them.

/// eˣ in f32, within 2 units in the last place. Arguments are clamped to −87.3..=88.3, so that the result is finite and above 0;
/// NaN stays NaN.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // `clamp` passes NaN through; `max` and `min` would not.
    let x = x.clamp(-87.336_54, 88.3);
    // x = n·ln 2 + r with |r| ≤ ln 2 / 2. Adding and then subtracting 1.5·2²³ rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-0.693_145_75, x);
    let r = n.mul_add(-1.428_606_8e-6, r);
    let mut p = 1.987_569_2e-4_f32;
    p = p.mul_add(r, 1.398_2e-3);
    p = p.mul_add(r, 8.333_452e-3);
    p = p.mul_add(r, 4.166_579_6e-2);
    p = p.mul_add(r, 1.666_666_5e-1);
    p = p.mul_add(r, 0.5);
    let y = p.mul_add(r * r, r) + 1.0;
    // 2ⁿ is built from its exponent bits. The clamp keeps n in −126..=127, and the low bits of `shifted` hold n.
    let bits = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    let scale = f32::from_bits(bits.wrapping_add(127) << 23);
    y * scale
}

/// tanh x in f32, to about 1e-7 absolute.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (1.0 + exp(2.0 * x))
}

/// The error function in f32, within about 1 unit in the last place: a minimax polynomial near 0, 1 − e^(−p) elsewhere.
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let t = x.abs();
    let s = x * x;
    let mut tail = (-1.728_534_7e-5_f32).mul_add(t, 3.831_972_6e-4);
    let u = (-3.883_964_4e-3_f32).mul_add(t, 2.425_462_2e-2);
    tail = tail.mul_add(s, u);
    tail = tail.mul_add(t, -1.067_778_8e-1);
    tail = tail.mul_add(t, -6.348_468_7e-1);
    tail = tail.mul_add(t, -1.287_175_1e-1);
    tail = tail.mul_add(t, -t);
    let tail = (1.0 - exp(tail)).copysign(x);
    let mut near = -5.967_617e-4_f32;
    near = near.mul_add(s, 4.991_194_2e-3);
    near = near.mul_add(s, -2.676_813_5e-2);
    near = near.mul_add(s, 1.128_199_25e-1);
    near = near.mul_add(s, -3.761_253_4e-1);
    near = near.mul_add(s, 1.283_791_7e-1);
    let near = near.mul_add(x, x);
    if t > 0.927_734_4 { tail } else { near }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        name: &str,
        f: impl Fn(f32) -> f32,
        reference: impl Fn(f64) -> f64,
        from: f32,
        to: f32,
        absolute: f64,
        relative: f64,
    ) {
        let steps = 200_000;
        for i in 0..=steps {
            let x = from + (to - from) * (i as f32 / steps as f32);
            let (got, expected) = (f64::from(f(x)), reference(f64::from(x)));
            assert!(
                (got - expected).abs() <= absolute + relative * expected.abs(),
                "{name}({x}) = {got}, not {expected}"
            );
        }
    }

    #[test]
    fn elementary_functions_agree_with_f64() {
        check("exp", exp, f64::exp, -87.0, 88.0, 0.0, 2.5e-7);
        check("exp near 0", exp, f64::exp, -1.0, 1.0, 0.0, 1.5e-7);
        check("tanh", tanh, f64::tanh, -20.0, 20.0, 2e-7, 0.0);
        check("erf", erf, libm::erf, -6.0, 6.0, 0.0, 2.5e-7);
    }

    #[test]
    fn exp_keeps_to_its_limits() {
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NEG_INFINITY) < 1.2e-38);
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(1e9).is_finite());
    }
}
