//! What becomes of the tasks of an array.

use std::fmt;

/// What becomes of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Everything is done, and its journals hold it.
    Finished,
    /// A process is at work.
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
