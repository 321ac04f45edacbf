//! A trigram model with interpolated Kneser–Ney smoothing: a language model that trains in a second.

use std::collections::HashMap;
use std::convert::Infallible;

use crate::{LanguageModel, LanguageScore, TranscriptError};

/// The absolute discount, for every order.
const DISCOUNT: f64 = 0.75;

/// The ids of symbols that are not words of the training sentences.
const START: u32 = 0;
const END: u32 = 1;
const UNKNOWN: u32 = 2;
const FIRST_WORD: u32 = 3;

/// A trigram model, interpolated with bigrams, unigrams and the uniform distribution.
///
/// Counts of the lower orders are numbers of distinct preceding words (Kneser & Ney 1995; Chen & Goodman 1999, section 3), and
/// each order is discounted by 0.75. Sentences end with an end token, which is scored.
///
/// ```
/// use layerwise_transcripts::{KneserNey, LanguageModel};
///
/// let mut model = KneserNey::train([["show", "flights"], ["list", "flights"]])?;
/// let scores = model.sentences(&[vec!["show", "flights"], vec!["flights", "show"]])?;
/// assert!(scores[0].log_probability > scores[1].log_probability); // nats
/// assert_eq!(scores[0].tokens, 3); // two words, and the end
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct KneserNey {
    words: HashMap<Box<str>, u32>,
    trigrams: HashMap<[u32; 3], u32>,
    bigrams: HashMap<[u32; 2], u32>,
    unigrams: HashMap<u32, u32>,
    pairs: HashMap<[u32; 2], History>,
    singles: HashMap<u32, History>,
    none: History,
}

/// The words that follow a history in the training sentences.
#[derive(Debug, Clone, Copy, Default)]
struct History {
    /// The sum of their counts.
    total: u32,
    /// The number of distinct words.
    distinct: u32,
}

impl History {
    fn add(&mut self, count: u32) {
        self.total += count;
        self.distinct += 1;
    }

    /// The probability of a word with a count, given its probability `lower` in the next lower order.
    fn interpolate(self, count: u32, lower: f64) -> f64 {
        if self.total == 0 {
            return lower;
        }
        let discounted = (f64::from(count) - DISCOUNT).max(0.0);
        (discounted + DISCOUNT * f64::from(self.distinct) * lower) / f64::from(self.total)
    }
}

/// The two words before the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context([u32; 2]);

impl KneserNey {
    /// Trains a model on the trigrams of sentences, each a list of words.
    ///
    /// # Errors
    ///
    /// There are no sentences.
    pub fn train<S, W>(sentences: impl IntoIterator<Item = S>) -> Result<Self, TranscriptError>
    where
        S: IntoIterator<Item = W>,
        W: AsRef<str>,
    {
        let mut words: HashMap<Box<str>, u32> = HashMap::new();
        let mut trigrams: HashMap<[u32; 3], u32> = HashMap::new();
        for sentence in sentences {
            let mut before = [START; 2];
            for word in sentence {
                let next = FIRST_WORD + words.len() as u32;
                let word = *words.entry(word.as_ref().into()).or_insert(next);
                *trigrams.entry([before[0], before[1], word]).or_default() += 1;
                before = [before[1], word];
            }
            *trigrams.entry([before[0], before[1], END]).or_default() += 1;
        }
        if trigrams.is_empty() {
            return Err(TranscriptError::Setting {
                setting: "training sentences",
                expected: "one or more",
                found: "none".to_owned(),
            });
        }
        let mut model = Self {
            words,
            trigrams,
            bigrams: HashMap::new(),
            unigrams: HashMap::new(),
            pairs: HashMap::new(),
            singles: HashMap::new(),
            none: History::default(),
        };
        for (&[a, b, c], &count) in &model.trigrams {
            model.pairs.entry([a, b]).or_default().add(count);
            *model.bigrams.entry([b, c]).or_default() += 1;
        }
        for (&[b, c], &count) in &model.bigrams {
            model.singles.entry(b).or_default().add(count);
            *model.unigrams.entry(c).or_default() += 1;
        }
        for &count in model.unigrams.values() {
            model.none.add(count);
        }
        Ok(model)
    }

    /// The probability of a word after two others; over all words, the end and one unknown word, it sums to 1.
    fn probability(&self, [a, b]: [u32; 2], c: u32) -> f64 {
        let count = |found: Option<&u32>| found.copied().unwrap_or(0);
        let uniform = 1.0 / f64::from(self.none.distinct + 1);
        let lower = self.none.interpolate(count(self.unigrams.get(&c)), uniform);
        let single = self.singles.get(&b).copied().unwrap_or_default();
        let lower = single.interpolate(count(self.bigrams.get(&[b, c])), lower);
        let pair = self.pairs.get(&[a, b]).copied().unwrap_or_default();
        pair.interpolate(count(self.trigrams.get(&[a, b, c])), lower)
    }

