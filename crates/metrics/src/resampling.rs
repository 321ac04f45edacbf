//! Bootstrap intervals for any statistic of independent units, all from the same resamples.

use crate::MetricsError;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// With fewer units, their variation is too uncertain.
const FEWEST: usize = 5;
/// Draws of [`Resamples::of`].
const DRAWS: usize = 2000;

/// Resamples of independent units (sequences, items, words or pairs): each resample draws as many units as there are, with
/// replacement.
///
/// A statistic is a function of how many times each unit was drawn. All schedules, curves and contrasts use the same draws, so
/// anything paired or selected in the statistic is paired or selected in every resample.
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
    draws: usize,
}

/// A 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Interval {
    /// The statistic with each unit counted once.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
    /// The number of draws in which the statistic is defined.
    pub draws: usize,
}

impl Resamples {
    /// Makes 2,000 draws of `units` units.
    ///
    /// # Errors
    /// There are fewer than 5 units.
    pub fn of(units: usize, seed: u64) -> Result<Self, MetricsError> {
        if units < FEWEST {
            return Err(MetricsError::TooFewUnits {
                least: FEWEST,
                found: units,
            });
        }
        Ok(Self {
            units,
            seed,
            draws: DRAWS,
        })
    }

    /// Sets the number of draws.
    #[must_use]
    pub fn drawing(self, draws: usize) -> Self {
        Self { draws, ..self }
    }

    /// The number of units.
    pub fn units(&self) -> usize {
        self.units
    }

    /// Calls `visit` for each draw with the number of times each unit occurs.
    fn each(&self, mut visit: impl FnMut(&[u32])) {
        let mut times = vec![0_u32; self.units];
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        for _ in 0..self.draws {
            times.fill(0);
            for _ in 0..self.units {
                // Each unit's share of 2³² differs from the others' by at most one part in 2³²/units.
                let unit = (u64::from(random.next_u32()) * self.units as u64) >> 32;
                times[unit as usize] += 1;
            }
            visit(&times);
        }
    }

    /// For each draw, the sums of some numbers over the drawn units; each of `columns` has one number per unit.
    ///
    /// # Panics
    /// If a column has another number of units.
    pub fn sums(&self, columns: &[&[f64]]) -> Vec<Vec<f64>> {
        assert!(columns.iter().all(|column| column.len() == self.units));
        let mut drawn = Vec::with_capacity(self.draws);
        let mut weights = vec![0.0; self.units];
        self.each(|times| {
            for (weight, times) in weights.iter_mut().zip(times) {
                *weight = f64::from(*times);
            }
            let sum = |column: &&[f64]| -> f64 {
                let pairs = column.iter().zip(&weights);
                pairs.map(|(value, weight)| value * weight).sum()
            };
            drawn.push(columns.iter().map(sum).collect());
        });
        drawn
    }

    /// The interval of a statistic, which is called with the number of times each unit occurs. Draws in which it is not defined
    /// are left out.
    ///
    /// # Errors
    /// As [`Draws::of`].
    pub fn interval(
        &self,
        mut statistic: impl FnMut(&[u32]) -> Option<f64>,
    ) -> Result<Interval, MetricsError> {
        let value = statistic(&vec![1; self.units]);
        let mut drawn = Vec::with_capacity(self.draws);
        self.each(|times| drawn.push(statistic(times)));
        Ok(Draws::of(self.units, value, &drawn)?.interval())
    }
}

/// The values of a statistic in all draws, ascending.
///
/// ```
/// use layerwise_metrics::Draws;
///
/// // A statistic of 1,000 units: 0.5 on all of them, and 0, 0.01, …, 0.99 on a hundred resamples.
/// let drawn: Vec<Option<f64>> = (0..100).map(|at| Some(f64::from(at) / 100.0)).collect();
/// let draws = Draws::of(1000, Some(0.5), &drawn)?;
/// let interval = draws.interval();
/// assert!(interval.low < 0.05 && interval.high > 0.9);
/// assert!(draws.at_most(0.0) < 0.05); // p-values: the true value is hardly 0,
/// assert!(draws.at_most(0.4) > 0.05); // but may be 0.4
/// # Ok::<(), layerwise_metrics::MetricsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Draws {
    units: usize,
    value: f64,
    drawn: Vec<f64>,
}

impl Draws {
    /// From a statistic on all units, each once, and its value in each draw; draws in which it is not defined are left out.
    ///
    /// # Errors
    /// The statistic is undefined or not finite with each unit counted once, or in more than one draw in twenty.
    pub fn of(
        units: usize,
        value: Option<f64>,
        drawn: &[Option<f64>],
    ) -> Result<Self, MetricsError> {
        let finite = |value: &f64| value.is_finite();
        let draws = drawn.len();
        let mut drawn: Vec<f64> = drawn.iter().flatten().copied().filter(finite).collect();
        match value.filter(finite) {
            Some(value) if 20 * drawn.len() >= 19 * draws && !drawn.is_empty() => {
                drawn.sort_by(f64::total_cmp);
                Ok(Self {
                    units,
                    value,
                    drawn,
                })
            }
            _ => Err(MetricsError::UndefinedStatistic {
                defined: drawn.len(),
                draws,
            }),
        }
    }

