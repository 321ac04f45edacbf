//! Alignment of a hypothesis with its reference at unit costs, and the word error rate.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

/// One step of an alignment, from the reference to the hypothesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// A reference word that the hypothesis has too.
    Correct,
    /// A reference word that the hypothesis replaces by another.
    Substitution,
    /// A reference word that the hypothesis lacks.
    Deletion,
    /// A word of the hypothesis that the reference lacks.
    Insertion,
}

/// The words of references, and the errors of hypotheses against them.
///
/// ```
/// use layerwise_transcripts::{ErrorCounts, errors};
///
/// let wrong = errors(&["no"], &["yes"]);
/// let right = errors(&["show", "me", "flights"], &["show", "me", "flights"]);
/// // The rate of a corpus is not the mean of the rates of its utterances.
/// let corpus: ErrorCounts = [wrong, right].into_iter().sum();
/// assert_eq!((wrong.rate(), right.rate(), corpus.rate()), (Some(1.0), Some(0.0), Some(0.25)));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorCounts {
    /// Words of the references.
    pub reference_words: u64,
    /// Reference words that the hypotheses replace by another.
    pub substitutions: u64,
    /// Reference words that the hypotheses lack.
    pub deletions: u64,
    /// Words of the hypotheses that the references lack.
    pub insertions: u64,
}

impl ErrorCounts {
    /// The counts of one utterance, from its alignment.
    pub fn of(alignment: &[Operation]) -> Self {
        let count = |wanted| alignment.iter().filter(|&&found| found == wanted).count() as u64;
        let insertions = count(Operation::Insertion);
        Self {
            reference_words: alignment.len() as u64 - insertions,
            substitutions: count(Operation::Substitution),
            deletions: count(Operation::Deletion),
            insertions,
        }
    }

    /// Substitutions, deletions and insertions.
    pub fn errors(&self) -> u64 {
        self.substitutions + self.deletions + self.insertions
    }

    /// Errors for each reference word; `None` without reference words.
    pub fn rate(&self) -> Option<f64> {
        (self.reference_words > 0).then(|| self.errors() as f64 / self.reference_words as f64)
    }

    /// The [`rate`](Self::rate) of one utterance; without reference words it is the number of errors, as in jiwer.
    pub fn utterance_rate(&self) -> f64 {
        self.rate().unwrap_or(self.errors() as f64)
    }
}

impl Add for ErrorCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            reference_words: self.reference_words + other.reference_words,
            substitutions: self.substitutions + other.substitutions,
            deletions: self.deletions + other.deletions,
            insertions: self.insertions + other.insertions,
        }
    }
}

impl AddAssign for ErrorCounts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for ErrorCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

/// The lengths of the common prefix and suffix.
fn shared_ends<W: Eq>(a: &[W], b: &[W]) -> (usize, usize) {
    let prefix = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[prefix..], &b[prefix..]);
    let suffix = a.iter().rev().zip(b.iter().rev());
    (prefix, suffix.take_while(|(a, b)| a == b).count())
}

