//! Constraints on the tokens of a continuation.

/// An automaton that reads the continuation and says which tokens may follow.
///
/// ```
/// use layerwise_generate::{Constraint, Generation, Settings};
/// use layerwise_transformer::{Model, ModelConfig};
///
/// /// Allows even tokens only.
/// struct Even;
///
/// impl Constraint for Even {
///     fn allows(&self, token: u32) -> bool {
///         token % 2 == 0
///     }
///     fn advance(&mut self, _: u32) {}
/// }
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let settings = Settings::default().with(|it| it.max_tokens = 5);
/// let mut found = Generation::constrained(&model, &model.plain(), &[0, 5, 3], settings, Even)?;
/// assert_eq!(found.by_ref().count(), 5);
/// assert!(found.tokens().iter().all(|token| token % 2 == 0));
/// # Ok::<(), layerwise_generate::GenerateError>(())
/// ```
pub trait Constraint {
    /// Whether the token may come next.
    fn allows(&self, token: u32) -> bool;

    /// Reads the chosen token.
    fn advance(&mut self, token: u32);

    /// Whether the continuation must end here.
    fn is_finished(&self) -> bool {
        false
    }
}

/// Allows every token.
#[derive(Clone, Copy, Debug, Default)]
pub struct Free;

impl Constraint for Free {
    fn allows(&self, _: u32) -> bool {
        true
    }

    fn advance(&mut self, _: u32) {}
}

/// A constraint, or none.
impl<C: Constraint> Constraint for Option<C> {
    fn allows(&self, token: u32) -> bool {
        self.as_ref().is_none_or(|it| it.allows(token))
    }

    fn advance(&mut self, token: u32) {
        if let Some(constraint) = self {
            constraint.advance(token);
        }
    }

    fn is_finished(&self) -> bool {
        self.as_ref().is_some_and(Constraint::is_finished)
    }
}

/// Requires the continuation to be one of a set of token sequences, such as the encoded choices of a question.
///
/// If one sequence is the beginning of another, the end token may follow the shorter one. Without an end token the continuation
/// goes on to the longer one.
///
/// ```
/// use layerwise_generate::{End, Generation, OneOf, Settings};
/// use layerwise_transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let choices = vec![vec![1, 2], vec![3]];
/// let constraint = OneOf::new(choices.clone(), None);
/// let mut found = Generation::constrained(&model, &model.plain(), &[0, 5], Settings::default(), constraint)?;
/// while let Some(choice) = found.next() {
///     choice?;
/// }
/// assert!(choices.iter().any(|choice| choice == found.tokens()));
/// assert_eq!(found.end(), Some(End::Constraint));
/// # Ok::<(), layerwise_generate::GenerateError>(())
/// ```
#[derive(Clone, Debug)]
pub struct OneOf {
    /// The sequences that begin with the chosen tokens.
    left: Vec<Vec<u32>>,
    chosen: usize,
    end: Option<u32>,
}

impl OneOf {
    /// Requires one of these sequences, followed by the token `end` if there is one.
    pub fn new(sequences: Vec<Vec<u32>>, end: Option<u32>) -> Self {
        Self {
            left: sequences,
            chosen: 0,
            end,
        }
    }

    /// The next token of a sequence.
    fn next(&self, sequence: &[u32]) -> Option<u32> {
        match sequence.get(self.chosen) {
            Some(token) => Some(*token),
            None => self.end.filter(|_| sequence.len() == self.chosen),
        }
    }
}

impl Constraint for OneOf {
    fn allows(&self, token: u32) -> bool {
        self.left
            .iter()
            .any(|sequence| self.next(sequence) == Some(token))
    }

    fn advance(&mut self, token: u32) {
        let mut left = std::mem::take(&mut self.left);
        left.retain(|sequence| self.next(sequence) == Some(token));
        self.left = left;
        self.chosen += 1;
    }

    fn is_finished(&self) -> bool {
        !self.left.is_empty()
            && self
                .left
                .iter()
                .all(|sequence| self.next(sequence).is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_continuation_is_one_of_the_sequences() {
        let sequences = vec![vec![1, 2], vec![1, 3, 4], vec![1, 3]];
        let check = |end, tokens: &[u32], allowed: &[u32], finished| {
            let mut constraint = OneOf::new(sequences.clone(), end);
            for token in tokens {
                assert!(constraint.allows(*token), "{tokens:?}");
                assert!(!constraint.is_finished(), "{tokens:?}");
                constraint.advance(*token);
            }
            let found: Vec<u32> = (0..10).filter(|token| constraint.allows(*token)).collect();
            assert_eq!(found, allowed, "{tokens:?}");
            assert_eq!(constraint.is_finished(), finished, "{tokens:?}");
        };
        check(None, &[], &[1], false);
        check(None, &[1], &[2, 3], false);
        check(None, &[1, 2], &[], true);
        check(None, &[1, 3], &[4], false);
        check(None, &[1, 3, 4], &[], true);
        check(Some(9), &[1, 2], &[9], false);
        check(Some(9), &[1, 3], &[4, 9], false);
        check(Some(9), &[1, 3, 9], &[], true);
        check(Some(9), &[1, 3, 4, 9], &[], true);
    }
}
