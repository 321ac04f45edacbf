//! Tests whether one system makes significantly fewer errors than another.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::{ErrorCounts, Operation, TranscriptError};

/// A 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Bootstrap results for two systems; rates are errors per reference word.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Bootstrap {
    /// The first system's error rate.
    pub first: Interval,
    /// The second system's error rate.
    pub second: Interval,
    /// The second system's rate minus the first's.
    pub difference: Interval,
    /// The share of replicates in which the second system has strictly fewer errors.
    pub improvement: f64,
    /// The share of replicates in which the second system has strictly more errors.
    pub worsening: f64,
}

/// Draws utterances with replacement, the same ones for both systems (Bisani & Ney 2004).
///
/// Intervals extend from the 2.5th to the 97.5th percentile of the replicates. Replicates without reference words are left out of
/// the rates.
///
/// # Errors
///
/// The systems did not transcribe the same utterances, or there are no reference words or replicates.
///
/// ```
/// use layerwise_transcripts::{bootstrap, errors};
///
/// // The second system corrects one of two words of every utterance.
/// let first = vec![errors(&["a", "b"], &["a", "c"]); 10];
/// let second = vec![errors(&["a", "b"], &["a", "b"]); 10];
/// let found = bootstrap(&first, &second, 1000, 0)?;
/// assert_eq!((found.difference.low, found.difference.high, found.improvement), (-0.5, -0.5, 1.0));
/// # Ok::<(), layerwise_transcripts::TranscriptError>(())
/// ```
pub fn bootstrap(
    first: &[ErrorCounts],
    second: &[ErrorCounts],
    replicates: usize,
    seed: u64,
) -> Result<Bootstrap, TranscriptError> {
    check(first, second)?;
    if replicates == 0 {
        return Err(TranscriptError::Setting {
            setting: "replicates",
            expected: "one or more",
            found: "0".to_owned(),
        });
    }
    let utterances: Vec<[u64; 3]> = first
        .iter()
        .zip(second)
        .map(|(a, b)| [a.reference_words, a.errors(), b.errors()])
        .collect();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut rates = [const { Vec::new() }; 3];
    let (mut fewer, mut more) = (0_usize, 0_usize);
    for _ in 0..replicates {
        let mut sums = [0_u64; 3];
        for _ in 0..utterances.len() {
            // Each utterance's share of 2³² differs from the others' by at most one part in 2³²/n.
            let at = (u64::from(rng.next_u32()) * utterances.len() as u64) >> 32;
            for (sum, value) in sums.iter_mut().zip(utterances[at as usize]) {
                *sum += value;
            }
        }
        let [words, a, b] = sums;
        fewer += usize::from(b < a);
        more += usize::from(b > a);
        if words > 0 {
            let [a, b] = [a, b].map(|errors| errors as f64 / words as f64);
            for (rates, rate) in rates.iter_mut().zip([a, b, b - a]) {
                rates.push(rate);
            }
        }
    }
    let [first, second, difference] = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        let last = rates.len().saturating_sub(1) as f64;
        let percentile = |share: f64| {
            let at = (share * last).round() as usize;
            rates.get(at).copied().unwrap_or(f64::NAN)
        };
        Interval {
            low: percentile(0.025),
            high: percentile(0.975),
        }
    });
    Ok(Bootstrap {
        first,
        second,
        difference,
        improvement: fewer as f64 / replicates as f64,
        worsening: more as f64 / replicates as f64,
    })
}

fn check(first: &[ErrorCounts], second: &[ErrorCounts]) -> Result<(), TranscriptError> {
    if first.len() != second.len() {
        return Err(TranscriptError::UtteranceNumbers {
            expected: first.len(),
            found: second.len(),
        });
    }
    let pairs = first.iter().zip(second).enumerate();
    for (index, (a, b)) in pairs {
        if a.reference_words != b.reference_words {
            return Err(TranscriptError::References {
                index,
                expected: a.reference_words,
                found: b.reference_words,
            });
        }
    }
    if first.iter().all(|counts| counts.reference_words == 0) {
        return Err(TranscriptError::Setting {
            setting: "reference words",
            expected: "one or more",
            found: "none".to_owned(),
        });
    }
    Ok(())
}

/// The matched-pairs test of two systems.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct MatchedPairs {
    /// The number of segments in which a system has an error.
    pub segments: usize,
    /// The mean of the first system's errors minus the second's.
    pub mean_difference: f64,
    /// The mean divided by its standard error; positive if the second system is better.
    pub z: f64,
    /// The probability of a |Z| at least this large without a difference, from the normal distribution.
    pub p: f64,
}

