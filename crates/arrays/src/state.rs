//! The state of a task.

use std::fmt;

/// The state of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// All of its work is done, and its journals hold it.
    Finished,
    /// A process is working on it.
    Running,
    /// Slurm will start it.
    Waiting,
    /// It was never begun, or stopped before its end.
    Missing,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finished => "finished",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Missing => "missing",
        })
    }
}
