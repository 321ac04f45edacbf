//! The clock that experiments take times with.

use crate::experiments::core::clock::Clock;
use layerwise::transformer::Team;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

/// The clock of this machine, and the threads that share the work of each token.
pub struct Stopwatch {
    started: Instant,
    team: Arc<Team>,
}

impl Stopwatch {
    /// With so many threads.
    pub fn new(threads: NonZeroUsize) -> Self {
        Self {
            started: Instant::now(),
            team: Arc::new(Team::new(threads)),
        }
    }
}

impl Clock for Stopwatch {
    fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    fn team(&self) -> &Arc<Team> {
        &self.team
    }
}
