//! Correlation of paired numbers.

/// Pearson's correlation Σ(x − x̄)(y − ȳ)/√(Σ(x − x̄)²·Σ(y − ȳ)²) of pairs (x, y), without unit.
///
/// It lies between −1 and 1, within rounding.
/// `None` if it is not defined: fewer than two pairs, one side constant, or a NaN or infinite number.
///
/// ```
/// use layerwise_metrics::correlation::{pearson, spearman};
///
/// let pairs = [(0.0, 1.0), (1.0, 2.0), (2.0, 30.0)];
/// assert!(pearson(&pairs) < Some(0.9));
/// assert!(spearman(&pairs) > Some(0.999));
/// ```
pub fn pearson(pairs: &[(f64, f64)]) -> Option<f64> {
    let x = directions(pairs.iter().map(|pair| pair.0))?;
    let y = directions(pairs.iter().map(|pair| pair.1))?;
    Some(x.iter().zip(&y).map(|(x, y)| x * y).sum())
}

/// Spearman's correlation of pairs (x, y): Pearson's of their ranks, without unit.
///
/// Equal numbers share the mean of their ranks.
/// `None` if it is not defined, as for [`pearson`].
pub fn spearman(pairs: &[(f64, f64)]) -> Option<f64> {
    if !pairs.iter().all(|(x, y)| x.is_finite() && y.is_finite()) {
        return None;
    }
    let x = ranks(pairs.iter().map(|pair| pair.0));
    let y = ranks(pairs.iter().map(|pair| pair.1));
    let ranked: Vec<(f64, f64)> = x.into_iter().zip(y).collect();
    pearson(&ranked)
}

/// Deviations from the mean, scaled to a vector of length 1; `None` if all are 0 or a number is not finite.
fn directions(values: impl Iterator<Item = f64>) -> Option<Vec<f64>> {
    let mut values: Vec<f64> = values.collect();
    if !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    // Halves cannot overflow when subtracted. Subtracting first makes equal values exactly zero, and loses no digits to a large
    // mean.
    let first = *values.first()?;
    for value in &mut values {
        *value = *value / 2.0 - first / 2.0;
    }
    // After this division their squares neither overflow nor vanish.
    let largest = values
        .iter()
        .fold(0.0_f64, |most, value| most.max(value.abs()));
    if largest == 0.0 {
        return None;
    }
    for value in &mut values {
        *value /= largest;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    for value in &mut values {
        *value -= mean;
    }
    let length = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    for value in &mut values {
        *value /= length;
    }
    Some(values)
}

/// Ranks from 1 of finite values; equal values share the mean of their ranks.
fn ranks(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let values: Vec<f64> = values.collect();
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|&i, &j| values[i] == values[j]) {
        let rank = before as f64 + (tied.len() + 1) as f64 / 2.0;
        for &index in tied {
            ranks[index] = rank;
        }
        before += tied.len();
    }
    ranks
}