/// The number of consecutive correct reference words that ends a segment.
const BOUNDARY: usize = 2;

/// The matched-pairs test on segments of utterances (MAPSSWE; Gillick & Cox 1989).
///
/// Takes the alignments of both systems with the same references. A segment contains an error of either system, and is bounded by
/// the ends of the utterance or by at least two consecutive words that both systems have right. `None` if there are fewer than
/// two segments, or the difference is the same in all.
///
/// # Errors
///
/// The systems did not transcribe the same utterances.
///
/// ```
/// use layerwise_transcripts::{align, matched_pairs};
///
/// let first = [align(&["a", "b"], &["a", "x"]), align(&["a", "b"], &["x", "y"])];
/// let second = [align(&["a", "b"], &["a", "b"]), align(&["a", "b"], &["a", "b"])];
/// let found = matched_pairs(&first, &second)?.expect("two segments that differ");
/// assert_eq!((found.segments, found.mean_difference), (2, 1.5)); // one error less, and two less
/// assert!((found.z - 3.0).abs() < 1e-9 && found.p < 0.05);
/// # Ok::<(), layerwise_transcripts::TranscriptError>(())
/// ```
pub fn matched_pairs(
    first: &[Vec<Operation>],
    second: &[Vec<Operation>],
) -> Result<Option<MatchedPairs>, TranscriptError> {
    if first.len() != second.len() {
        return Err(TranscriptError::UtteranceNumbers {
            expected: first.len(),
            found: second.len(),
        });
    }
    let mut differences: Vec<f64> = Vec::new();
    for (index, (a, b)) in first.iter().zip(second).enumerate() {
        let [a, b] = [a, b].map(|alignment| by_word(alignment));
        if a.len() != b.len() {
            return Err(TranscriptError::References {
                index,
                expected: (a.len() / 2) as u64,
                found: (b.len() / 2) as u64,
            });
        }
        let (mut open, mut right): (Option<[u64; 2]>, usize) = (None, 0);
        for (at, errors) in a.iter().zip(&b).map(|(a, b)| [*a, *b]).enumerate() {
            if errors != [0, 0] {
                let [sum_a, sum_b] = open.unwrap_or_default();
                open = Some([sum_a + errors[0], sum_b + errors[1]]);
                right = 0;
            } else if at % 2 == 1 {
                right += 1;
                if right >= BOUNDARY {
                    differences.extend(open.take().map(|[a, b]| a as f64 - b as f64));
                }
            }
        }
        differences.extend(open.map(|[a, b]| a as f64 - b as f64));
    }
    let count = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let squares = differences
        .iter()
        .map(|difference| (difference - mean).powi(2));
    let deviation = (squares.sum::<f64>() / (count - 1.0)).sqrt();
    if differences.len() < 2 || deviation == 0.0 {
        return Ok(None);
    }
    let z = mean / (deviation / count.sqrt());
    Ok(Some(MatchedPairs {
        segments: differences.len(),
        mean_difference: mean,
        z,
        p: libm::erfc(z.abs() / std::f64::consts::SQRT_2),
    }))
}

