//! Population moments of streamed values.

/// Number of partial sums: independent additions in one fixed order, which vectorise.
const LANES: usize = 8;

/// Mean, variance, skewness and kurtosis of values that arrive in pieces.
///
/// With E the mean over all n values, μ = E\[c\] and σ² = E\[(c − μ)²\] (divided by n, not n − 1),
///
/// - skewness is E\[((c − μ)/σ)³\],
/// - kurtosis is E\[((c − μ)/σ)⁴\], not the excess over a normal distribution's 3.
///
/// These moments identify prediction and suppression neurons (paper B.9 and section E, "Universal neurons").
///
/// Each piece is summed about its own mean, and pieces are merged by the update formulas of Pébay (2008). So a mean that is large
/// beside σ loses no digits.
/// The same pieces merged in the same order give the same bits; another order agrees within rounding.
/// Fourth powers of deviations must stay in the range of `f64`.
///
/// NaN and infinities give NaN.
///
/// ```
/// use layerwise_metrics::Moments;
///
/// let mut moments = Moments::of(&[1.0_f32, 1.0]);
/// assert_eq!((moments.variance(), moments.kurtosis()), (Some(0.0), None));
/// moments.merge(&Moments::of(&[-1.0_f32, -1.0]));
/// assert_eq!((moments.mean(), moments.variance()), (Some(0.0), Some(1.0)));
/// assert_eq!((moments.skewness(), moments.kurtosis()), (Some(0.0), Some(1.0)));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    count: u64,
    mean: f64,
    /// Σ(c − μ)², Σ(c − μ)³ and Σ(c − μ)⁴.
    squares: f64,
    cubes: f64,
    fourths: f64,
}

impl Moments {
    /// The moments of one piece, which may be empty.
    pub fn of(values: &[impl Copy + Into<f64>]) -> Self {
        let Some(&first) = values.first() else {
            return Self::default();
        };
        // Subtracted first, so that equal values have deviations of exactly zero.
        let first: f64 = first.into();
        let count = values.len() as f64;
        let [offset] = sums(values, |value| [value - first]);
        let offset = offset / count;
        let [squares, cubes, fourths] = sums(values, |value| {
            let deviation = value - first - offset;
            let square = deviation * deviation;
            [square, square * deviation, square * square]
        });
        Self {
            count: values.len() as u64,
            mean: first + offset,
            squares,
            cubes,
            fourths,
        }
    }

    /// Adds the values of another piece.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let (m, n) = (self.count as f64, other.count as f64);
        let total = m + n;
        let distance = other.mean - self.mean;
        let (m_share, n_share) = (m / total, n / total);
        let between = distance * distance * m * n_share;
        self.fourths += other.fourths
            + between
                * distance
                * distance
                * (m_share * m_share - m_share * n_share + n_share * n_share)
            + 6.0
                * distance
                * distance
                * (m_share * m_share * other.squares + n_share * n_share * self.squares)
            + 4.0 * distance * (m_share * other.cubes - n_share * self.cubes);
        self.cubes += other.cubes
            + between * distance * (m_share - n_share)
            + 3.0 * distance * (m_share * other.squares - n_share * self.squares);
        self.squares += other.squares + between;
        self.mean += distance * n_share;
        self.count = self.count.saturating_add(other.count);
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// μ, in the values' unit, or `None` without values.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean)
    }

    /// σ², in the values' unit squared, or `None` without values.
    pub fn variance(&self) -> Option<f64> {
        (self.count > 0).then(|| self.squares / self.count as f64)
    }

    /// E\[((c − μ)/σ)³\], without unit, or `None` if σ is 0 or there are no values.
    pub fn skewness(&self) -> Option<f64> {
        let variance = self.variance().filter(|&variance| variance != 0.0)?;
        Some(self.cubes / self.count as f64 / (variance * variance.sqrt()))
    }

    /// E\[((c − μ)/σ)⁴\], without unit and at least 1, or `None` if σ is 0 or there are no values.
    pub fn kurtosis(&self) -> Option<f64> {
        let variance = self.variance().filter(|&variance| variance != 0.0)?;
        Some(self.fourths / self.count as f64 / (variance * variance))
    }
}

/// Sums N terms of each value, over a fixed number of lanes in one order.
fn sums<const N: usize>(
    values: &[impl Copy + Into<f64>],
    terms: impl Fn(f64) -> [f64; N],
) -> [f64; N] {
    let mut lanes = [[0.0; LANES]; N];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            let terms = terms(chunk[lane].into());
            for (sums, term) in lanes.iter_mut().zip(terms) {
                sums[lane] += term;
            }
        }
    }
    for (lane, &value) in rest.iter().enumerate() {
        for (sums, term) in lanes.iter_mut().zip(terms(value.into())) {
            sums[lane] += term;
        }
    }
    lanes.map(|sums| sums.iter().sum())
}
