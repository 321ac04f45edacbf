//! The median.

/// The median, or `None` of no values; for an even number of values, the mean of the two in the middle.
///
/// ```
/// use layerwise_metrics::median;
///
/// assert_eq!(median([]), None);
/// assert_eq!(median([3.0]), Some(3.0));
/// assert_eq!(median([3.0, 1.0]), Some(2.0));
/// assert_eq!(median([9.0, 1.0, 2.0]), Some(2.0));
/// assert_eq!(median([4.0, 1.0, 9.0, 2.0]), Some(3.0));
/// ```
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2)?;
    Some(sorted[(sorted.len() - 1) / 2].midpoint(*upper))
}
