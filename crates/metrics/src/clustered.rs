//! Means over positions with standard errors clustered by sequence.

use crate::MetricsError;

/// One cluster (a sequence): the sum of its observations and their number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cluster {
    /// Sum of the observations, in the observations' unit.
    pub sum: f64,
    /// Number of observations.
    pub count: u64,
}

/// A mean over clustered observations, with its cluster-robust standard error.
///
/// Positions of one sequence are not independent, so the sequence is the unit of sampling.
/// With X_s the sum and n_s the count of cluster s, and G clusters,
///
/// - x̄ = ΣX_s / Σn_s,
/// - SE² = G/(G−1) · Σ(X_s − x̄·n_s)² / (Σn_s)²,
///
/// both in the observations' unit.
/// This is the linearised variance of a ratio of two sums; with one observation per cluster it is the usual standard error of a
/// mean. The pairs (X_s, n_s) are kept and summed in the order in which they were pushed, so that the same clusters give the same
/// bits.
///
/// A cluster without observations is kept, so that pairs stay aligned, but G does not count it.
///
/// ```
/// use layerwise_metrics::ClusteredMean;
///
/// let mut loss = ClusteredMean::new();
/// loss.push(6.0, 2); // sum over the positions of the first sequence, and their number
/// assert_eq!((loss.mean(), loss.standard_error()), (Some(3.0), None));
/// loss.push(10.0, 2);
/// assert_eq!((loss.mean(), loss.standard_error()), (Some(4.0), Some(1.0)));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClusteredMean {
    clusters: Vec<Cluster>,
}

impl ClusteredMean {
    /// A mean of no observations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one cluster: the `sum` of its `count` observations.
    pub fn push(&mut self, sum: f64, count: u64) {
        self.clusters.push(Cluster { sum, count });
    }

    /// The clusters, in the order in which they were pushed.
    pub fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }

    /// Number of observations, Σn_s.
    pub fn count(&self) -> u64 {
        let counts = self.clusters.iter().map(|cluster| cluster.count);
        counts.fold(0, u64::saturating_add)
    }

    /// The mean x̄, or `None` if there are no observations.
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        let sum: f64 = self.clusters.iter().map(|cluster| cluster.sum).sum();
        (count > 0).then(|| sum / count as f64)
    }

    /// The standard error of the mean, or `None` with fewer than two clusters that have observations.
    pub fn standard_error(&self) -> Option<f64> {
        let mean = self.mean()?;
        let sampled = self.clusters.iter().filter(|cluster| cluster.count > 0);
        let pairs = self.clusters.iter();
        let pairs = pairs.map(|cluster| (cluster.sum, cluster.count as f64));
        linearised(pairs, mean, sampled.count(), self.count() as f64)
    }

    /// The mean of the paired differences `self − other` over the same clusters.
    ///
    /// Its sums are X_s − Y_s and its counts n_s, so its standard error is that of the difference.
    ///
    /// # Errors
    ///
    /// The two must have the same number of clusters, and each cluster the same count in both.
    ///
    /// ```
    /// use layerwise_metrics::ClusteredMean;
    ///
    /// // Two texts of unlike difficulty, and a change that costs 1 nat at each of their two positions.
    /// let (mut plain, mut altered) = (ClusteredMean::new(), ClusteredMean::new());
    /// for sum in [10.0, 20.0] {
    ///     plain.push(sum, 2);
    ///     altered.push(sum + 2.0, 2);
    /// }
    /// let cost = altered.difference(&plain)?;
    /// assert_eq!((cost.mean(), cost.standard_error()), (Some(1.0), Some(0.0)));
    /// assert!(altered.standard_error() > Some(0.0));
    /// # Ok::<(), layerwise_metrics::MetricsError>(())
    /// ```
    pub fn difference(&self, other: &Self) -> Result<Self, MetricsError> {
        if self.clusters.len() != other.clusters.len() {
            return Err(MetricsError::ClusterNumbers {
                expected: self.clusters.len(),
                found: other.clusters.len(),
            });
        }
        let pairs = self.clusters.iter().zip(&other.clusters).enumerate();
        let differences = pairs.map(|(cluster, (left, right))| {
            if left.count != right.count {
                return Err(MetricsError::ClusterCounts {
                    cluster,
                    expected: left.count,
                    found: right.count,
                });
            }
            Ok(Cluster {
                sum: left.sum - right.sum,
                count: left.count,
            })
        });
        let clusters = differences.collect::<Result<_, _>>()?;
        Ok(Self { clusters })
    }
}

/// √(G/(G−1) · Σ(X_s − r·Y_s)²) / |ΣY_s|, the linearised standard error of a ratio r of two sums; `None` below two clusters.
fn linearised(
    clusters: impl Iterator<Item = (f64, f64)>,
    ratio: f64,
    groups: usize,
    below: f64,
) -> Option<f64> {
    if groups < 2 {
        return None;
    }
    let groups = groups as f64;
    let squares: f64 = clusters.map(|(x, y)| (x - ratio * y).powi(2)).sum();
    Some((groups / (groups - 1.0) * squares).sqrt() / below.abs())
}

/// A ratio of two sums over clusters, with its cluster-robust standard error.
///
/// With X_s and Y_s the two sums of cluster s, and G clusters,
///
/// - r = ΣX_s / ΣY_s, without unit if both have the same,
/// - SE² = G/(G−1) · Σ(X_s − r·Y_s)² / (ΣY_s)²,
///
/// the linearised variance of a ratio: a [`ClusteredMean`] whose counts are any numbers.
///
/// ```
/// use layerwise_metrics::ClusteredRatio;
///
/// let mut recovered = ClusteredRatio::new();
/// recovered.push(1.0, 2.0);
/// recovered.push(2.0, 2.0);
/// assert_eq!((recovered.ratio(), recovered.standard_error()), (Some(0.75), Some(0.25)));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClusteredRatio {
    clusters: Vec<(f64, f64)>,
}

impl ClusteredRatio {
    /// A ratio of no clusters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the two sums of one cluster.
    pub fn push(&mut self, above: f64, below: f64) {
        self.clusters.push((above, below));
    }

    /// Number of clusters, G.
    pub fn clusters(&self) -> usize {
        self.clusters.len()
    }

    /// The two sums of each cluster, in the order in which they were added.
    pub fn each(&self) -> &[(f64, f64)] {
        &self.clusters
    }

    fn sums(&self) -> (f64, f64) {
        let sums = self.clusters.iter();
        sums.fold((0.0, 0.0), |(above, below), own| {
            (above + own.0, below + own.1)
        })
    }

    /// The ratio r, or `None` if the denominators sum to 0.
    pub fn ratio(&self) -> Option<f64> {
        let (above, below) = self.sums();
        // The sum turns −0 into 0.
        (below != 0.0).then(|| above / below + 0.0)
    }

    /// The standard error of the ratio, or `None` with fewer than two clusters.
    pub fn standard_error(&self) -> Option<f64> {
        let ratio = self.ratio()?;
        let clusters = self.clusters.iter().copied();
        linearised(clusters, ratio, self.clusters.len(), self.sums().1)
    }
}