/// The errors before the first reference word, at it, before the second, at it, …, and after the last.
fn by_word(alignment: &[Operation]) -> Vec<u64> {
    let mut errors = vec![0];
    for operation in alignment {
        match operation {
            Operation::Insertion => *errors.last_mut().expect("it begins with one") += 1,
            Operation::Correct => errors.extend([0, 0]),
            Operation::Substitution | Operation::Deletion => errors.extend([1, 0]),
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{align, errors};

    fn counts(pairs: &[(u64, u64)]) -> Vec<ErrorCounts> {
        pairs
            .iter()
            .map(|&(words, substitutions)| ErrorCounts {
                reference_words: words,
                substitutions,
                ..ErrorCounts::default()
            })
            .collect()
    }

    #[test]
    fn a_system_against_itself_is_no_improvement() {
        let system = counts(&[(10, 1), (5, 0), (8, 3)]);
        let found = bootstrap(&system, &system, 500, 1).unwrap();
        // A tie counts as neither.
        assert_eq!((found.improvement, found.worsening), (0.0, 0.0));
        assert_eq!((found.difference.low, found.difference.high), (0.0, 0.0));
        assert_eq!(found.first, found.second);
        assert!(found.first.low < 4.0 / 23.0 && 4.0 / 23.0 < found.first.high);
    }

    #[test]
    fn a_better_system_is_one_in_every_replicate() {
        let first = counts(&[(10, 2), (5, 2), (8, 3)]);
        let second = counts(&[(10, 1), (5, 0), (8, 2)]);
        let found = bootstrap(&first, &second, 500, 1).unwrap();
        assert_eq!((found.improvement, found.worsening), (1.0, 0.0));
        let other_way = bootstrap(&second, &first, 500, 1).unwrap();
        assert_eq!((other_way.improvement, other_way.worsening), (0.0, 1.0));
        assert!(found.difference.high < 0.0);
        assert_eq!(found, bootstrap(&first, &second, 500, 1).unwrap());
        assert_ne!(found, bootstrap(&first, &second, 500, 2).unwrap());
    }

    #[test]
    fn replicates_that_tie_count_for_neither_system() {
        // The systems differ in one of two utterances, which a quarter of the replicates lack.
        let first = counts(&[(10, 1), (10, 1)]);
        let second = counts(&[(10, 1), (10, 2)]);
        let found = bootstrap(&first, &second, 4000, 1).unwrap();
        assert_eq!(found.improvement, 0.0);
        assert!((found.worsening - 0.75).abs() < 0.03, "{}", found.worsening);
    }

    /// Utterances of one word each, wrong with probability 0.2, so the interval is that of a binomial proportion.
    #[test]
    fn intervals_are_as_wide_as_they_should_be() {
        let system: Vec<(u64, u64)> = (0..400).map(|at| (1, u64::from(at % 5 == 0))).collect();
        let found = bootstrap(&counts(&system), &counts(&system), 4000, 3).unwrap();
        let expected = 1.96 * (0.2 * 0.8 / 400.0_f64).sqrt();
        for half in [0.2 - found.first.low, found.first.high - 0.2] {
            assert!((half / expected - 1.0).abs() < 0.1, "{half} {expected}");
        }
    }

    #[test]
    fn segments_end_at_two_words_that_both_have_right() {
        let align = |reference: &str, hypothesis: &str| {
            let words = |text: &str| text.chars().collect::<Vec<_>>();
            align(&words(reference), &words(hypothesis))
        };
        // Errors of the first system at b, of the second at f: `c d` between them ends the segment; one word would not.
        let check = |reference: &str, a: &str, b: &str, expected: Option<(usize, f64)>| {
            let found = matched_pairs(&[align(reference, a)], &[align(reference, b)]).unwrap();
            let found = found.map(|found| (found.segments, found.mean_difference));
            assert_eq!(found, expected, "{reference} {a} {b}");
        };
        check("abcdef", "axcdef", "abcdex", Some((2, 0.0)));
        check("abcdefghi", "axcdxfghi", "abcdefghx", Some((3, 1.0 / 3.0)));
        check("abcd", "axcd", "abcx", None);
        check("abcdef", "abcdef", "abcdef", None);
        // An insertion between two correct words prevents them from being a boundary.
        check("abcdefg", "axczdefx", "abcdefg", Some((2, 1.5)));
    }

    #[test]
    fn z_by_hand() {
        // Differences 1, 1, 1, 0, −1 in five utterances.
        let words = |text: &str| text.chars().collect::<Vec<_>>();
        let aligned = |hypothesis: &str| align(&words("abc"), &words(hypothesis));
        let first = ["xbc", "xbc", "xbc", "xbc", "abc"].map(aligned);
        let second = ["abc", "abc", "abc", "xbc", "xbc"].map(aligned);
        let found = matched_pairs(&first, &second).unwrap().unwrap();
        assert_eq!((found.segments, found.mean_difference), (5, 0.4));
        let z = 0.4 / (0.8_f64.sqrt() / 5.0_f64.sqrt());
        assert!((found.z - z).abs() < 1e-12);
        // Two-sided normal, from a table: Z = 1 has p = 0.3173.
        assert!((found.p - 0.3173).abs() < 1e-4, "{}", found.p);
    }

    #[test]
    fn other_utterances_are_refused() {
        let one = counts(&[(3, 1)]);
        assert!(matches!(
            bootstrap(&one, &counts(&[(3, 1), (4, 0)]), 10, 0),
            Err(TranscriptError::UtteranceNumbers {
                expected: 1,
                found: 2
            })
        ));
        assert!(matches!(
            bootstrap(&one, &counts(&[(4, 1)]), 10, 0),
            Err(TranscriptError::References {
                index: 0,
                expected: 3,
                found: 4
            })
        ));
        let empty = [errors::<u8>(&[], &[1])];
        assert!(bootstrap(&empty, &empty, 10, 0).is_err());
        assert!(bootstrap(&one, &one, 0, 0).is_err());
        assert!(matched_pairs(&[vec![]], &[]).is_err());
        let other = matched_pairs(&[vec![Operation::Correct]], &[vec![]]);
        assert!(other.is_err());
    }
}
