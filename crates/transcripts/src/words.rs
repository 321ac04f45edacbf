//! Words as integers, so that comparing two costs one instruction.

use std::collections::HashMap;
use std::sync::Arc;

/// A word of a [`Vocabulary`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WordId(u32);

impl WordId {
    /// Its index in the order of adding.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The words of a set of transcripts, each once.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    words: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, WordId>,
}

impl Vocabulary {
    /// An empty vocabulary.
    pub fn new() -> Self {
        Self::default()
    }

    /// The id of a word, which is added if it is new.
    ///
    /// # Panics
    ///
    /// At 2³² words, which the readers' limits exclude.
    pub fn add(&mut self, word: &str) -> WordId {
        if let Some(&id) = self.ids.get(word) {
            return id;
        }
        let id = WordId(u32::try_from(self.words.len()).expect("fewer than 2^32 words"));
        let word: Arc<str> = word.into();
        self.words.push(Arc::clone(&word));
        self.ids.insert(word, id);
        id
    }

    /// The ids of words, in order.
    pub fn add_all<W: AsRef<str>>(&mut self, words: impl IntoIterator<Item = W>) -> Vec<WordId> {
        words
            .into_iter()
            .map(|word| self.add(word.as_ref()))
            .collect()
    }

    /// The id of a word, if it is known.
    pub fn id(&self, word: &str) -> Option<WordId> {
        self.ids.get(word).copied()
    }

    /// A word of this vocabulary.
    ///
    /// # Panics
    ///
    /// If the id belongs to another vocabulary with more words.
    pub fn word(&self, id: WordId) -> &str {
        &self.words[id.index()]
    }

    /// The number of words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are no words.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The words as strings.
    ///
    /// # Panics
    ///
    /// As [`word`](Self::word).
    pub fn words(&self, words: &[WordId]) -> Vec<&str> {
        words.iter().map(|&id| self.word(id)).collect()
    }

    /// The words joined by spaces.
    ///
    /// # Panics
    ///
    /// As [`word`](Self::word).
    pub fn text(&self, words: &[WordId]) -> String {
        self.words(words).join(" ")
    }
}