    fn score(&self, context: Context, word: u32) -> LanguageScore {
        LanguageScore::new(libm::log(self.probability(context.0, word)), 1)
    }
}

impl LanguageModel for KneserNey {
    type State = Context;
    type Error = Infallible;

    fn start(&self) -> Context {
        Context([START; 2])
    }

    fn extend(
        &mut self,
        words: &[(&Context, &str)],
    ) -> Result<Vec<(Context, LanguageScore)>, Infallible> {
        let extend = |&(&context, word): &(&Context, &str)| {
            let word = self.words.get(word).copied().unwrap_or(UNKNOWN);
            let after = Context([context.0[1], word]);
            (after, self.score(context, word))
        };
        Ok(words.iter().map(extend).collect())
    }

    fn end(&mut self, states: &[&Context]) -> Result<Vec<LanguageScore>, Infallible> {
        Ok(states
            .iter()
            .map(|&&context| self.score(context, END))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_small_example_by_hand() {
        let model = KneserNey::train([["a", "b"], ["a", "c"]]).unwrap();
        // Unigrams: a after <s>; b and c after a; the end after b and after c: counts 1, 1, 1, 2 of 5.
        let unigram = |count: f64| (count - 0.75 + 0.75 * 4.0 / 5.0) / 5.0;
        // b once of the two distinct pairs after a, of which each is found after one word.
        let bigram = (1.0 - 0.75 + 0.75 * 2.0 * unigram(1.0)) / 2.0;
        let trigram = (1.0 - 0.75 + 0.75 * 2.0 * bigram) / 2.0;
        let found = model.clone().sentences(&[vec!["a", "b"]]).unwrap()[0];
        let first = {
            let bigram = (1.0 - 0.75) + 0.75 * unigram(1.0);
            (2.0 - 0.75 + 0.75 * bigram) / 2.0
        };
        let end = {
            let bigram = (1.0 - 0.75) + 0.75 * unigram(2.0);
            (1.0 - 0.75) + 0.75 * bigram
        };
        let expected = first.ln() + trigram.ln() + end.ln();
        assert!(
            (found.log_probability - expected).abs() < 1e-12,
            "{found:?} {expected}"
        );
        assert_eq!(found.tokens, 3);
    }

    #[test]
    fn no_sentences_are_refused() {
        assert!(KneserNey::train(Vec::<Vec<&str>>::new()).is_err());
    }

    proptest! {
        #[test]
        fn probabilities_after_any_words_sum_to_one(
            sentences in prop::collection::vec(prop::collection::vec("[abc]", 0..5), 1..5),
            before in prop::collection::vec("[abcd]", 0..3),
        ) {
            let mut model = KneserNey::train(&sentences).unwrap();
            let mut context = model.start();
            for word in &before {
                context = model.extend(&[(&context, word)]).unwrap()[0].0;
            }
            let mut words: Vec<String> = model.words.keys().map(|word| word.to_string()).collect();
            words.push("unknown".to_owned());
            let asked: Vec<_> = words.iter().map(|word| (&context, word.as_str())).collect();
            let scored = model.extend(&asked).unwrap();
            let end = model.end(&[&context]).unwrap()[0];
            let scores = scored.iter().map(|(_, score)| score).chain([&end]);
            let total: f64 = scores.map(|score| score.log_probability.exp()).sum();
            prop_assert!((total - 1.0).abs() < 1e-12, "{}", total);
        }

        #[test]
        fn sentences_are_scored_together_as_one_by_one(
            sentences in prop::collection::vec(prop::collection::vec("[abc]", 0..5), 1..5),
        ) {
            let mut model = KneserNey::train([["a", "b"], ["b", "c"]]).unwrap();
            let sentences: Vec<Vec<&str>> = sentences
                .iter()
                .map(|sentence| sentence.iter().map(String::as_str).collect())
                .collect();
            let together = model.sentences(&sentences).unwrap();
            for (sentence, score) in sentences.iter().zip(together) {
                let alone = model.sentences(std::slice::from_ref(sentence)).unwrap();
                prop_assert_eq!(alone[0], score);
                prop_assert_eq!(score.tokens, sentence.len() + 1);
            }
        }
    }
}
