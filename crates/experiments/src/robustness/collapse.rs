//! The token that a model with a changed first block predicts most often, and the entropy of its mean prediction, as lines of
//! `robustness-collapse` (D3).

use super::table::{Collapse, Intervention};
use crate::core::subject::Subject;
use crate::core::sweep::{Altered, Swept};
use layerwise_metrics::ClusteredMean;
use std::collections::BTreeMap;

/// What a schedule predicts, from the sums of sequences that counted it, with the curves of its means; `None` without positions.
pub(super) fn record(
    subject: &Subject<'_>,
    intervention: Intervention,
    altered: Altered<'_>,
    swept: &Swept,
) -> Option<(Collapse, [(&'static str, ClusteredMean); 3])> {
    let own = swept.sums.iter();
    let own: Vec<&BTreeMap<u32, u64>> = own
        .filter_map(|sums| sums[altered.schedule].predicted.as_ref())
        .collect();
    let (modal_token, share) = modal(&own)?;
    let (mut entropy, mut change) = (ClusteredMean::new(), ClusteredMean::new());
    for sums in swept.sums.iter() {
        let of = |schedule: usize| sums[schedule].every_4th_mean_prediction_entropy_bits;
        if let (Some(altered), Some(plain)) = (of(altered.schedule), of(0)) {
            entropy.push(altered, 1);
            change.push(altered - plain, 1);
        }
    }
    let collapse = Collapse {
        model: subject.name.to_owned(),
        model_type: subject.model_type().to_owned(),
        intervention,
        layer: altered.layer,
        modal_token,
        modal_share: share.mean().unwrap_or(f64::NAN),
        modal_share_se: share.standard_error(),
        every_4th_mean_prediction_entropy_bits: entropy.mean().unwrap_or(f64::NAN),
        every_4th_mean_prediction_entropy_bits_se: entropy.standard_error(),
        every_4th_mean_prediction_entropy_difference_bits: change.mean().unwrap_or(f64::NAN),
        every_4th_mean_prediction_entropy_difference_bits_se: change.standard_error(),
        sequences: own.len() as u64,
        positions: share.count(),
    };
    let curves = [
        ("modal_share", share),
        ("every_4th_mean_prediction_entropy_bits", entropy),
        ("every_4th_mean_prediction_entropy_difference_bits", change),
    ];
    Some((collapse, curves))
}

/// The most frequent token of all sequences, and its share with each sequence as a cluster; `None` without positions.
fn modal(counts: &[&BTreeMap<u32, u64>]) -> Option<(u32, ClusteredMean)> {
    let mut together: BTreeMap<u32, u64> = BTreeMap::new();
    for (&token, &count) in counts.iter().copied().flatten() {
        *together.entry(token).or_default() += count;
    }
    // Of equal counts the last is taken, so sort by descending id.
    let (&token, _) = together.iter().rev().max_by_key(|(_, count)| **count)?;
    let mut share = ClusteredMean::new();
    for sequence in counts {
        let own = sequence.get(&token).copied().unwrap_or(0);
        share.push(own as f64, sequence.values().sum());
    }
    Some((token, share))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(counts: &[&[(u32, u64)]], expected: Option<(u32, f64)>) {
        let counts: Vec<BTreeMap<u32, u64>> = counts
            .iter()
            .map(|sequence| sequence.iter().copied().collect())
            .collect();
        let all: Vec<&BTreeMap<u32, u64>> = counts.iter().collect();
        let found = modal(&all).map(|(token, share)| (token, share.mean().unwrap_or(f64::NAN)));
        assert_eq!(found, expected, "{counts:?}");
    }

    #[test]
    fn the_most_frequent_token_of_all_sequences_is_the_modal_one() {
        check(&[], None);
        check(&[&[]], None);
        check(&[&[(7, 3), (9, 1)]], Some((7, 0.75)));
        check(&[&[(7, 3), (9, 2)], &[(9, 3)]], Some((9, 0.625)));
        // Of equally frequent tokens the lowest id.
        check(&[&[(4, 2), (9, 2)]], Some((4, 0.5)));
        check(&[&[(9, 2)], &[(4, 2)]], Some((4, 0.5)));
    }
}