/// The smallest number of substitutions, deletions and insertions that turn one sequence into the other.
///
/// Common beginnings and ends are skipped; the rest takes time in the product of the lengths, and one row of memory.
pub fn distance<W: Eq>(reference: &[W], hypothesis: &[W]) -> usize {
    let (prefix, suffix) = shared_ends(reference, hypothesis);
    let reference = &reference[prefix..reference.len() - suffix];
    let hypothesis = &hypothesis[prefix..hypothesis.len() - suffix];
    if reference.is_empty() || hypothesis.is_empty() {
        return reference.len().max(hypothesis.len());
    }
    let mut row: Vec<usize> = (0..=hypothesis.len()).collect();
    for (i, word) in reference.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        let mut left = row[0];
        for (cell, other) in row[1..].iter_mut().zip(hypothesis) {
            let best = (diagonal + usize::from(word != other)).min(left.min(*cell) + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
    }
    row[hypothesis.len()]
}

/// An alignment with the fewest errors.
///
/// If there are several, it is the one that, read from the end, prefers a pair of words to a deletion, and a deletion to an
/// insertion. Common beginnings and ends are aligned first.
///
/// ```
/// use layerwise_transcripts::{Operation, align};
///
/// let reference = ["show", "me", "flights", "now"];
/// assert_eq!(
///     align(&reference, &["show", "flights", "new"]),
///     [Operation::Correct, Operation::Deletion, Operation::Correct, Operation::Substitution],
/// );
/// ```
pub fn align<W: Eq>(reference: &[W], hypothesis: &[W]) -> Vec<Operation> {
    let (prefix, suffix) = shared_ends(reference, hypothesis);
    let mut alignment = vec![Operation::Correct; prefix];
    alignment.extend(align_middle(
        &reference[prefix..reference.len() - suffix],
        &hypothesis[prefix..hypothesis.len() - suffix],
    ));
    alignment.resize(alignment.len() + suffix, Operation::Correct);
    alignment
}

fn align_middle<W: Eq>(reference: &[W], hypothesis: &[W]) -> Vec<Operation> {
    let columns = hypothesis.len() + 1;
    let mut costs = vec![0_u32; (reference.len() + 1) * columns];
    for (cost, cell) in (0..).zip(&mut costs[..columns]) {
        *cell = cost;
    }
    for (i, word) in reference.iter().enumerate() {
        let (above, below) = costs[i * columns..].split_at_mut(columns);
        below[0] = above[0] + 1;
        for (j, other) in hypothesis.iter().enumerate() {
            let pair = above[j] + u32::from(word != other);
            below[j + 1] = pair.min(above[j + 1].min(below[j]) + 1);
        }
    }
    let (mut i, mut j) = (reference.len(), hypothesis.len());
    let mut alignment = Vec::with_capacity(i.max(j));
    while i > 0 || j > 0 {
        let cost = costs[i * columns + j];
        let differ = i > 0 && j > 0 && reference[i - 1] != hypothesis[j - 1];
        if i > 0 && j > 0 && costs[(i - 1) * columns + j - 1] + u32::from(differ) == cost {
            alignment.push(match differ {
                true => Operation::Substitution,
                false => Operation::Correct,
            });
            (i, j) = (i - 1, j - 1);
        } else if i > 0 && costs[(i - 1) * columns + j] + 1 == cost {
            alignment.push(Operation::Deletion);
            i -= 1;
        } else {
            alignment.push(Operation::Insertion);
            j -= 1;
        }
    }
    alignment.reverse();
    alignment
}

/// The counts of one hypothesis against its reference.
pub fn errors<W: Eq>(reference: &[W], hypothesis: &[W]) -> ErrorCounts {
    ErrorCounts::of(&align(reference, hypothesis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The distance by its definition, trying every sequence of operations.
    fn by_force(reference: &[u8], hypothesis: &[u8]) -> usize {
        match (reference, hypothesis) {
            ([], rest) | (rest, []) => rest.len(),
            ([a, after_a @ ..], [b, after_b @ ..]) => {
                let pair = by_force(after_a, after_b) + usize::from(a != b);
                let deletion = by_force(after_a, hypothesis) + 1;
                let insertion = by_force(reference, after_b) + 1;
                pair.min(deletion).min(insertion)
            }
        }
    }

    fn words() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(0_u8..3, 0..7)
    }

    proptest! {
        #[test]
        fn the_distance_is_that_of_all_alignments(a in words(), b in words()) {
            prop_assert_eq!(distance(&a, &b), by_force(&a, &b));
        }

        #[test]
        fn an_alignment_makes_the_hypothesis_of_the_reference(a in words(), b in words()) {
            let alignment = align(&a, &b);
            let (mut i, mut j) = (0, 0);
            for operation in &alignment {
                match operation {
                    Operation::Correct => prop_assert_eq!(a[i], b[j]),
                    Operation::Substitution => prop_assert_ne!(a[i], b[j]),
                    Operation::Deletion | Operation::Insertion => {}
                }
                i += usize::from(*operation != Operation::Insertion);
                j += usize::from(*operation != Operation::Deletion);
            }
            prop_assert_eq!((i, j), (a.len(), b.len()));
            let counts = ErrorCounts::of(&alignment);
            prop_assert_eq!(counts.errors() as usize, distance(&a, &b));
            prop_assert_eq!(counts.reference_words as usize, a.len());
        }

        #[test]
        fn the_distance_is_a_metric(a in words(), b in words(), c in words()) {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
            prop_assert!(distance(&a, &c) <= distance(&a, &b) + distance(&b, &c));
        }
    }

    #[test]
    fn counts_and_rates() {
        let check = |reference: &str, hypothesis: &str, expected: [u64; 4], rate: Option<f64>| {
            let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
            let none = |text: &str| match text {
                "" => Vec::new(),
                text => words(text),
            };
            let found = errors(&none(reference), &none(hypothesis));
            let counts = [
                found.reference_words,
                found.substitutions,
                found.deletions,
                found.insertions,
            ];
            assert_eq!(counts, expected, "{reference} / {hypothesis}");
            assert_eq!(found.rate(), rate, "{reference} / {hypothesis}");
        };
        check("a b c", "a b c", [3, 0, 0, 0], Some(0.0));
        check("a b c", "a x c", [3, 1, 0, 0], Some(1.0 / 3.0));
        check("a b c d", "a d", [4, 0, 2, 0], Some(0.5));
        check("a", "a b c", [1, 0, 0, 2], Some(2.0));
        check("", "a b", [0, 0, 0, 2], None);
        check("", "", [0, 0, 0, 0], None);
        assert_eq!(errors::<u8>(&[], &[1, 2]).utterance_rate(), 2.0);
        assert_eq!(errors::<u8>(&[], &[]).utterance_rate(), 0.0);
    }

    #[test]
    fn long_sequences_of_nothing_in_common_are_aligned() {
        let reference: Vec<u32> = (0..512).collect();
        let hypothesis: Vec<u32> = (1000..1512).collect();
        assert_eq!(distance(&reference, &hypothesis), 512);
        assert_eq!(errors(&reference, &hypothesis).substitutions, 512);
    }
}
