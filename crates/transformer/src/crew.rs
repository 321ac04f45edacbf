//! Who carries out a forward pass: threads, and what each needs for itself.

use layerwise_kernels::gemm::Scratch;
use layerwise_kernels::team::Team;
use ndarray::Array2;
use std::sync::Arc;

/// A team with its tools.
#[derive(Debug)]
pub(crate) struct Crew {
    team: Arc<Team>,
    /// One for each thread.
    pub(crate) hands: Vec<Hand>,
}

/// What a thread needs for itself.
#[derive(Debug)]
pub(crate) struct Hand {
    pub(crate) scratch: Scratch,
    /// Attention scores.
    pub(crate) scores: Array2<f32>,
}

impl Crew {
    /// With room for attention scores \[queries, keys\] on each thread.
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

    /// Does the work on every part, each on one thread.
    pub(crate) fn share<T: Send>(
        &mut self,
        parts: impl IntoIterator<Item = T>,
        work: impl Fn(&mut Hand, T) + Sync,
    ) {
        self.team.share(&mut self.hands, parts, work);
    }
}
