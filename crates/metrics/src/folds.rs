//! Cross-validation by groups.

use std::collections::BTreeMap;

use crate::MetricsError;

/// Assigns each sample a fold, from 0 to `folds` − 1, so that the samples of one group share a fold.
///
/// Samples of one group, such as a document, are not independent of each other.
/// A probe that is tested on one fold is trained on all others, so no document is on both sides.
/// Groups are taken by size, the largest first, and each goes to the fold with the fewest samples so far. Folds then differ by at
/// most the size of one group. Among equal groups, and among equal folds, the first is taken.
///
/// # Errors
///
/// There must be at least two folds, and at least as many groups as folds.
///
/// ```
/// use layerwise_metrics::group_folds;
///
/// let documents = ["a", "a", "b", "c", "b", "a"];
/// assert_eq!(group_folds(&documents, 2)?, [0, 0, 1, 1, 1, 0]);
/// # Ok::<(), layerwise_metrics::MetricsError>(())
/// ```
pub fn group_folds(groups: &[impl Ord], folds: usize) -> Result<Vec<usize>, MetricsError> {
    let mut members: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (sample, group) in groups.iter().enumerate() {
        members.entry(group).or_default().push(sample);
    }
    if folds < 2 || folds > members.len() {
        return Err(MetricsError::Folds {
            folds,
            groups: members.len(),
        });
    }
    let mut members: Vec<Vec<usize>> = members.into_values().collect();
    members.sort_by_key(|samples| (usize::MAX - samples.len(), samples[0]));
    let mut sizes = vec![0; folds];
    let mut assigned = vec![0; groups.len()];
    for samples in members {
        // The first of several, as `min_by_key` has it.
        let fold = (0..folds).min_by_key(|&fold| sizes[fold]);
        let fold = fold.expect("there are at least two folds");
        sizes[fold] += samples.len();
        for sample in samples {
            assigned[sample] = fold;
        }
    }
    Ok(assigned)
}
