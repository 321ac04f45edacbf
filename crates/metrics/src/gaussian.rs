//! Draws from the normal distribution.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A source of normal numbers, for simulations: the same numbers for the same seed.
///
/// ```
/// use layerwise_metrics::Gaussian;
///
/// let mut random = Gaussian::seeded(1);
/// let drawn = random.around(&[5.0; 1000], 0.1);
/// let mean = drawn.iter().sum::<f64>() / 1000.0;
/// assert!((mean - 5.0).abs() < 0.02);
/// assert_eq!(drawn, Gaussian::seeded(1).around(&[5.0; 1000], 0.1));
/// ```
#[derive(Clone, Debug)]
pub struct Gaussian(ChaCha8Rng);

impl Gaussian {
    /// A source with a seed.
    pub fn seeded(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A draw from the uniform distribution between 0 and 1, which are excluded.
    pub fn uniform(&mut self) -> f64 {
        uniform(&mut self.0)
    }

    /// A draw from the standard normal distribution (Box and Muller).
    pub fn draw(&mut self) -> f64 {
        gaussian(&mut self.0)
    }

    /// A draw around each of some means, with this standard deviation.
    pub fn around(&mut self, means: &[f64], deviation: f64) -> Vec<f64> {
        let drawn = means.iter().map(|mean| mean + deviation * self.draw());
        drawn.collect()
    }
}

fn uniform(random: &mut ChaCha8Rng) -> f64 {
    (f64::from(random.next_u32()) + 0.5) / 4_294_967_296.0
}

/// A draw from the standard normal distribution.
pub(crate) fn gaussian(random: &mut ChaCha8Rng) -> f64 {
    (-2.0 * uniform(random).ln()).sqrt() * (std::f64::consts::TAU * uniform(random)).cos()
}
