//! Which vector instructions the processor has, and how code is compiled for each set of them.

use std::sync::OnceLock;

/// The set that kernels run on: fixed by the first kernel that runs, or before by [`limit_instructions`].
static CHOSEN: OnceLock<InstructionSet> = OnceLock::new();

/// Why instructions are not limited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// This processor has no set of that name.
    #[error("expected an instruction set of this processor ({available}), found `{found:.50}`")]
    Unavailable {
        /// The name that was given.
        found: String,
        /// The names of this processor's sets, the widest first.
        available: String,
    },
    /// A kernel has run, and its bits are those of another set.
    #[error(
        "kernels run on {chosen} already; limit the instructions before the first of them runs"
    )]
    InUse {
        /// The set in use.
        chosen: &'static str,
    },
}

/// A set of vector instructions. Each set contains those listed after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InstructionSet {
    /// AVX-512 with the product of bf16 pairs, `vdpbf16ps`.
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 with FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What the compiler may assume of every processor of the target.
    Portable,
}

impl InstructionSet {
    /// The set that kernels run on.
    pub(crate) fn detect() -> Self {
        *CHOSEN.get_or_init(Self::widest)
    }

    /// The widest set that this processor and its operating system support.
    fn widest() -> Self {
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

    /// Every set that this processor supports, the narrowest first.
    pub(crate) fn available() -> Vec<Self> {
        let mut sets = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if Self::widest() != Self::Portable {
                sets.push(Self::Avx2);
            }
            if matches!(Self::widest(), Self::Avx512 | Self::Avx512Bf16) {
                sets.push(Self::Avx512);
            }
            if Self::widest() == Self::Avx512Bf16 {
                sets.push(Self::Avx512Bf16);
            }
        }
        sets
    }

    /// What f32 code of the set runs on.
    fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 | Self::Avx512 => "avx512f",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2+fma",
            Self::Portable if cfg!(target_arch = "aarch64") => "neon",
            Self::Portable => "portable",
        }
    }
}

/// The instruction set that f32 code runs on, for manifests: `avx512f`, `avx2+fma`, `neon` or `portable`.
pub fn cpu_features() -> &'static str {
    InstructionSet::detect().name()
}

/// Limits kernels to an instruction set, by a name of [`cpu_features`], so that processors that differ give the same bits.
///
/// # Errors
/// This processor does not have the set, or a kernel has run on another one.
///
/// ```
/// use layerwise_kernels::{cpu_features, limit_instructions};
///
/// let narrowest = if cfg!(target_arch = "aarch64") { "neon" } else { "portable" };
/// limit_instructions(narrowest)?;
/// assert_eq!(cpu_features(), narrowest);
/// # Ok::<(), layerwise_kernels::LimitError>(())
/// ```
pub fn limit_instructions(name: &str) -> Result<(), LimitError> {
    let available = InstructionSet::available();
    let Some(set) = available.iter().rev().find(|set| set.name() == name) else {
        let mut names: Vec<&str> = available.iter().rev().map(|set| set.name()).collect();
        names.dedup();
        return Err(LimitError::Unavailable {
            found: name.to_owned(),
            available: names.join(", "),
        });
    };
    let chosen = CHOSEN.get_or_init(|| *set);
    match chosen == set {
        true => Ok(()),
        false => Err(LimitError::InUse {
            chosen: chosen.name(),
        }),
    }
}

/// `avx512bf16` if the processor multiplies bf16 pairs in hardware.
///
/// Without it products in bf16 give the same bits, slowly.
pub fn bf16_features() -> Option<&'static str> {
    match InstructionSet::detect() {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512Bf16 => Some("avx512bf16"),
        _ => None,
    }
}

/// Compiles each function once for every instruction set, and runs the copy for the widest set of this processor.
///
/// The body is ordinary code, which the compiler vectorises.
/// Whatever the body calls must be `#[inline(always)]`, or it is compiled without the instructions.
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

                #[allow(unsafe_code, reason = "calls a function compiled for detected instructions")]
                // SAFETY: each copy is called only if its instructions were detected.
                unsafe {
                    use $crate::cpu::InstructionSet;
                    match InstructionSet::detect() {
                        InstructionSet::Avx512Bf16 | InstructionSet::Avx512 => return avx512($($arg),*),
                        InstructionSet::Avx2 => return avx2($($arg),*),
                        InstructionSet::Portable => {}
                    }
                }
            }
            body($($arg),*)
        }
    )*};
}
pub(crate) use vectorized;

/// Prefetches one value of a slice into the L1 cache. An index past the end is harmless.
#[inline(always)]
pub(crate) fn prefetch(values: &[f32], at: usize) {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code, reason = "a prefetch takes a raw address")]
    // SAFETY: SSE is part of x86-64, and a prefetch of any address is harmless.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().wrapping_add(at).cast());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_names_follow_from_the_detected_features() {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = avx2 && is_x86_feature_detected!("avx512f");
        let bf16 = avx512 && is_x86_feature_detected!("avx512bf16");
        let expected = match (avx512, avx2) {
            (true, _) => "avx512f",
            (false, true) => "avx2+fma",
            (false, false) => "portable",
        };
        assert_eq!(cpu_features(), expected);
        assert_eq!(bf16_features(), bf16.then_some("avx512bf16"));
        // Tests share a process, so that the set in use is the only one that can be asked for.
        limit_instructions(expected).unwrap();
        let refused = limit_instructions("avx9").unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
        if expected != "portable" {
            let refused = limit_instructions("portable").unwrap_err();
            assert_eq!(refused, LimitError::InUse { chosen: expected });
        }
    }
}
