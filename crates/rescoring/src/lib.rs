//! A transformer as a language model of transcripts.
//!
//! [`Scorer`] is a [`LanguageModel`](layerwise_transcripts::LanguageModel) over any model and its tokenizer, so that
//! everything in [`layerwise_transcripts`] can ask it. The sentences of one request that begin alike are branches of one
//! batch, and what they share is run once.

mod error;
mod scorer;
mod trie;

pub use error::RescoringError;
pub use scorer::{Options, Prefix, Scorer};
