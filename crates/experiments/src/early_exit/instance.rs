//! Instances: one-token answers, with what was read of them.

use super::readings::Position;
use layerwise_exits::{Reading, Vocab};
use layerwise_sweep::Held;
use std::sync::Arc;

/// The name of the task of running text.
pub(super) const NEXT_TOKEN: &str = "next-token";

/// An instance: a prompt with a one-token answer.
pub(super) struct Instance {
    pub(super) position: Position,
    pub(super) gold: Option<u32>,
    /// Index of the right option.
    pub(super) answer: Option<usize>,
    /// The first tokens of its options.
    pub(super) options: Vec<u32>,
    /// Its tokens; for running text, empty.
    pub(super) prompt: Vec<u32>,
    /// Tokens run for it.
    pub(super) tokens: usize,
    /// The cluster of its errors.
    pub(super) cluster: usize,
}

impl Instance {
    /// Readings after 1 to L blocks.
    pub(super) fn readings(&self) -> &[Reading] {
        &self.position.readings
    }

    /// Whether a reading has the full model's answer.
    pub(super) fn is_final(&self, reading: &Reading, vocab: Vocab) -> bool {
        let answer = self.readings().last().and_then(|last| vocab.answer(last));
        answer.is_some() && vocab.of(reading).map(|own| own.first) == answer
    }
}

/// A task with the readings of its instances.
pub(super) struct Read {
    pub(super) name: String,
    pub(super) training: Vec<Instance>,
    pub(super) test: Vec<Instance>,
    /// The number of prompts longer than the model's context, which are left out.
    pub(super) too_long: usize,
}

/// Tasks with their readings, and the memory that they take.
pub(super) struct Reads {
    pub(super) tasks: Vec<Read>,
    pub(super) _memory: (Vec<Held>, Arc<Held>),
}
