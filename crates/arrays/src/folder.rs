//! The folder of an array: its scripts, its shards and its record.

use crate::ArrayError;
use layerwise_files::{self as files, Links};
use layerwise_journal::Shard;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// `OUT.array`, next to the output of the whole run.
#[derive(Clone, Debug)]
pub struct ArrayFolder {
    path: PathBuf,
    out: String,
    name: String,
}

/// The record of an array, in its folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    layerwise: String,
    /// The number of tasks.
    pub tasks: u32,
    /// The name of its jobs.
    pub name: String,
    /// Whether it runs on Slurm.
    pub is_slurm: bool,
    /// The command of which each task runs a shard.
    pub command: Vec<String>,
}

/// The largest accepted record, in bytes.
const MOST_BYTES: u64 = 1 << 20;

impl ArrayFolder {
    /// The folder for a run with this output, which is relative to `from`.
    ///
    /// # Errors
    /// The path cannot be written into scripts, or is not that of an output.
    pub fn of(from: &Path, out: &Path) -> Result<Self, ArrayError> {
        // As components, so that a trailing slash is dropped.
        let out: PathBuf = from.join(out).components().collect();
        let Some(text) = out.to_str() else {
            return Err(ArrayError::NotUtf8 { path: out });
        };
        if out.file_name().is_none() {
            return Err(ArrayError::NoName { path: out });
        }
        Ok(Self {
            path: PathBuf::from(format!("{text}.array")),
            name: format!("layerwise-{}", &files::sha256(text.as_bytes())[..10]),
            out: text.to_owned(),
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name of its jobs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The output of the whole run.
    pub fn out(&self) -> &str {
        &self.out
    }

    /// The prefix of the outputs of a sweep's tasks; their numbers and `.csv` follow.
    pub fn part_prefix(&self) -> String {
        format!("{}.array/part-", self.out)
    }

    /// The output of the tasks of `reproduce`.
    pub fn shards(&self) -> String {
        format!("{}.array/shards", self.out)
    }

    /// The prefix of the marks that successful tasks leave; their numbers follow.
    pub fn done_prefix(&self) -> String {
        format!("{}.array/done-", self.out)
    }

    /// The record of the array.
    pub fn record(&self, tasks: u32, is_slurm: bool, command: &[String]) -> Record {
        Record {
            layerwise: env!("CARGO_PKG_VERSION").to_owned(),
            tasks,
            name: self.name.clone(),
            is_slurm,
            command: command.to_vec(),
        }
    }

    /// Refuses a folder that holds another array.
    ///
    /// # Errors
    /// The folder holds another array, or an invalid record.
    pub fn check(&self, record: &Record) -> Result<(), ArrayError> {
        if !self.path.join(Record::FILE).exists() {
            return Ok(());
        }
        let found = Record::read(&self.path)?;
        match (found.tasks, &found.command) == (record.tasks, &record.command) {
            true => Ok(()),
            false => Err(ArrayError::OtherArray {
                path: self.path.clone(),
                tasks: found.tasks,
            }),
        }
    }
}

impl Record {
    /// Its file in the folder of the array.
    pub const FILE: &str = "array.json";

    /// As JSON, with a final newline.
    ///
    /// # Errors
    /// Never for values in memory; the type is that of the JSON writer.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// The record of a folder.
    ///
    /// # Errors
    /// The file does not exist, or says something else.
    pub fn read(folder: &Path) -> Result<Self, ArrayError> {
        let file = files::open(&folder.join(Self::FILE), Links::Refuse)?;
        let path = || file.path().to_owned();
        let record: Self =
            serde_json::from_slice(&file.read_all(MOST_BYTES)?).map_err(|source| {
                ArrayError::NotARecord {
                    path: path(),
                    source,
                }
            })?;
        if !(2..=Shard::MAX_COUNT).contains(&record.tasks) {
            return Err(ArrayError::Tasks {
                path: path(),
                found: record.tasks,
            });
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if record.name.len() >= 100 || !record.name.chars().all(is_name) {
            return Err(ArrayError::Name {
                path: path(),
                found: record.name,
            });
        }
        Ok(record)
    }
}
