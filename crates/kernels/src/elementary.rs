//! Elementary functions written so that the compiler can vectorise them, and the dispatch they run under.

/// Defines functions that are compiled once for each instruction set, and run in the widest one that the machine has.
///
/// The body is ordinary code. What it calls must be `#[inline(always)]` to be compiled along with it.
macro_rules! vectorized {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block)*) => {$(
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            fn body($($arg: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx2,fma")]
                fn avx512($($arg: $type),*) $(-> $result)? {
                    body($($arg),*)
                }

                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $type),*) $(-> $result)? {
                    body($($arg),*)
                }

                #[allow(unsafe_code, reason = "calling a function compiled for detected instructions")]
                // SAFETY: each function is called only where its instructions were detected.
                unsafe {
                    match $crate::microkernel::Kernel::detect() {
                        $crate::microkernel::Kernel::Avx512Bf16 | $crate::microkernel::Kernel::Avx512 => return avx512($($arg),*),
                        $crate::microkernel::Kernel::Avx2 => return avx2($($arg),*),
                        $crate::microkernel::Kernel::Portable => {}
                    }
                }
            }
            body($($arg),*)
        }
    )*};
}
pub(crate) use vectorized;

use crate::microkernel::Kernel;

/// The instruction set in use in f32, for manifests: `avx512f`, `avx2+fma`, `neon` or `portable`.
pub fn cpu_features() -> &'static str {
    match Kernel::detect() {
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx512Bf16 | Kernel::Avx512 => "avx512f",
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx2 => "avx2+fma",
        Kernel::Portable if cfg!(target_arch = "aarch64") => "neon",
        Kernel::Portable => "portable",
    }
}

/// The instruction set that products in bf16 run on, `avx512bf16`, where the machine has it.
///
/// Elsewhere such products give the same numbers, slowly.
pub fn bf16_features() -> Option<&'static str> {
    match Kernel::detect() {
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx512Bf16 => Some("avx512bf16"),
        _ => None,
    }
}

/// eˣ in f32, within 2 units in the last place; 0 below −87.3, at most e^88.3 above 88.3; NaN stays NaN.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Written so that NaN passes through, as `clamp` lets it.
    let x = x.clamp(-87.336_54, 88.3);
    // x = n·ln 2 + r with |r| ≤ ln 2 / 2; adding and subtracting 1.5·2²³ rounds to the nearest integer.
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
    // 2ⁿ is put together from its exponent bits: n is in −126..=127 after the clamp, and the low bits of `shifted` hold n.
    let bits = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    let scale = f32::from_bits(bits.wrapping_add(127) << 23);
    y * scale
}

/// tanh x in f32, to about 1e-7 absolute.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (1.0 + exp(2.0 * x))
}

/// The error function in f32, within about one unit in the last place (a minimax polynomial near 0, 1 − e^(−p) elsewhere).
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

    #[test]
    fn the_instruction_set_has_a_name() {
        assert!(["avx512f", "avx2+fma", "neon", "portable"].contains(&cpu_features()));
    }
}