    /// The statistic with each unit counted once.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// The 95 % interval.
    ///
    /// It is the percentile interval (Efron 1979) with the ends moved outwards as in a t interval, for small numbers of units.
    /// The share left out on each side is Φ(−√(n/(n−1))·t), with t the quantile of Student's distribution of n − 1 degrees of
    /// freedom (Hesterberg 2015, The American Statistician 69, section 3.2). For many units it is the plain percentile interval.
    pub fn interval(&self) -> Interval {
        let outside = normal(-self.widening() * student(self.units as f64 - 1.0, Z));
        let last = self.drawn.len() - 1;
        // The largest k for which (k + 1)/(B + 1) is within the share to leave out, as `at_most` counts.
        let beyond = (outside * (self.drawn.len() as f64 + 1.0)).floor() as usize;
        let at = beyond.saturating_sub(1).min(last / 2);
        Interval {
            value: self.value,
            low: self.drawn[at],
            high: self.drawn[last - at],
            draws: self.drawn.len(),
        }
    }

    /// √(n/(n−1)).
    fn widening(&self) -> f64 {
        let n = self.units as f64;
        (n / (n - 1.0)).sqrt()
    }

    /// The one-sided p-value against a true value of at most `bound`: the share that the interval would have to leave out on a
    /// side for its lower end to reach the bound. With k of B draws at or below the bound, this is the share (k + 1)/(B + 1),
    /// adjusted for few units as the interval is. Beyond all draws, it is the tail of a normal distribution with the draws'
    /// standard deviation.
    pub fn at_most(&self, bound: f64) -> f64 {
        self.tail(
            self.value - bound,
            self.drawn.partition_point(|drawn| *drawn <= bound),
        )
    }

    /// The same against a true value below `bound`: draws at the bound do not count.
    pub fn below(&self, bound: f64) -> f64 {
        self.tail(
            self.value - bound,
            self.drawn.partition_point(|drawn| *drawn < bound),
        )
    }

    /// The same against a true value of at least `bound`.
    pub fn at_least(&self, bound: f64) -> f64 {
        let below = self.drawn.partition_point(|drawn| *drawn < bound);
        self.tail(bound - self.value, self.drawn.len() - below)
    }

    /// The same against a true value above `bound`: draws at the bound do not count.
    pub fn above(&self, bound: f64) -> f64 {
        let others = self.drawn.partition_point(|drawn| *drawn <= bound);
        self.tail(bound - self.value, self.drawn.len() - others)
    }

    fn tail(&self, room: f64, count: usize) -> f64 {
        let n = self.drawn.len() as f64;
        let mean = self.drawn.iter().sum::<f64>() / n;
        let squares: f64 = self.drawn.iter().map(|drawn| (drawn - mean).powi(2)).sum();
        let deviation = (squares / n).sqrt();
        if count == 0 && deviation > 0.0 {
            // Beyond all draws, the tail of a normal distribution with their standard deviation.
            let scale = Z / (self.widening() * student(self.units as f64 - 1.0, Z));
            return normal(-scale * room / deviation).min(1.0 / (n + 1.0));
        }
        let share = (count as f64 + 1.0) / (self.drawn.len() as f64 + 1.0);
        if share >= 0.5 {
            return share.min(1.0);
        }
        // The normal quantile whose widened t quantile leaves out the share.
        let (mut low, mut high) = (0.0, 40.0);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            match normal(-self.widening() * student(self.units as f64 - 1.0, middle)) > share {
                true => low = middle,
                false => high = middle,
            }
        }
        normal(-low)
    }
}

/// The standard normal distribution function.
pub(crate) fn normal(x: f64) -> f64 {
    libm::erfc(-x / std::f64::consts::SQRT_2) / 2.0
}

/// The quantile of the normal distribution with 2.5 % above it.
const Z: f64 = 1.959_963_984_540_054;

/// Half the width of a mean's 95 % interval, in standard errors: the quantile of Student's distribution if the number of units is
/// known, otherwise the normal quantile.
///
/// ```
/// use layerwise_metrics::errors_in_interval;
///
/// assert!((errors_in_interval(None) - 1.96).abs() < 0.001);
/// assert!(errors_in_interval(Some(5)) > 2.7); // Student's distribution of 4 degrees of freedom
/// ```
pub fn errors_in_interval(units: Option<u64>) -> f64 {
    estimated_errors(Z, units)
}

/// The number of standard errors beyond which a mean lies as rarely as a normal variable beyond `errors`: more of them if the
/// standard error is estimated from a known number of units, by Student's distribution.
pub fn estimated_errors(errors: f64, units: Option<u64>) -> f64 {
    match units {
        Some(units) if units > 1 => student(units as f64 - 1.0, errors),
        _ => errors,
    }
}

