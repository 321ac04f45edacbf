//! Language model scores of words.

use std::collections::HashMap;
use std::convert::Infallible;

use crate::ScoreScale;

/// A language model's score of words, in nats.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct LanguageScore {
    /// The log-probability of all words.
    pub log_probability: f64,
    /// The number of tokens that it sums over, including an end token.
    pub tokens: usize,
}

impl LanguageScore {
    /// A score over a number of tokens.
    pub fn new(log_probability: f64, tokens: usize) -> Self {
        Self {
            log_probability,
            tokens,
        }
    }

    /// The mean per token; 0 if there are none.
    pub fn mean(&self) -> f64 {
        self.log_probability / self.tokens.max(1) as f64
    }

    /// The score in the form in which it is added to a recogniser's: the sum for whole transcripts, otherwise the mean.
    ///
    /// ```
    /// use layerwise_transcripts::{LanguageScore, ScoreScale};
    ///
    /// let score = LanguageScore::new(-6.0, 3);
    /// assert_eq!((score.on(ScoreScale::Sum), score.on(ScoreScale::Mean)), (-6.0, -2.0));
    /// ```
    pub fn on(&self, scale: ScoreScale) -> f64 {
        match scale {
            ScoreScale::Sum => self.log_probability,
            ScoreScale::Mean | ScoreScale::Absent => self.mean(),
        }
    }

    /// The score of a text, followed by the text of `next`.
    pub fn then(self, next: Self) -> Self {
        Self {
            log_probability: self.log_probability + next.log_probability,
            tokens: self.tokens + next.tokens,
        }
    }
}

/// A language model that scores words from left to right.
///
/// Its methods take many states at once, so that a model can run them together.
///
/// ```
/// use layerwise_transcripts::{LanguageModel, LanguageScore};
/// use std::convert::Infallible;
///
/// /// Every word, and the end, costs 1 nat.
/// struct Short;
///
/// impl LanguageModel for Short {
///     type State = ();
///     type Error = Infallible;
///
///     fn start(&self) {}
///     fn extend(&mut self, words: &[(&(), &str)]) -> Result<Vec<((), LanguageScore)>, Infallible> {
///         Ok(vec![((), LanguageScore::new(-1.0, 1)); words.len()])
///     }
///     fn end(&mut self, states: &[&()]) -> Result<Vec<LanguageScore>, Infallible> {
///         Ok(vec![LanguageScore::new(-1.0, 1); states.len()])
///     }
/// }
///
/// let scores = Short.sentences(&[vec!["show", "flights"], vec![]])?;
/// assert_eq!(scores, [LanguageScore::new(-3.0, 3), LanguageScore::new(-1.0, 1)]);
/// # Ok::<(), Infallible>(())
/// ```
pub trait LanguageModel {
    /// The state after some words.
    type State: Clone;
    /// The model's error.
    type Error;

    /// The state before the first word.
    fn start(&self) -> Self::State;

    /// Scores one more word after each state.
    ///
    /// # Errors
    ///
    /// The model's errors.
    fn extend(
        &mut self,
        words: &[(&Self::State, &str)],
    ) -> Result<Vec<(Self::State, LanguageScore)>, Self::Error>;

    /// Scores the end of the sentence after each state; a model without end scores returns 0 over no tokens.
    ///
    /// # Errors
    ///
    /// The model's errors.
    fn end(&mut self, states: &[&Self::State]) -> Result<Vec<LanguageScore>, Self::Error>;

    /// Scores whole sentences, with their ends; common beginnings are scored once.
    ///
    /// # Errors
    ///
    /// The model's errors.
    fn sentences(&mut self, sentences: &[Vec<&str>]) -> Result<Vec<LanguageScore>, Self::Error> {
        let mut nodes = vec![(self.start(), LanguageScore::default())];
        let mut at = vec![0; sentences.len()];
        let longest = sentences.iter().map(Vec::len).max().unwrap_or(0);
        for depth in 0..longest {
            let mut children: HashMap<(usize, &str), usize> = HashMap::new();
            let mut words: Vec<(usize, &str)> = Vec::new();
            for (at, sentence) in at.iter_mut().zip(sentences) {
                if let Some(&word) = sentence.get(depth) {
                    let next = nodes.len() + words.len();
                    let child = *children.entry((*at, word)).or_insert(next);
                    if child == next {
                        words.push((*at, word));
                    }
                    *at = child;
                }
            }
            let asked: Vec<_> = words
                .iter()
                .map(|&(parent, word)| (&nodes[parent].0, word))
                .collect();
            let scored = self.extend(&asked)?;
            for ((parent, _), (state, score)) in words.iter().zip(scored) {
                let score = nodes[*parent].1.then(score);
                nodes.push((state, score));
            }
        }
        let states: Vec<_> = at.iter().map(|&node| &nodes[node].0).collect();
        let ends = self.end(&states)?;
        let score = |(&node, end): (&usize, LanguageScore)| nodes[node].1.then(end);
        Ok(at.iter().zip(ends).map(score).collect())
    }
}

/// A language model without information: all scores are 0, over no tokens.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLanguageModel;

impl LanguageModel for NoLanguageModel {
    type State = ();
    type Error = Infallible;

    fn start(&self) {}

    fn extend(&mut self, words: &[(&(), &str)]) -> Result<Vec<((), LanguageScore)>, Infallible> {
        Ok(vec![((), LanguageScore::default()); words.len()])
    }

    fn end(&mut self, states: &[&()]) -> Result<Vec<LanguageScore>, Infallible> {
        Ok(vec![LanguageScore::default(); states.len()])
    }
}

/// A language model that counts its tokens.
#[derive(Debug, Clone)]
pub struct Counted<L> {
    model: L,
    tokens: u64,
}

impl<L> Counted<L> {
    /// Counts the tokens that `model` scores from now on.
    pub fn new(model: L) -> Self {
        Self { model, tokens: 0 }
    }

    /// The number of scored tokens. For whole sentences all tokens count, including those of common beginnings.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    fn add<'s>(&mut self, scores: impl IntoIterator<Item = &'s LanguageScore>) {
        self.tokens += scores
            .into_iter()
            .map(|score| score.tokens as u64)
            .sum::<u64>();
    }
}

impl<L: LanguageModel> LanguageModel for Counted<L> {
    type State = L::State;
    type Error = L::Error;

    fn start(&self) -> L::State {
        self.model.start()
    }

    fn extend(
        &mut self,
        words: &[(&L::State, &str)],
    ) -> Result<Vec<(L::State, LanguageScore)>, L::Error> {
        let scored = self.model.extend(words)?;
        self.add(scored.iter().map(|(_, score)| score));
        Ok(scored)
    }

    fn end(&mut self, states: &[&L::State]) -> Result<Vec<LanguageScore>, L::Error> {
        let scored = self.model.end(states)?;
        self.add(&scored);
        Ok(scored)
    }

    fn sentences(&mut self, sentences: &[Vec<&str>]) -> Result<Vec<LanguageScore>, L::Error> {
        let scored = self.model.sentences(sentences)?;
        self.add(&scored);
        Ok(scored)
    }
}
