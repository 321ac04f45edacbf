//! Decisions by a threshold on a score, such as a cosine or a log-odds, and their accuracy.

use crate::{ClusteredMean, MetricsError, errors_in_interval};

/// The grid of the training-free decision on cosines: 0, 0.05, …, 0.95 (paper F.3).
pub fn cosine_grid() -> [f64; 20] {
    std::array::from_fn(|index| index as f64 / 20.0)
}

/// The share of samples that the decision "score > threshold" gets right; each sample is a separate cluster.
///
/// A sample is its score and its label.
///
/// # Errors
///
/// No score may be NaN.
///
/// ```
/// use layerwise_metrics::threshold::{accuracy, best, cosine_grid};
///
/// let (dev, test) = ([(0.3, false), (0.6, true)], [(0.1, false), (0.2, true)]);
/// let threshold = best(&dev, &cosine_grid())?;
/// assert_eq!(threshold, 0.3); // the first that separates them
/// assert_eq!(accuracy(&test, threshold)?.mean(), Some(0.5));
/// # Ok::<(), layerwise_metrics::MetricsError>(())
/// ```
pub fn accuracy(samples: &[(f64, bool)], threshold: f64) -> Result<ClusteredMean, MetricsError> {
    check_scores(samples)?;
    let mut accuracy = ClusteredMean::new();
    for &(score, label) in samples {
        accuracy.push(f64::from((score > threshold) == label), 1);
    }
    Ok(accuracy)
}

/// The threshold of a grid with the highest [accuracy]; among equals, the first.
///
/// # Errors
///
/// There must be a sample and a threshold, and none may be NaN.
pub fn best(samples: &[(f64, bool)], grid: &[f64]) -> Result<f64, MetricsError> {
    check_scores(samples)?;
    if samples.is_empty() {
        return Err(MetricsError::NoScores);
    }
    if let Some(index) = grid.iter().position(|threshold| threshold.is_nan()) {
        return Err(MetricsError::InvalidThreshold { index });
    }
    let correct = |threshold: f64| {
        let decisions = samples
            .iter()
            .map(|&(score, label)| (score > threshold) == label);
        decisions.filter(|&correct| correct).count()
    };
    let (first, rest) = grid.split_first().ok_or(MetricsError::NoThresholds)?;
    let (mut best, mut most) = (*first, correct(*first));
    for &threshold in rest {
        let found = correct(threshold);
        if found > most {
            (best, most) = (threshold, found);
        }
    }
    Ok(best)
}

/// The area under the ROC curve: the probability that a sample labelled `true` scores higher than one labelled `false`; ties
/// count half.
///
/// `None` if all samples have the same label.
///
/// # Errors
///
/// No score may be NaN.
///
/// ```
/// use layerwise_metrics::threshold::auc;
///
/// assert_eq!(auc(&[(0.1, false), (0.3, true), (0.2, true), (0.2, false)])?, Some(0.875));
/// # Ok::<(), layerwise_metrics::MetricsError>(())
/// ```
pub fn auc(samples: &[(f64, bool)]) -> Result<Option<f64>, MetricsError> {
    check_scores(samples)?;
    let mut samples = samples.to_vec();
    samples.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut trues, mut won) = (0_u64, 0_u64, 0.0);
    for tied in samples.chunk_by(|a, b| a.0 == b.0) {
        let own = tied.iter().filter(|sample| sample.1).count() as u64;
        let others = tied.len() as u64 - own;
        won += own as f64 * (below as f64 + others as f64 / 2.0);
        below += others;
        trues += own;
    }
    let pairs = trues as f64 * below as f64;
    Ok((pairs > 0.0).then(|| won / pairs))
}

/// The 95 % interval of an area under the ROC curve, found on this many samples labelled `true` and `false`, at least one each:
/// the areas that lie within 1.96 of their own standard errors (Hanley and McNeil 1982) of the one found.
///
/// An area of 1 on few samples leaves much open, although its own standard error is 0.
///
/// ```
/// use layerwise_metrics::threshold::auc_interval;
///
/// let [low, high] = auc_interval(1.0, 2, 76);
/// assert!(low < 0.7 && high == 1.0);
/// ```
pub fn auc_interval(area: f64, trues: u64, falses: u64) -> [f64; 2] {
    let (trues, falses) = (trues as f64, falses as f64);
    let error = |area: f64| {
        let square = area * area;
        let two_trues = area / (2.0 - area) - square;
        let two_falses = 2.0 * square / (1.0 + area) - square;
        let variance =
            area * (1.0 - area) + (trues - 1.0) * two_trues + (falses - 1.0) * two_falses;
        (variance / (trues * falses)).max(0.0).sqrt()
    };
    let errors = errors_in_interval(None);
    [0.0, 1.0].map(|end| {
        let (mut inside, mut outside) = (area, end);
        for _ in 0..60 {
            let middle = f64::midpoint(inside, outside);
            match (area - middle).abs() <= errors * error(middle) {
                true => inside = middle,
                false => outside = middle,
            }
        }
        inside
    })
}

fn check_scores(samples: &[(f64, bool)]) -> Result<(), MetricsError> {
    match samples.iter().position(|(score, _)| score.is_nan()) {
        Some(sample) => Err(MetricsError::InvalidScore { sample }),
        None => Ok(()),
    }
}
