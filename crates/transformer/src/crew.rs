//! The threads of a forward pass, and the buffers of each.

use layerwise_kernels::gemm::Scratch;
use layerwise_kernels::team::Team;
use ndarray::Array2;
use std::sync::Arc;

/// A team of threads with their buffers.
#[derive(Debug)]
pub(crate) struct Crew {
    team: Arc<Team>,
    /// One for each thread.
    pub(crate) hands: Vec<Hand>,
}

/// The buffers of one thread.
#[derive(Debug)]
pub(crate) struct Hand {
    pub(crate) scratch: Scratch,
    /// Attention scores.
    pub(crate) scores: Array2<f32>,
}

impl Crew {
    /// Allocates room for attention scores \[queries, keys\] on each thread.
    pub(crate) fn new(team: &Arc<Team>, queries: usize, keys: usize) -> Self {
        let hand = |_| Hand {
            scratch: Scratch::default(),
            scores: Array2::zeros((queries, keys)),
        };
        Self {
            team: Arc::clone(team),
            hands: (0..team.threads()).map(hand).collect(),
        }
    }

    /// Runs `work` on every part, each part on one thread.
    pub(crate) fn share<T: Send>(
        &mut self,
        parts: impl IntoIterator<Item = T>,
        work: impl Fn(&mut Hand, T) + Sync,
    ) {
        self.team.share(&mut self.hands, parts, work);
    }
}
