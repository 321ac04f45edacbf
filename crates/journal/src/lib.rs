//! A log of finished work, so that a run can be stopped at any moment and resumed later, or divided among processes.
//!
//! A run is a number of *units* of work, each with one result.
//! The [`Journal`] records each finished unit: one line of JSON after its checksum, appended and synchronised to disk before the
//! unit counts.
//! It also records parts of a long unit ([`Journal::record_parts`]), so that an interruption loses only the work in progress.
//! A crash of the program or the machine can damage no line but the last.
//! The first line is the [`RunDescription`]. Its [`RunKey`] is a hash of everything the results depend on, and a journal with
//! other inputs is refused.
//! A [`Shard`] is a share of a run's units, and [`merge`] combines the journals of all shards. [`Divided`] records the command
//! that started a share of several runs.
//!
//! The caller defines what a unit and its result are; this crate knows no models or schedules.
//!
//! ```
//! use layerwise_journal::{Journal, RunDescription, RunKey, Shard};
//!
//! let folder = std::env::temp_dir().join(format!("journal-example-{}", std::process::id()));
//! std::fs::create_dir_all(&folder)?;
//! let run = RunDescription::new(RunKey::of([b"inputs".as_slice()]), "squares".to_owned(), 3, ());
//! for unit in 0..3 {
//!     // Each opening resumes where the last one stopped.
//!     let mut journal = Journal::open(&folder.join("journal"), &run, false, |_, _| true)?;
//!     assert_eq!(journal.finished().len(), unit);
//!     journal.record(unit, unit * unit)?;
//! }
//! let finished = Journal::<usize>::open(&folder.join("journal"), &run, false, |_, _| true)?.take_finished();
//! assert_eq!(finished.into_values().collect::<Vec<_>>(), [0, 1, 4]);
//! std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Requirements on the file system
//! There are three, all on the journal's own file: a lock that other processes see (`flock`), appended bytes that are on disk
//! once `fdatasync` has returned, and `ftruncate`.
//! It renames nothing, and needs no lock on a folder.
//! Network file systems differ in what they provide.
//! On Linux, NFS version 4 provides all three. NFS version 3 without a lock daemon refuses the lock, and opening the journal
//! fails with [`JournalError::NoLocks`].
//! Lustre has locks that other hosts see only if it is mounted with the option `flock`; with `localflock`, two hosts that were
//! given the same output would both write to it.
//! Give each process of a shared run its own [`Shard`] and its own journal, as the command line does. Then no two hosts write to
//! one file, and the lock only guards against starting the same shard twice.
//!
//! A reader of another process's journal ([`Recorded::read`], [`Seen::look`]) takes a shared lock, or learns that a writer holds
//! it. A writer waits for readers of its journal.
//! Another host sees appended lines only when its cache is refreshed, on NFS up to a minute later. Until then it counts them as
//! not finished, which may compute a unit twice but never gives a wrong one.

mod description;
mod divided;
mod error;
mod key;
mod lines;
mod log;
mod merging;
mod recorded;
mod shard;

pub use description::RunDescription;
pub use divided::Divided;
pub use error::{JournalError, Units};
pub use key::RunKey;
pub use lines::Part;
pub use log::Journal;
pub use merging::{Merged, merge};
pub use recorded::{Recorded, Seen, journals_in};
pub use shard::{Shard, ShardError};
