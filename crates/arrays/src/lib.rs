//! Runs divided into an array of tasks, each of which runs a shard: the scripts, for Slurm or a shell, and how far each task is.
//!
//! What is finished is in the journals of the shards, so that a task that was preempted or killed goes on when it is started
//! again, and [`Status`] is read from them. Nothing here starts a program: whoever submits hands the scripts to `sbatch`, and
//! the answers of Slurm to [`queued`].
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
