//! A log of finished work, so that a run can be stopped at any moment and go on later, or be shared out among processes.
//!
//! A run is a number of *units* of work, each with one result.
//! The [`Journal`] takes up each finished unit: one line of JSON behind its checksum, appended and synchronised with the
//! disk before it counts.
//! Of a long unit it takes up parts as well ([`Journal::record_parts`]), so that an interruption costs no more than what is
//! in hand.
//! A crash of the program, or of the machine, can tear no line but the last.
//! The first line is the [`RunDescription`], whose [`RunKey`] is a hash of everything the results depend on:
//! a journal of other inputs is refused.
//! A [`Shard`] is a share of a run's units, and [`merge`] puts the journals of all shards together; [`Divided`] says by which
//! command a share of several runs was started.
//!
//! What a unit is, and what its result says, is up to the caller: nothing here knows models or schedules.
//!
//! ```
//! use layerwise_journal::{Journal, RunDescription, RunKey, Shard};
//!
//! let folder = std::env::temp_dir().join(format!("journal-example-{}", std::process::id()));
//! std::fs::create_dir_all(&folder)?;
//! let run = RunDescription::new(RunKey::of([b"inputs".as_slice()]), "squares".to_owned(), 3, ());
//! for unit in 0..3 {
//!     // Each opening goes on where the last one stopped.
//!     let mut journal = Journal::open(&folder.join("journal"), &run, false, |_, _| true)?;
//!     assert_eq!(journal.finished().len(), unit);
//!     journal.record(unit, unit * unit)?;
//! }
//! let finished = Journal::<usize>::open(&folder.join("journal"), &run, false, |_, _| true)?.into_finished();
//! assert_eq!(finished.into_values().collect::<Vec<_>>(), [0, 1, 4]);
//! std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a journal asks of the file system
//! Three things, all on the journal's own file: a lock that other processes see (`flock`), appended bytes that are on the
//! disk once `fdatasync` has returned, and `ftruncate`.
//! It renames nothing, and needs no lock on a folder.
//! Network file systems give the three to different degrees.
//! NFS version 4 does, on Linux; NFS version 3 without a lock daemon refuses the lock, and opening the journal fails as
//! [`JournalError::NoLocks`].
//! Lustre has locks that other hosts see only where it is mounted with the option `flock`: with `localflock`, two hosts that
//! were given the same output would both write to it.
//! Give each process of a shared run its own [`Shard`] and its own journal, as the command line does: then no two hosts ever
//! write to one file, and the lock only guards against the same shard being started twice.
//!
//! Who reads another's journal ([`Recorded::read`], [`Seen::look`]) takes a shared lock, or is told that it is held.
//! A writer waits for those who only read its journal.
//! Another host sees appended lines when its cache lets it, on NFS up to a minute later: what is not seen yet counts as not
//! finished, which costs a unit computed twice, and never a wrong one.

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
