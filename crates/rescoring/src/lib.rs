//! A transformer as a language model of transcripts.
//!
//! [`Scorer`] is a [`LanguageModel`](layerwise_transcripts::LanguageModel) over any model and its tokenizer, so that
//! everything in [`layerwise_transcripts`] can ask it. The sentences of one request that begin alike are branches of one
//! batch, and what they share is run once; sentences that grow word by word, as along the beams of a lattice, go on from forked
//! keys and values. A [`Writer`] continues prompts, freely or along the paths of a word lattice.

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
