//! The folder of an array: its scripts, its shards, and what it is.

use crate::output;
use anyhow::{Context, ensure};
use layerwise::files::{self, Links};
use layerwise::journal::Shard;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// `OUT.array`, beside the output of the whole run.
pub(super) struct ArrayFolder {
    path: PathBuf,
    out: String,
    name: String,
}

/// What an array is, in its folder.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    layerwise: String,
    /// How many tasks there are.
    pub tasks: u32,
    /// The name of its jobs.
    pub name: String,
    /// Whether Slurm has it.
    pub is_slurm: bool,
    /// The command of which each task runs a shard.
    pub command: Vec<String>,
}

/// The file of the [`Record`].
const RECORD: &str = "array.json";
/// The most bytes of it that are read.
const MOST_BYTES: u64 = 1 << 20;

impl ArrayFolder {
    /// That of a run with this output, which is relative to `from`.
    ///
    /// # Errors
    /// A path that scripts cannot hold, or an output that is none.
    pub(super) fn of(from: &Path, out: &Path) -> anyhow::Result<Self> {
        // As components, so that a slash at the end is gone.
        let out: PathBuf = from.join(out).components().collect();
        let text = out
            .to_str()
            .with_context(|| format!("{}: expected a path in UTF-8", out.display()))?;
        ensure!(
            out.file_name().is_some(),
            "{text}: expected the name of an output"
        );
        Ok(Self {
            path: PathBuf::from(format!("{text}.array")),
            name: format!("layerwise-{}", &files::sha256(text.as_bytes())[..10]),
            out: text.to_owned(),
        })
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of its jobs.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Where the output of the whole run goes.
    pub(super) fn out(&self) -> &str {
        &self.out
    }

    /// What the outputs of a sweep's tasks begin with; their numbers and `.csv` follow.
    pub(super) fn part_prefix(&self) -> String {
        format!("{}.array/part-", self.out)
    }

    /// The output of the tasks of `reproduce`.
    pub(super) fn shards(&self) -> String {
        format!("{}.array/shards", self.out)
    }

    /// What the marks of tasks that have ended well begin with; their numbers follow.
    pub(super) fn done_prefix(&self) -> String {
        format!("{}.array/done-", self.out)
    }

    /// What the array is.
    pub(super) fn record(&self, tasks: u32, is_slurm: bool, command: &[String]) -> Record {
        Record {
            layerwise: env!("CARGO_PKG_VERSION").to_owned(),
            tasks,
            name: self.name.clone(),
            is_slurm,
            command: command.to_vec(),
        }
    }

    /// Refuses a folder that holds another array, or cannot be written to.
    ///
    /// # Errors
    /// The message names what is in the way.
    pub(super) fn check(&self, record: &Record) -> anyhow::Result<()> {
        output::check_folder(&self.path)?;
        for file in [RECORD, "tasks.sh", "merge.sh"] {
            output::check_file(&self.path.join(file))?;
        }
        if self.path.join(RECORD).exists() {
            let found = Record::read(&self.path)?;
            let same = (found.tasks, &found.command) == (record.tasks, &record.command);
            ensure!(
                same,
                "{}: holds an array of {} tasks of another command or number; give another --out, or remove it",
                self.path.display(),
                found.tasks
            );
        }
        Ok(())
    }

    /// Writes the scripts, and what the array is.
    ///
    /// # Errors
    /// They cannot be written.
    pub(super) fn write(&self, record: &Record, task: &str, merge: &str) -> anyhow::Result<()> {
        output::make_folder(&self.path)?;
        output::write(&self.path.join("tasks.sh"), task.as_bytes())?;
        output::write(&self.path.join("merge.sh"), merge.as_bytes())?;
        let json = serde_json::to_string_pretty(record)? + "\n";
        output::write(&self.path.join(RECORD), json.as_bytes())
    }
}

impl Record {
    /// That of a folder.
    ///
    /// # Errors
    /// No such file, or one that says something else.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let file = files::open(&folder.join(RECORD), Links::Refuse)?;
        let path = file.path().display().to_string();
        let record: Self = serde_json::from_slice(&file.read_all(MOST_BYTES)?)
            .with_context(|| format!("{path}: not what `submit` writes"))?;
        ensure!(
            (2..=Shard::MAX_COUNT).contains(&record.tasks),
            "{path}: tasks: expected a number from 2 to {}, found {}",
            Shard::MAX_COUNT,
            record.tasks
        );
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        ensure!(
            record.name.len() < 100 && record.name.chars().all(is_name),
            "{path}: name: expected letters, digits and `-`, found {:.100?}",
            record.name
        );
        Ok(record)
    }
}
