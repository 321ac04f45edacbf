use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Shuffles by Fisher–Yates on ChaCha8, exactly as the documentation of [`Edit`](crate::Edit#the-shuffle) specifies.
///
/// ```
/// use layerwise_schedule::{Edit, Residual, Schedule, Stack, shuffle};
///
/// let mut labels = [0, 1, 2, 3, 4];
/// shuffle(&mut labels, 7);
/// let plain = Schedule::plain(Stack::new(5, Residual::Sequential))?;
/// let permuted = format!("permute(0..5,{labels:?})").parse::<Edit>()?.apply(&plain)?;
/// assert_eq!(permuted, "shuffle(0..5,7)".parse::<Edit>()?.apply(&plain)?);
/// # Ok::<(), layerwise_schedule::ScheduleError>(())
/// ```
pub fn shuffle(labels: &mut [usize], seed: u64) {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut generator = ChaCha8Rng::from_seed(key);
    for i in (1..labels.len()).rev() {
        labels.swap(
            i,
            draw_below(i as u64 + 1, || generator.next_u64()) as usize,
        );
    }
}

/// An unbiased draw from `0..bound`, by rejection.
fn draw_below(bound: u64, mut next: impl FnMut() -> u64) -> u64 {
    // 2⁶⁴ mod bound; draws from the last, incomplete multiple of `bound` are rejected.
    let remainder = bound.wrapping_neg() % bound;
    loop {
        let drawn = next();
        if drawn <= u64::MAX - remainder {
            return drawn % bound;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffle_gives_the_golden_permutations() {
        // Computed by a separate implementation of ChaCha8 (RFC 8439 block, 8 rounds, 64-bit counter).
        let golden: [(u64, &[usize]); 3] = [
            (0, &[9, 7, 3, 4, 10, 5, 8, 0, 1, 11, 2, 6]),
            (42, &[4, 7, 0, 1, 3, 5, 8, 9, 6, 10, 2, 11]),
            (
                u64::MAX,
                &[
                    9, 13, 18, 16, 14, 2, 5, 17, 7, 22, 1, 10, 12, 20, 3, 23, 19, 11, 8, 21, 6, 4,
                    0, 15,
                ],
            ),
        ];
        for (seed, expected) in golden {
            let mut labels: Vec<usize> = (0..expected.len()).collect();
            shuffle(&mut labels, seed);
            assert_eq!(labels, expected, "seed {seed}");
        }
    }

    #[test]
    fn draws_from_the_incomplete_multiple_are_rejected() {
        // 2⁶⁴ mod 3 = 1, so only the largest draw is rejected.
        let mut draws = [u64::MAX, u64::MAX - 1].into_iter();
        assert_eq!(draw_below(3, || draws.next().unwrap()), (u64::MAX - 1) % 3);
        // A power of two rejects nothing.
        assert_eq!(draw_below(4, || u64::MAX), 3);
    }
}
