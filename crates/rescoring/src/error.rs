//! The crate's error type.

use layerwise_corpus::CorpusError;
use layerwise_generate::GenerateError;
use layerwise_journal::JournalError;
use layerwise_schedule::ScheduleError;
use layerwise_transcripts::TranscriptError;
use layerwise_transformer::TransformerError;

/// Why sentences cannot be scored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RescoringError {
    /// A token before or after each sentence is outside the model's vocabulary.
    #[error("token {token}: expected an id below {vocab}, the size of the model's vocabulary")]
    Token {
        /// The token.
        token: u32,
        /// The size of the vocabulary, in tokens.
        vocab: usize,
    },
    /// A token spans the end of the prefix and the beginning of a sentence.
    #[error(
        "the prefix {prefix:?} shares a token with the beginning of {sentence:?}; end the prefix with a full stop"
    )]
    Prefix {
        /// The prefix.
        prefix: String,
        /// The sentence.
        sentence: String,
    },
    /// A sentence, with the text before it, is longer than the model's context.
    #[error(
        "a sentence of {found} tokens is longer than the model's context of {context}: {sentence:.60?}"
    )]
    Length {
        /// The sentence.
        sentence: String,
        /// The number of its tokens, with those before it.
        found: usize,
        /// The model's context, in tokens.
        context: usize,
    },
    /// The model's context was full before a correction ended.
    #[error(
        "the correction of `{id}` does not fit: after a prompt of {prompt} tokens, the model's context of {context} is full at {text:.60?}; shorten the prompt, or take a model with a longer context"
    )]
    Cut {
        /// The utterance.
        id: String,
        /// The number of tokens of the prompt.
        prompt: usize,
        /// The text so far.
        text: String,
        /// The model's context, in tokens.
        context: usize,
    },
    /// A correction cannot be written.
    #[error("the correction of `{id}`: {source}")]
    Correction {
        /// The utterance.
        id: String,
        /// The reason.
        source: Box<RescoringError>,
    },
    /// The log-probability that the model gives a token is not finite.
    #[error(
        "the log-probability of a sentence is not finite; the model's weights overflow, or are damaged"
    )]
    NotFinite,
    /// The stop signal was given.
    #[error("interrupted: {finished} of {all} batches of sentences are finished")]
    Interrupted {
        /// The number of finished batches.
        finished: usize,
        /// The number of batches of the request.
        all: usize,
    },
    /// The watcher refuses scores.
    #[error(transparent)]
    Watcher(Box<dyn std::error::Error + Send + Sync>),
    /// Scores cannot be stored, or those of an earlier run cannot be used.
    #[error("{0}")]
    Journal(#[from] JournalError),
    /// The model cannot write a correction.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// A list has no lattice.
    #[error(transparent)]
    Transcript(#[from] TranscriptError),
    /// The tokenizer refuses a sentence.
    #[error(transparent)]
    Tokenizer(#[from] CorpusError),
    /// The model has no plain schedule.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The model refuses a batch.
    #[error(transparent)]
    Model(#[from] TransformerError),
}

impl RescoringError {
    /// The error with the utterance whose correction it concerns.
    pub(crate) fn of_correction(self, id: &str) -> Self {
        match self {
            Self::Cut { .. } => self, // names it already
            source => Self::Correction {
                id: id.to_owned(),
                source: Box::new(source),
            },
        }
    }
}
