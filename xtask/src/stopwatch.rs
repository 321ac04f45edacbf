//! The clock for experiments that measure times.

use crate::experiments::core::clock::{Budget, Clock};
use crate::labelled::check_read;
use layerwise::transformer::Team;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

/// Options for measuring times.
#[derive(clap::Args)]
pub struct Timing {
    /// Measure times too, in sublayer-skip and early-exit; their columns then depend on this machine and its load
    #[arg(long)]
    times: bool,
    /// Tokens to decode after each prompt when times are measured
    #[arg(long, value_name = "N", default_value = "128", requires = "times")]
    timed_tokens: NonZeroUsize,
    /// Repetitions when times are measured, after a first one that is discarded
    #[arg(long, value_name = "N", default_value = "5", requires = "times")]
    timed_repetitions: NonZeroUsize,
}

/// The experiments that measure times.
const TIMED: [&str; 2] = ["sublayer-skip", "early-exit"];

impl Timing {
    /// The clock, if times are measured.
    ///
    /// # Errors
    /// None of the experiments measures times.
    pub fn stopwatch(
        &self,
        threads: NonZeroUsize,
        experiments: &[&str],
    ) -> anyhow::Result<Option<Stopwatch>> {
        check_read("times", self.times, &TIMED, experiments)?;
        let budget = Budget::default().with(|it| {
            it.decoded = self.timed_tokens.get();
            it.repetitions = self.timed_repetitions.get();
        });
        Ok(self.times.then(|| Stopwatch {
            budget,
            ..Stopwatch::new(threads)
        }))
    }
}

/// The clock of this machine, and the threads that share the work of each token.
pub struct Stopwatch {
    started: Instant,
    team: Arc<Team>,
    budget: Budget,
}

impl Stopwatch {
    /// The clock, with this many threads.
    pub fn new(threads: NonZeroUsize) -> Self {
        Self {
            started: Instant::now(),
            team: Arc::new(Team::new(threads)),
            budget: Budget::default(),
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

    fn budget(&self) -> Budget {
        self.budget
    }
}
