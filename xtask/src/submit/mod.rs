//! `submit`: runs a sweep or `reproduce` as an array of tasks, each of which runs a shard, with a merge after them.
//!
//! Slurm and a plain shell run the same scripts. Finished work is in the journals of the shards, so that a task that was
//! preempted or killed resumes when it is started again.

mod command;
mod script;
mod slurm;
mod status;

use crate::memory::Size;
use crate::trial::Trial;
use crate::{arguments, output, program};
use anyhow::Context;
use command::Command;
use layerwise::arrays::{self, ArrayFolder, Job, Record, TimeLimit};
use layerwise::journal::Shard;
use script::Commands;
use std::io::Write;
use std::num::NonZeroUsize;
use std::time::Duration;

/// Options of `submit`.
#[derive(clap::Args)]
#[command(after_help = format!("\
Examples:
  {0} submit slurm --array 8 --cpus 4 -- reproduce --model path/to/pythia-1b --corpus pile.jsonl --out figures
  {0} submit shell --array 4 -- sweep 'drop(l)' --out drop.csv
  {0} submit status drop.csv", program::name()))]
pub struct Arguments {
    #[command(subcommand)]
    how: How,
}

#[derive(clap::Subcommand)]
enum How {
    /// Submit an array job, and a job after it that merges
    Slurm(Slurm),
    /// Write the same scripts for a shell, and show how to run them
    Shell(Array),
    /// Show which tasks are finished, running and missing, according to their journals, and how to run what is missing
    Status(status::Arguments),
}

#[derive(clap::Args)]
struct Slurm {
    /// The partition for the jobs [default: the cluster's]
    #[arg(long, value_name = "P", value_parser = partition)]
    partition: Option<String>,
    /// The time limit of a task, as Slurm writes it [default: twice the time predicted from the first items]
    #[arg(long, value_name = "T")]
    time: Option<TimeLimit>,
    /// Memory of a task, such as 24G [default: the bound of the plan, and a quarter more]
    #[arg(long, value_name = "M")]
    memory: Option<Size>,
    #[command(flatten)]
    array: Array,
}

#[derive(clap::Args)]
struct Array {
    /// The number of tasks
    #[arg(long = "array", value_name = "N", default_value = "4", value_parser = tasks)]
    tasks: u32,
    /// Cores of a task
    #[arg(long, value_name = "C", default_value = "2", value_parser = arguments::threads)]
    cpus: NonZeroUsize,
    /// Show the scripts, without writing or submitting anything
    #[arg(long)]
    dry_run: bool,
    /// `sweep` or `reproduce`, with its options
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// The command cannot be divided, its inputs are invalid, scripts cannot be written, or Slurm refuses.
pub fn submit(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.how {
        How::Slurm(slurm) => submit_slurm(slurm),
        How::Shell(array) => submit_shell(array),
        How::Status(arguments) => status::status(arguments),
    }
}

fn submit_slurm(arguments: &Slurm) -> anyhow::Result<()> {
    let Slurm {
        partition,
        array,
        time,
        memory,
    } = arguments;
    let command = Command::parse(&array.command)?;
    if !array.dry_run {
        slurm::check()?;
    }
    let place = Place::of(&command)?;
    let record = place.folder.record(array.tasks, true, &array.command);
    place.check(&record)?;
    let foreseen = match (time, memory) {
        (Some(_), Some(_)) => None,
        _ => {
            let trial: &'static Trial = Box::leak(Box::new(Trial::new(time.is_none())));
            let again = Command::parse(&array.command)?;
            again
                .run_trial(trial, array.cpus)
                .context("running the first items to predict memory and time (--memory and --time avoid this)")?;
            Some(trial.foreseen())
        }
    };
    let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
    let limits = Limits {
        time: Some(match (time, foreseen) {
            (Some(time), _) => time.clone(),
            (None, foreseen) => {
                let share = foreseen.unwrap_or_default().share(array.tasks);
                let share =
                    share.context("this run has no items that could be timed; give --time T")?;
                TimeLimit::at_least((START + share * 2).as_secs())
            }
        }),
        memory_mib: Some(match (memory, foreseen) {
            (Some(size), _) => mebibytes(size.0),
            (None, foreseen) => {
                let bound = mebibytes(foreseen.unwrap_or_default().bytes);
                bound + (bound / 4).max(BESIDES)
            }
        }),
        partition: partition.clone(),
    };
    let [task, merge] = place.scripts(&command, array, limits);
    if array.dry_run {
        return Ok(show(&place.folder, &task, &merge)?);
    }
    place.write(&record, &task, &merge)?;
    let [job, after] = slurm::submit(&place.folder)?;
    let shown = show(&place.folder, &task, &merge);
    output::say(format_args!(
        "submitted: the tasks as job {job}, the merge as job {after}; `{} submit status {}` shows their progress",
        program::name(),
        arrays::quoted(&place.folder.path().display().to_string())
    ));
    shown?;
    output::print_paths([place.folder.path()])?;
    Ok(())
}

fn submit_shell(array: &Array) -> anyhow::Result<()> {
    let command = Command::parse(&array.command)?;
    let place = Place::of(&command)?;
    let record = place.folder.record(array.tasks, false, &array.command);
    place.check(&record)?;
    let [task, merge] = place.scripts(&command, array, Limits::default());
    if array.dry_run {
        return Ok(show(&place.folder, &task, &merge)?);
    }
    place.write(&record, &task, &merge)?;
    let shown = show(&place.folder, &task, &merge);
    let (path, tasks) = (place.folder.path(), format!("$(seq {})", array.tasks));
    let at_once = arguments::threads_or_cores(None).get() / array.cpus.get();
    output::say(format_args!(
        "one task after the other: {}",
        arrays::shell_loop(path, &tasks)
    ));
    output::say(format_args!(
        "with GNU parallel: {}",
        arrays::parallel(path, &tasks, at_once.max(1))
    ));
    shown?;
    output::print_paths([path])?;
    Ok(())
}

/// The time allowed for a task to start, read its inputs and end.
const START: Duration = Duration::from_secs(300);
/// MiB of a task besides what is counted: the program, its threads' stacks, a tokenizer.
const BESIDES: u64 = 512;

/// The scripts of an array, in its folder.
const TASKS: &str = "tasks.sh";
const MERGE: &str = "merge.sh";

/// The resources to request from Slurm.
#[derive(Default)]
struct Limits {
    time: Option<TimeLimit>,
    memory_mib: Option<u64>,
    partition: Option<String>,
}

/// Paths, as text for the scripts.
struct Place {
    from: String,
    program: String,
    folder: ArrayFolder,
}

impl Place {
    fn of(command: &Command) -> anyhow::Result<Self> {
        let from = std::env::current_dir().context("the current folder")?;
        let program = std::env::current_exe().context("the path of this program")?;
        let text = |path: &std::path::Path| {
            let text = path.to_str().map(str::to_owned);
            text.with_context(|| format!("{}: expected a path in UTF-8", path.display()))
        };
        if command.is_sweep() {
            output::check_file(&command.out)?;
            command.check_distinct()?;
        } else {
            output::check_folder_of_results(&command.out)?;
        }
        Ok(Self {
            folder: ArrayFolder::of(&from, &command.out)?,
            from: text(&from)?,
            program: text(&program)?,
        })
    }

