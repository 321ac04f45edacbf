//! A transformer as a language model of transcripts.
//!
//! [`Scorer`] is a [`LanguageModel`](layerwise_transcripts::LanguageModel) over any model and its tokenizer, for everything in
//! [`layerwise_transcripts`]. Sentences of one request with a common beginning are branches of one batch, and the beginning runs
//! once. Sentences that grow word by word, as along the beams of a lattice, continue from forked keys and values. A [`Writer`]
//! continues prompts, freely or along the paths of a word lattice.

mod asked;
mod branch;
mod error;
mod kept;
mod scorer;
#[cfg(test)]
mod testing;
mod trie;
mod writer;

pub use asked::{Answer, Asked};
pub use error::RescoringError;
pub use kept::KeptScores;
pub use scorer::{Options, Prefix, Scored, Scorer, Watcher};
pub use writer::{Writer, Written};
