//! Compares two systems on the same references.

use crate::{
    Bootstrap, ErrorCounts, MatchedPairs, Operation, TranscriptError, WordId, align, bootstrap,
    matched_pairs,
};

/// The errors of two systems, and the statistical significance of their difference.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// The first system's errors.
    pub first: ErrorCounts,
    /// The second system's errors.
    pub second: ErrorCounts,
    /// The mean over utterances of the second system's error rate; not the corpus's rate.
    pub second_utterance_mean: f64,
    /// Intervals, from resampled utterances.
    pub bootstrap: Bootstrap,
    /// The matched-pairs test, first minus second; `None` if it does not apply.
    pub matched_pairs: Option<MatchedPairs>,
}

/// Compares two systems on the same utterances, each given as `[reference, first, second]`.
///
/// # Errors
///
/// There are no reference words, or no replicates.
pub fn compare(
    utterances: &[[&[WordId]; 3]],
    replicates: usize,
    seed: u64,
) -> Result<Comparison, TranscriptError> {
    let aligned = |system: usize| -> Vec<Vec<Operation>> {
        let align = |words: &[&[WordId]; 3]| align(words[0], words[system]);
        utterances.iter().map(align).collect()
    };
    let [first, second] = [aligned(1), aligned(2)];
    let counts = |alignments: &[Vec<Operation>]| -> Vec<ErrorCounts> {
        let of = |alignment: &Vec<Operation>| ErrorCounts::of(alignment);
        alignments.iter().map(of).collect()
    };
    let [first_counts, second_counts] = [counts(&first), counts(&second)];
    let rates = second_counts.iter().map(ErrorCounts::utterance_rate);
    Ok(Comparison {
        second_utterance_mean: rates.sum::<f64>() / second_counts.len() as f64,
        bootstrap: bootstrap(&first_counts, &second_counts, replicates, seed)?,
        matched_pairs: matched_pairs(&first, &second)?,
        first: first_counts.into_iter().sum(),
        second: second_counts.into_iter().sum(),
    })
}
