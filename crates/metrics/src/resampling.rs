//! Intervals of any statistic of independent units, from the same resamples for all.

use crate::MetricsError;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Fewer units say too little about how they vary.
const FEWEST: usize = 5;
/// Draws of [`Resamples::of`].
const DRAWS: usize = 2000;
/// The share of draws that the interval leaves out, on both sides together.
const OUTSIDE: f64 = 0.05;

/// Units drawn with replacement, as often as there are units, many times: sequences, items, words or pairs, whichever are
/// independent of each other.
///
/// A statistic is a function of how often each unit was drawn. The same draws serve every schedule, curve and contrast, so
/// that what is paired or selected in the statistic is so in every resample.
///
/// ```
/// use layerwise_metrics::Resamples;
///
/// let losses = [2.0, 2.5, 1.5, 3.0, 2.0, 2.25];
/// let mean = |times: &[u32]| {
///     let sum: f64 = losses.iter().zip(times).map(|(loss, times)| loss * f64::from(*times)).sum();
///     Some(sum / losses.len() as f64)
/// };
/// let interval = Resamples::of(losses.len(), 0)?.interval(mean)?;
/// assert!(interval.low < interval.value && interval.value < interval.high);
/// # Ok::<(), layerwise_metrics::MetricsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resamples {
    units: usize,
    seed: u64,
}

/// An interval of 95 %.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Interval {
    /// The statistic of all units, each once.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Draws in which the statistic is defined.
    pub draws: usize,
}

impl Resamples {
    /// 2,000 draws of so many units.
    ///
    /// # Errors
    /// Fewer than 5 units.
    pub fn of(units: usize, seed: u64) -> Result<Self, MetricsError> {
        if units < FEWEST {
            return Err(MetricsError::TooFewUnits {
                least: FEWEST,
                found: units,
            });
        }
        Ok(Self { units, seed })
    }

    /// The units.
    pub fn units(&self) -> usize {
        self.units
    }

    /// The interval of a statistic, which is told how often each unit comes; draws in which it is not defined are left out.
    ///
    /// It is the percentile interval (Efron 1979) with the ends moved out as a t interval's are where units are few: the
    /// share left out on a side is Φ(−√(n/(n−1))·t), t the quantile of Student's distribution of n − 1 degrees (Hesterberg
    /// 2015, The American Statistician 69, section 3.2). For many units that is the plain percentile interval.
    ///
    /// # Errors
    /// A statistic that is not defined, or not finite, where each unit comes once, or in more than one draw in twenty.
    pub fn interval(
        &self,
        mut statistic: impl FnMut(&[u32]) -> Option<f64>,
    ) -> Result<Interval, MetricsError> {
        let finite = |value: &f64| value.is_finite();
        let mut times = vec![1_u32; self.units];
        let value = statistic(&times).filter(finite);
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut drawn = Vec::with_capacity(DRAWS);
        for _ in 0..DRAWS {
            times.fill(0);
            for _ in 0..self.units {
                // A unit's share of 2³² differs from the others' by one part in 2³²/units.
                let unit = (u64::from(random.next_u32()) * self.units as u64) >> 32;
                times[unit as usize] += 1;
            }
            drawn.extend(statistic(&times).filter(finite));
        }
        let (Some(value), true) = (value, 20 * drawn.len() >= 19 * DRAWS) else {
            return Err(MetricsError::UndefinedStatistic {
                defined: drawn.len(),
                draws: DRAWS,
            });
        };
        drawn.sort_by(f64::total_cmp);
        let n = self.units as f64;
        let outside = normal(-(n / (n - 1.0)).sqrt() * student(n - 1.0));
        let last = drawn.len() - 1;
        let at = ((outside * last as f64).round() as usize).min(last / 2);
        Ok(Interval {
            value,
            low: drawn[at],
            high: drawn[last - at],
            draws: drawn.len(),
        })
    }
}

/// The standard normal distribution function.
fn normal(x: f64) -> f64 {
    libm::erfc(-x / std::f64::consts::SQRT_2) / 2.0
}