/// The one-sided p-value of a normal variable that lies `errors` standard errors beyond a bound.
pub fn one_sided(errors: f64) -> f64 {
    normal(-errors)
}

/// The quantile of Student's distribution with the same tail as `z` of the normal distribution: exact for 1 degree of freedom,
/// otherwise accurate to 1 % at 2.5 % (Abramowitz and Stegun 26.7.5).
fn student(degrees: f64, z: f64) -> f64 {
    if degrees <= 1.0 {
        return (std::f64::consts::PI * (normal(z) - 0.5)).tan();
    }
    let power = |exponent: i32| z.powi(exponent);
    let terms = [
        (power(3) + z) / 4.0,
        (5.0 * power(5) + 16.0 * power(3) + 3.0 * z) / 96.0,
        (3.0 * power(7) + 19.0 * power(5) + 17.0 * power(3) - 15.0 * z) / 384.0,
        (79.0 * power(9) + 776.0 * power(7) + 1482.0 * power(5) - 1920.0 * power(3) - 945.0 * z)
            / 92_160.0,
    ];
    // Horner's scheme in 1/degrees.
    let sum = terms
        .iter()
        .rev()
        .fold(0.0, |sum, term| (sum + term) / degrees);
    z + sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gaussian::gaussian;

    #[test]
    fn quantiles_are_those_of_tables() {
        for (degrees, expected) in [
            (1.0, 12.706),
            (2.0, 4.303),
            (4.0, 2.776),
            (5.0, 2.571),
            (9.0, 2.262),
            (19.0, 2.093),
            (99.0, 1.984),
            (1e9, 1.960),
        ] {
            let found = student(degrees, Z);
            assert!((found / expected - 1.0).abs() < 0.01, "{degrees}: {found}");
        }
        assert!((normal(1.0) - 0.841_344_746).abs() < 1e-9);
        // The tail of a twentieth of the share, at 4 degrees of freedom.
        let found = estimated_errors(3.023_341, Some(5));
        assert!((found / 6.758 - 1.0).abs() < 0.01, "{found}");
    }

    /// The percentage of simulated samples whose interval contains the true value.
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

    /// The mean of the first numbers of each pair.
    fn mean(sample: &[[f64; 2]], times: &[u32]) -> f64 {
        let pairs = sample.iter().zip(times);
        let sum: f64 = pairs.map(|([x, _], times)| x * f64::from(*times)).sum();
        sum / sample.len() as f64
    }

    /// The sum of the first numbers divided by the sum of the second.
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
        // Accuracies of 0.3 on items of equal size.
        let right = |random: &mut ChaCha8Rng| [f64::from(random.next_u32() < 1_288_490_189), 0.0];
        check("accuracy", coverage(200, 0.3, 2, right, mean));
        // Errors per word, for utterances of unequal length.
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
    fn sums_are_those_of_the_draws() {
        let resamples = Resamples::of(6, 5).unwrap().drawing(50);
        let values = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5];
        let mut drawn = Vec::new();
        let told = resamples.interval(|times| {
            let pairs = values.iter().zip(times);
            drawn.push(pairs.map(|(value, times)| value * f64::from(*times)).sum());
            drawn.last().copied()
        });
        told.unwrap();
        let sums = resamples.sums(&[&values, &[1.0; 6]]);
        let first: Vec<f64> = sums.iter().map(|sums| sums[0]).collect();
        assert_eq!(first, drawn[1..]);
        assert!(sums.iter().all(|sums| sums[1] == 6.0));
    }

    #[test]
    fn p_is_where_the_interval_ends() {
        for units in [6, 1000] {
            let drawn: Vec<Option<f64>> = (0..2000).map(|at| Some(f64::from(at))).collect();
            let draws = Draws::of(units, Some(1000.0), &drawn).unwrap();
            let ends = draws.interval();
            for p in [draws.at_most(ends.low), draws.at_least(ends.high)] {
                assert!((p - 0.025).abs() < 0.002, "{units}: {p}");
            }
            assert!(draws.at_most(-1.0) < 0.01 && draws.at_most(-1.0) > 0.0);
            assert!(draws.at_most(3000.0) > 0.99 && draws.at_least(3000.0) < 0.01);
        }
    }

    #[test]
    fn draws_at_the_bound_are_neither_below_nor_above() {
        // Three of a hundred draws are at 0.25 and three at 0.75; none is beyond.
        let drawn: Vec<Option<f64>> = (0..100)
            .map(|at| match at {
                0..=2 => Some(0.25),
                97.. => Some(0.75),
                _ => Some(0.5),
            })
            .collect();
        let draws = Draws::of(1000, Some(0.5), &drawn).unwrap();
        for (with, without) in [
            (draws.at_most(0.25), draws.below(0.25)),
            (draws.at_least(0.75), draws.above(0.75)),
        ] {
            assert!(with > 0.03 && without < 0.01, "{with} {without}");
        }
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
