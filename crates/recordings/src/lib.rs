//! What runs give at each token, streamed to safetensors files that a stopped run goes on with.
//!
//! [`Activations`] holds what any sites hold under a schedule; [`PerToken`] what every schedule of a sweep gives at each token,
//! with means over classes of tokens. Both files begin with the token ids, in I64: `tokens`, the sequences one after another,
//! and `sequence_offsets`, where each begins and at last their number.
//!
//! A file grows under a temporary name in the folder of its run, beside the journal, and is renamed once it is whole.

mod activations;
mod error;
mod layout;
mod per_token;

pub use activations::{Activations, Tensor, occurrences, tensors};
pub use error::RecordingError;
pub use per_token::{PerToken, Place};
