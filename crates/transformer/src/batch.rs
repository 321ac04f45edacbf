//! The rows of a run: sequences, and continuations of what they share.

use crate::error::TransformerError;
use layerwise_architecture::ModelConfig;
use std::ops::Range;

/// Tokens that run together, one row each of every product: a forest of segments.
///
/// A segment is a run of tokens that may continue a parent segment. Its positions continue from the parent's end, and its queries
/// attend to the keys of all its ancestors and, causally, to its own. So one batch can hold one sequence; several sequences of
/// any lengths; a question once, with one child for each of its choices; or a trie of continuations.
///
/// Each row's bits equal those of running the path from its root to it alone, under any schedule and precision. A batch changes
/// only the speed: a product of few rows reaches a smaller share of the machine's peak (16 rows about half of what 128 reach),
/// and tokens that segments share run once.
///
/// The residual stream and everything else with the axis `seq` has one row for each token of the batch, segment after segment in
/// the order of adding. [`Batch::rows_of`] returns a segment's rows.
///
/// ```
/// use layerwise_schedule::Schedule;
/// use layerwise_transformer::{Batch, Model, ModelConfig};
/// use ndarray::s;
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let plain = Schedule::plain(model.stack())?;
/// let mut batch = Batch::default();
/// let question = batch.add(&[0, 5, 3, 8]);
/// let choices = [batch.add_child(question, &[1, 2]), batch.add_child(question, &[4])];
/// let logits = model.logits(&batch, &plain)?; // [7, vocab]
/// let alone = model.logits(&[0, 5, 3, 8, 4], &plain)?;
/// assert_eq!(logits.slice(s![batch.rows_of(question), ..]), alone.slice(s![..4, ..]));
/// assert_eq!(logits.slice(s![batch.rows_of(choices[1]), ..]), alone.slice(s![4.., ..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    tokens: Vec<u32>,
    segments: Vec<Segment>,
}

/// A run of tokens with at most one parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) first_row: usize,
    pub(crate) len: usize,
    /// The position of its first token: the number of tokens before it, whether its ancestors' or kept in a state.
    pub(crate) position: usize,
    parent: Option<usize>,
}

impl Segment {
    pub(crate) fn rows(&self) -> Range<usize> {
        self.first_row..self.first_row + self.len
    }

    /// The number of tokens of the path that ends with this segment.
    pub(crate) fn end(&self) -> usize {
        self.position + self.len
    }
}

impl Batch {
    /// Adds a segment that begins at position 0, and returns its number.
    pub fn add(&mut self, tokens: &[u32]) -> usize {
        self.push(None, 0, tokens)
    }

    /// Adds a segment that continues another one, and returns its number.
    ///
    /// # Panics
    /// If there is no segment `parent`.
    pub fn add_child(&mut self, parent: usize, tokens: &[u32]) -> usize {
        self.push(Some(parent), self.segments[parent].end(), tokens)
    }

    /// Adds the segments of another batch after this one's, and returns their rows. Neither batch attends to the other's tokens.
    pub fn append(&mut self, other: &Self) -> Range<usize> {
        let (rows, segments) = (self.rows(), self.segments());
        self.segments
            .extend(other.segments.iter().map(|segment| Segment {
                first_row: rows + segment.first_row,
                parent: segment.parent.map(|parent| segments + parent),
                ..*segment
            }));
        self.tokens.extend_from_slice(&other.tokens);
        rows..self.rows()
    }

    /// Adds a segment that continues after `position` tokens that are not in the batch.
    pub(crate) fn add_after(&mut self, position: usize, tokens: &[u32]) -> usize {
        self.push(None, position, tokens)
    }

    fn push(&mut self, parent: Option<usize>, position: usize, tokens: &[u32]) -> usize {
        self.segments.push(Segment {
            first_row: self.tokens.len(),
            len: tokens.len(),
            position,
            parent,
        });
        self.tokens.extend_from_slice(tokens);
        self.segments.len() - 1
    }

    /// The tokens of all rows.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The number of rows: the tokens of all segments.
    pub fn rows(&self) -> usize {
        self.tokens.len()
    }

    /// The number of segments.
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// The rows of a segment.
    ///
    /// # Panics
    /// If there is no such segment.
    pub fn rows_of(&self, segment: usize) -> Range<usize> {
        self.segments[segment].rows()
    }

    /// The position of a segment's first token.
    pub(crate) fn position_of(&self, segment: usize) -> usize {
        self.segments[segment].position
    }

    /// The rows that the last token of a segment attends to, its ancestors' first: the sequence that the segment ends.
    ///
    /// # Panics
    /// If there is no such segment.
    pub fn path_to(&self, segment: usize) -> Vec<usize> {
        let mut path = Vec::new();
        let mut next = Some(segment);
        while let Some(at) = next {
            path.extend(self.segments[at].rows().rev());
            next = self.segments[at].parent;
        }
        path.reverse();
        path
    }

