//! Stores scores in a journal as they are finished.

use crate::{RescoringError, Scored};
use layerwise_journal::{Journal, RunDescription, RunKey};
use layerwise_transcripts::LanguageScore;
use std::path::Path;

/// The largest number of batches in a journal.
const MOST_BATCHES: usize = 1 << 40;

/// The sentences of a batch; for each sentence and for its end, the bits of the log-probability and the number of tokens.
type Batch = Vec<(String, [(u64, usize); 2])>;

/// A journal of sentence scores, batch by batch.
#[derive(Debug)]
pub struct KeptScores {
    journal: Journal<Batch>,
}

impl KeptScores {
    /// Opens the scores of an earlier run with the same key, or begins anew. `name` is the model's; `fresh` discards existing
    /// scores.
    ///
    /// # Errors
    /// The journal cannot be used, or belongs to another run.
    pub fn open(path: &Path, key: RunKey, name: &str, fresh: bool) -> Result<Self, RescoringError> {
        let about = "scores of sentences".to_owned();
        let run = RunDescription::new(key, name.to_owned(), MOST_BATCHES, about);
        let journal = Journal::open(path, &run, fresh, |parts, batch: &Batch| {
            let mut bits = batch.iter().flat_map(|(_, scores)| scores);
            parts.is_none() && bits.all(|(bits, _)| f64::from_bits(*bits).is_finite())
        })?;
        Ok(Self { journal })
    }

    /// Whether the last line was incomplete.
    pub fn was_torn(&self) -> bool {
        self.journal.was_torn()
    }

    /// Sentences with their scores and those of their ends.
    pub fn known(&self) -> impl Iterator<Item = (&str, [LanguageScore; 2])> {
        let score = |(bits, tokens): (u64, usize)| LanguageScore::new(f64::from_bits(bits), tokens);
        let known = self.journal.finished().values().flatten();
        known.map(move |(text, scores)| (text.as_str(), scores.map(score)))
    }

    /// Adds a batch.
    ///
    /// # Errors
    /// The batch cannot be written.
    pub fn keep(&mut self, scored: &[Scored<'_>]) -> Result<(), RescoringError> {
        let kept = |score: LanguageScore| (score.log_probability.to_bits(), score.tokens);
        let batch = scored
            .iter()
            .map(|(text, scores)| ((*text).to_owned(), scores.map(kept)));
        let unit = self.journal.finished().len();
        Ok(self.journal.record(unit, batch.collect())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_bit_by_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scores.journal");
        let open = |key: &str| KeptScores::open(&path, RunKey::of([key]), "gpt2", false);
        let scores = |first: f64| [LanguageScore::new(first, 3), LanguageScore::new(-0.1, 1)];
        let mut kept = open("a").unwrap();
        kept.keep(&[("one", scores(-1.0 / 3.0)), ("two", scores(-0.0))])
            .unwrap();
        kept.keep(&[("three", scores(-7.5))]).unwrap();
        drop(kept);
        let again = open("a").unwrap();
        let found: Vec<_> = again
            .known()
            .map(|(text, [own, _])| (text, own.log_probability.to_bits(), own.tokens))
            .collect();
        let bits = |value: f64| value.to_bits();
        let expected = [
            ("one", bits(-1.0 / 3.0), 3),
            ("two", bits(-0.0), 3),
            ("three", bits(-7.5), 3),
        ];
        assert_eq!(found, expected);
        assert!(!again.was_torn());
        drop(again);
        assert!(matches!(open("b"), Err(RescoringError::Journal(_))));
    }
}