/// The quantile of Student's distribution that leaves [`OUTSIDE`] out on both sides, to 1 % from 4 degrees of freedom on
/// (Abramowitz and Stegun 26.7.5).
fn student(degrees: f64) -> f64 {
    const Z: f64 = 1.959_963_984_540_054;
    debug_assert!(
        (2.0 * normal(-Z) - OUTSIDE).abs() < 1e-12,
        "the quantile of the share"
    );
    let power = |exponent: i32| Z.powi(exponent);
    let terms = [
        (power(3) + Z) / 4.0,
        (5.0 * power(5) + 16.0 * power(3) + 3.0 * Z) / 96.0,
        (3.0 * power(7) + 19.0 * power(5) + 17.0 * power(3) - 15.0 * Z) / 384.0,
        (79.0 * power(9) + 776.0 * power(7) + 1482.0 * power(5) - 1920.0 * power(3) - 945.0 * Z)
            / 92_160.0,
    ];
    // Horner's scheme in 1/degrees.
    let sum = terms
        .iter()
        .rev()
        .fold(0.0, |sum, term| (sum + term) / degrees);
    Z + sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_tables() {
        for (degrees, expected) in [
            (4.0, 2.776),
            (5.0, 2.571),
            (9.0, 2.262),
            (19.0, 2.093),
            (99.0, 1.984),
            (1e9, 1.960),
        ] {
            let found = student(degrees);
            assert!((found / expected - 1.0).abs() < 0.01, "{degrees}: {found}");
        }
        assert!((normal(1.0) - 0.841_344_746).abs() < 1e-9);
    }

    /// A draw of the standard normal distribution (Box and Muller).
    fn gaussian(random: &mut ChaCha8Rng) -> f64 {
        let mut unit = || (f64::from(random.next_u32()) + 0.5) / 4_294_967_296.0;
        (-2.0 * unit().ln()).sqrt() * (std::f64::consts::TAU * unit()).cos()
    }

    /// Per cent of simulated samples whose interval holds the true value.
    fn coverage(
        units: usize,
        truth: f64,
        seed: u64,
        mut unit: impl FnMut(&mut ChaCha8Rng) -> [f64; 2],
        statistic: impl Fn(&[[f64; 2]], &[u32]) -> f64,
    ) -> f64 {
        const SAMPLES: usize = 600;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let resamples = Resamples::of(units, seed).unwrap();
        let held = (0..SAMPLES).filter(|_| {
            let sample: Vec<[f64; 2]> = (0..units).map(|_| unit(&mut random)).collect();
            let found = resamples.interval(|times| Some(statistic(&sample, times)));
            let found = found.unwrap();
            found.low <= truth && truth <= found.high
        });
        100.0 * held.count() as f64 / SAMPLES as f64
    }

    /// The mean of the first numbers.
    fn mean(sample: &[[f64; 2]], times: &[u32]) -> f64 {
        let pairs = sample.iter().zip(times);
        let sum: f64 = pairs.map(|([x, _], times)| x * f64::from(*times)).sum();
        sum / sample.len() as f64
    }

    /// The sum of the first numbers by that of the second.
    fn ratio(sample: &[[f64; 2]], times: &[u32]) -> f64 {
        let sum = |at: usize| -> f64 {
            let pairs = sample.iter().zip(times);
            pairs
                .map(|(unit, times)| unit[at] * f64::from(*times))
                .sum()
        };
        sum(0) / sum(1)
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        let check = |what: &str, found: f64| {
            assert!((93.0..=97.0).contains(&found), "{what}: {found} %");
        };
        for units in [8, 20, 100] {
            let normal = |random: &mut ChaCha8Rng| [gaussian(random), 0.0];
            check(
                &format!("mean of {units}"),
                coverage(units, 0.0, 1, normal, mean),
            );
        }
        // Accuracies of 0.3 with items of one size.
        let right = |random: &mut ChaCha8Rng| [f64::from(random.next_u32() < 1_288_490_189), 0.0];
        check("accuracy", coverage(200, 0.3, 2, right, mean));
        // Errors by words, of utterances of unequal length.
        let utterance = |random: &mut ChaCha8Rng| {
            let words = 5 + random.next_u32() % 20;
            let errors = (0..words)
                .filter(|_| random.next_u32().is_multiple_of(10))
                .count();
            [errors as f64, f64::from(words)]
        };
        check("ratio", coverage(80, 0.1, 3, utterance, ratio));
    }

    #[test]
    fn draws_are_the_same_for_all() {
        let resamples = Resamples::of(7, 3).unwrap();
        let drawn = |resamples: Resamples| {
            let mut drawn = Vec::new();
            let told = resamples.interval(|times| {
                assert_eq!(times.iter().sum::<u32>(), 7);
                drawn.push(times.to_vec());
                Some(0.0)
            });
            told.unwrap();
            drawn
        };
        let draws = drawn(resamples.clone());
        assert_eq!(draws.len(), 1 + DRAWS);
        assert!(draws == drawn(Resamples::of(7, 3).unwrap()));
        assert!(draws != drawn(Resamples::of(7, 4).unwrap()));
        let values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0];
        let mean = |shift: f64| {
            let of = move |times: &[u32]| -> f64 {
                let pairs = values.iter().zip(times);
                pairs
                    .map(|(x, times)| (x + shift) * f64::from(*times))
                    .sum()
            };
            move |times: &[u32]| Some(of(times))
        };
        let (low, high) = (
            resamples.interval(mean(0.0)).unwrap(),
            resamples.interval(mean(10.0)).unwrap(),
        );
        assert!(
            (high.low - low.low - 70.0).abs() < 1e-9 && (high.high - low.high - 70.0).abs() < 1e-9
        );
        assert!(matches!(
            Resamples::of(4, 0),
            Err(MetricsError::TooFewUnits { least: 5, found: 4 })
        ));
        let undefined = resamples.interval(|times| (times[0] > 0).then_some(1.0));
        assert!(matches!(
            undefined,
            Err(MetricsError::UndefinedStatistic { draws: 2000, .. })
        ));
    }
}