    /// The segments with every parent before its children, and no other path in between. So a caller that writes values by
    /// position into one buffer, segment after segment, finds each segment's ancestors there.
    pub(crate) fn depth_first(&self) -> Vec<Segment> {
        let roots = self.segments.len();
        let mut first_child = vec![None; roots + 1];
        let mut next_sibling = vec![None; roots];
        for (at, segment) in self.segments.iter().enumerate().rev() {
            let parent = segment.parent.unwrap_or(roots);
            next_sibling[at] = first_child[parent].replace(at);
        }
        let mut ordered = Vec::with_capacity(roots);
        let mut next = first_child[roots];
        while let Some(at) = next {
            ordered.push(self.segments[at]);
            next = first_child[at];
            let mut done = Some(at);
            while let (None, Some(ancestor)) = (next, done) {
                next = next_sibling[ancestor];
                done = self.segments[ancestor].parent;
            }
        }
        ordered
    }

    /// The most bytes that the segments of a batch of `rows` rows take, including the copy that depth-first ordering makes.
    pub(crate) fn most_order_bytes(rows: usize) -> usize {
        2 * rows * size_of::<Segment>() + (2 * rows + 1) * size_of::<Option<usize>>()
    }

    /// Whether each segment is a separate sequence, starting at its first token.
    pub fn is_of_sequences(&self) -> bool {
        let mut segments = self.segments.iter();
        segments.all(|segment| segment.parent.is_none() && segment.position == 0)
    }

    /// The number of tokens of the longest path.
    pub(crate) fn longest_path(&self) -> usize {
        self.segments.iter().map(Segment::end).max().unwrap_or(0)
    }

    /// The distinct lengths of the paths that no other path continues.
    pub fn path_lengths(&self) -> std::collections::BTreeSet<usize> {
        let is_leaf = |at: usize| self.segments.iter().all(|other| other.parent != Some(at));
        let leaves = (0..self.segments.len()).filter(|at| is_leaf(*at));
        leaves.map(|at| self.segments[at].end()).collect()
    }

    /// The position of each row.
    pub(crate) fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        self.segments
            .iter()
            .flat_map(|segment| segment.position..segment.end())
    }

    /// Checks that a model of this config can run the batch.
    pub(crate) fn check(&self, config: &ModelConfig) -> Result<(), TransformerError> {
        let (context, vocab) = (config.context, config.vocab);
        if self.segments.is_empty() {
            return Err(TransformerError::EmptySequence);
        }
        for segment in &self.segments {
            if segment.len == 0 {
                return Err(TransformerError::EmptySequence);
            }
            if segment.end() > context {
                return Err(TransformerError::SequenceTooLong {
                    found: segment.end(),
                    context,
                });
            }
            let tokens = &self.tokens[segment.rows()];
            if let Some(at) = tokens.iter().position(|token| *token as usize >= vocab) {
                return Err(TransformerError::TokenOutOfRange {
                    token: tokens[at],
                    position: segment.position + at,
                    vocab,
                });
            }
        }
        for limit in changes_of_frequencies(config) {
            let lengths = self.path_lengths();
            let (short, long) = (lengths.first(), lengths.last());
            if let (Some(&short), Some(&long)) = (short, long)
                && short <= limit
                && limit < long
            {
                return Err(TransformerError::MixedLengths { short, long, limit });
            }
        }
        Ok(())
    }
}

/// The longest sequences that use the rotary frequencies of short ones, if those depend on the length.
pub(crate) fn changes_of_frequencies(config: &ModelConfig) -> impl Iterator<Item = usize> {
    let kinds = config.attention.kinds().iter();
    kinds.filter_map(|kind| kind.rotary.as_ref()?.changes_beyond())
}

/// One sequence.
impl From<&[u32]> for Batch {
    fn from(tokens: &[u32]) -> Self {
        let mut batch = Self::default();
        batch.add(tokens);
        batch
    }
}

/// One sequence.
impl<const N: usize> From<&[u32; N]> for Batch {
    fn from(tokens: &[u32; N]) -> Self {
        Self::from(tokens.as_slice())
    }
}

/// One sequence.
impl From<&Vec<u32>> for Batch {
    fn from(tokens: &Vec<u32>) -> Self {
        Self::from(tokens.as_slice())
    }
}

/// A copy, which is small beside the buffers of a run.
impl From<&Batch> for Batch {
    fn from(batch: &Batch) -> Self {
        batch.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_lies_in_place_when_its_segment_has_its_turn() {
        let mut batch = Batch::default();
        let first = batch.add(&[10, 11]);
        let second = batch.add(&[20]);
        let child = batch.add_child(first, &[12, 13]);
        batch.add_child(second, &[21]);
        let sibling = batch.add_child(first, &[15]);
        let grandchild = batch.add_child(child, &[14]);
        let mut place = [0; 8];
        for segment in batch.depth_first() {
            let tokens = &batch.tokens()[segment.rows()];
            place[segment.position..segment.end()].copy_from_slice(tokens);
            let at = batch.segments.iter().position(|it| *it == segment).unwrap();
            let path = batch.path_to(at);
            let expected: Vec<u32> = path.iter().map(|row| batch.tokens()[*row]).collect();
            assert_eq!(place[..segment.end()], expected);
        }
        assert_eq!(batch.path_to(grandchild), [0, 1, 3, 4, 7]);
        let mut together = Batch::from(&[7]);
        let rows = together.append(&batch);
        assert_eq!((rows, together.rows()), (1..9, 9));
        assert_eq!(together.path_to(1 + grandchild), [1, 2, 4, 5, 8]);
        assert_eq!(together.tokens()[1..], batch.tokens);
        assert_eq!(batch.path_to(sibling), [0, 1, 6]);
    }
}
