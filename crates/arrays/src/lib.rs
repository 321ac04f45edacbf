//! Divides runs into an array of tasks, each of which runs a shard: scripts for Slurm or a shell, and the progress of each task.
//!
//! The journals of the shards hold all finished work, so a task that was preempted or killed resumes when it is started again,
//! and [`Status`] is read from them. Nothing here starts a program: the caller passes the scripts to `sbatch`, and the answers of
//! Slurm to [`queued`].
//!
//! ```
//! use layerwise_arrays::{ArrayFolder, Job};
//! use std::num::NonZeroUsize;
//! use std::path::Path;
//!
//! let folder = ArrayFolder::of(Path::new("/data"), Path::new("out.csv"))?;
//! let job = Job {
//!     tasks: 4,
//!     cpus: NonZeroUsize::MIN,
//!     memory_mib: None,
//!     time: None,
//!     partition: None,
//!     from: "/data",
//!     folder: &folder,
//!     run: "my-program --shard \"$task/4\"",
//!     merge: "exec my-program --merge",
//! };
//! assert!(job.task_script().contains("#SBATCH --array=1-4\n"));
//! # Ok::<(), layerwise_arrays::ArrayError>(())
//! ```

mod error;
mod folder;
mod numbers;
mod script;
mod slurm;
mod state;
mod status;

pub use error::ArrayError;
pub use folder::{ArrayFolder, Record};
pub use numbers::{Tasks, TimeLimit};
pub use script::{Job, parallel, quoted, shell_loop};
pub use slurm::{job_number, queued, retry, retry_before_merging};
pub use state::State;
pub use status::{Measurement, Status};