    /// The scripts of a task and of the merge.
    fn scripts(&self, command: &Command, array: &Array, limits: Limits) -> [String; 2] {
        let commands = Commands {
            command,
            tasks: array.tasks,
            cpus: array.cpus,
            memory_mib: limits.memory_mib,
            program: &self.program,
            folder: &self.folder,
        };
        let job = Job {
            tasks: array.tasks,
            cpus: array.cpus,
            memory_mib: limits.memory_mib,
            time: limits.time,
            partition: limits.partition,
            from: &self.from,
            folder: &self.folder,
            run: &commands.run(),
            merge: &commands.merge(),
        };
        [job.task_script(), job.merge_script()]
    }

    /// Refuses a folder that holds another array, or cannot be written to.
    fn check(&self, record: &Record) -> anyhow::Result<()> {
        let path = self.folder.path();
        output::check_folder(path)?;
        for file in [Record::FILE, TASKS, MERGE] {
            output::check_file(&path.join(file))?;
        }
        Ok(self.folder.check(record)?)
    }

    /// Writes the scripts, and the description of the array.
    fn write(&self, record: &Record, task: &str, merge: &str) -> anyhow::Result<()> {
        let path = self.folder.path();
        output::make_folder(path)?;
        output::write(&path.join(TASKS), task.as_bytes())?;
        output::write(&path.join(MERGE), merge.as_bytes())?;
        output::write(&path.join(Record::FILE), record.json()?.as_bytes())
    }
}

/// Prints the scripts.
fn show(folder: &ArrayFolder, task: &str, merge: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (name, text) in [(TASKS, task), (MERGE, merge)] {
        let path = folder.path().join(name);
        writeln!(out, "== {}", output::plain(&path.display().to_string()))?;
        for line in text.lines() {
            writeln!(out, "{}", output::plain(line))?;
        }
    }
    Ok(())
}

fn tasks(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|tasks| (2..=Shard::MAX_COUNT).contains(tasks))
        .ok_or_else(|| format!("expected a number from 2 to {}", Shard::MAX_COUNT))
}

fn partition(text: &str) -> Result<String, String> {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "-_.,".contains(c);
    match (1..=200).contains(&text.len()) && text.chars().all(is_letter) {
        true => Ok(text.to_owned()),
        false => Err("expected the name of a partition: letters, digits, `-`, `_`, `.`".to_owned()),
    }
}
