//! What is answered with one token, with what was read of it.

use super::readings::Position;
use layerwise_exits::{Reading, Vocab};
use layerwise_sweep::Held;
use std::sync::Arc;

/// The name of the task of running text.
pub(super) const NEXT_TOKEN: &str = "next-token";

/// Something that is answered with one token.
pub(super) struct Instance {
    pub(super) position: Position,
    pub(super) gold: Option<u32>,
    /// Index of the right option.
    pub(super) answer: Option<usize>,
    /// The first tokens of its options.
    pub(super) options: Vec<u32>,
    /// Its tokens; of running text none are kept.
    pub(super) prompt: Vec<u32>,
    /// Tokens that are run for it.
    pub(super) tokens: usize,
    /// What errors are clustered by.
    pub(super) cluster: usize,
}

impl Instance {
    /// After 1 to L blocks.
    pub(super) fn readings(&self) -> &[Reading] {
        &self.position.readings
    }

    /// Whether a reading has the answer that the full model gives.
    pub(super) fn is_final(&self, reading: &Reading, vocab: Vocab) -> bool {
        let answer = self.readings().last().and_then(|last| vocab.answer(last));
        answer.is_some() && vocab.of(reading).map(|own| own.first) == answer
    }
}

/// A task with what was read of it.
pub(super) struct Read {
    pub(super) name: String,
    pub(super) training: Vec<Instance>,
    pub(super) test: Vec<Instance>,
    /// How many prompts are longer than the model's context, and left out.
    pub(super) too_long: usize,
}

/// Tasks with what was read of them, and the memory that they take.
pub(super) struct Reads {
    pub(super) tasks: Vec<Read>,
    pub(super) _memory: (Vec<Held>, Arc<Held>),
}
