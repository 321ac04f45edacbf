//! Per-token results, streamed to safetensors files that a stopped run resumes.
//!
//! [`Activations`] holds the activations at any sites under a schedule; [`PerToken`] holds the results of every schedule of a
//! sweep at each token, with means over classes of tokens. Both files begin with the token ids, in I64: `tokens`, the sequences
//! one after another, and `sequence_offsets`, the position where each begins and finally their total number.
//!
//! A file grows under a temporary name in the folder of its run, next to the journal, and is moved to its place once it is
//! complete.

mod activations;
mod error;
mod layout;
mod moving;
mod per_token;

pub use activations::{Activations, Tensor, occurrences, tensors};
pub use error::RecordingError;
pub use moving::move_file;
pub use per_token::{PerToken, Place};
