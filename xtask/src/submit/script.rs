//! The commands in the scripts of a task and of the merge.

use super::command::Command;
use layerwise::arrays::{ArrayFolder, quoted};
use std::num::NonZeroUsize;

/// What the commands are made from.
pub(super) struct Commands<'a> {
    /// The command of which each task runs a shard.
    pub command: &'a Command,
    /// The number of tasks.
    pub tasks: u32,
    /// Cores of a task.
    pub cpus: NonZeroUsize,
    /// Memory of a task, in MiB.
    pub memory_mib: Option<u64>,
    /// The absolute path of this program.
    pub program: &'a str,
    /// The folder of the array.
    pub folder: &'a ArrayFolder,
}

impl Commands<'_> {
    /// The command of a task.
    pub(super) fn run(&self) -> String {
        let Self {
            command,
            tasks,
            cpus,
            folder,
            ..
        } = self;
        let out = match command.is_sweep() {
            true => format!("{}\"$task\".csv", quoted(&folder.part_prefix())),
            false => quoted(&folder.shards()),
        };
        let rest = command.rest().iter();
        let rest: String = rest.map(|word| format!(" {}", quoted(word))).collect();
        format!(
            "{} {} --shard \"$task/{tasks}\" --threads \"${{SLURM_CPUS_PER_TASK:-{cpus}}}\"{} --out {out}{rest}",
            quoted(self.program),
            command.name(),
            self.limit(),
        )
    }

    /// The commands that merge what all tasks have finished.
    pub(super) fn merge(&self) -> String {
        let Self { tasks, folder, .. } = self;
        let shards = match self.command.is_sweep() {
            true => format!(
                "set --\nfor task in $(seq {tasks}); do set -- \"$@\" {}\"$task\".csv.run; done",
                quoted(&folder.part_prefix())
            ),
            false => format!("set --\nset -- {}", quoted(&folder.shards())),
        };
        let (program, out) = (quoted(self.program), quoted(folder.out()));
        format!("{shards}\nexec {program} merge \"$@\" --out {out}")
    }

    /// The program may take the memory that Slurm grants.
    fn limit(&self) -> String {
        match self.memory_mib {
            Some(memory) if !self.command.has("--max-memory") => format!(" --max-memory {memory}M"),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise::arrays::Job;
    use std::path::Path;

    fn job_of(command: &str, limits: bool) -> [String; 2] {
        let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let command = Command::parse(&words).unwrap();
        let folder = ArrayFolder::of(Path::new("/data"), &command.out).unwrap();
        let commands = Commands {
            command: &command,
            tasks: 4,
            cpus: NonZeroUsize::new(2).unwrap(),
            memory_mib: limits.then_some(700),
            program: "/opt/it's/layerwise",
            folder: &folder,
        };
        let job = Job {
            tasks: commands.tasks,
            cpus: commands.cpus,
            memory_mib: commands.memory_mib,
            time: limits.then(|| "1:00:00".parse().unwrap()),
            partition: limits.then(|| "long".to_owned()),
            from: "/data",
            folder: &folder,
            run: &commands.run(),
            merge: &commands.merge(),
        };
        [job.task_script(), job.merge_script()]
    }

    #[test]
    fn a_sweep_has_an_output_for_each_task() {
        let [task, merge] = job_of("sweep drop(l) --out my.csv --rows 8", true);
        let name = ArrayFolder::of(Path::new("/data"), Path::new("my.csv")).unwrap();
        let name = name.name();
        let expected = format!(
            r#"#!/bin/sh
#SBATCH --job-name={name}
#SBATCH --array=1-4
#SBATCH --cpus-per-task=2
#SBATCH --mem=700M
#SBATCH --time=1:00:00
#SBATCH --partition=long
#SBATCH --output=task-%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
# Task K of 4: Slurm says which; elsewhere it is the argument, as in `sh tasks.sh 1`.
set -eu
task=${{1:-${{SLURM_ARRAY_TASK_ID:?is not set, and no number of a task is given}}}}
cd /data
rm -f /data/my.csv.array/done-"$task"
'/opt/it'\''s/layerwise' sweep --shard "$task/4" --threads "${{SLURM_CPUS_PER_TASK:-2}}" --max-memory 700M --out /data/my.csv.array/part-"$task".csv 'drop(l)' --rows 8
: > /data/my.csv.array/done-"$task"
"#
        );
        assert_eq!(task, expected);
        assert!(merge.contains(&format!("--job-name={name}-merge\n")));
        let expected = r#"#SBATCH --requeue
set -eu
cd /data
set --
for task in $(seq 4); do set -- "$@" /data/my.csv.array/part-"$task".csv.run; done
exec '/opt/it'\''s/layerwise' merge "$@" --out /data/my.csv
"#;
        assert!(merge.ends_with(expected), "{merge}");
    }

    #[test]
    fn shards_of_reproduce_share_a_folder() {
        let [task, merge] = job_of("reproduce stages --max-memory 2G --out fi/gures", false);
        assert!(
            !task.contains("--mem=") && !task.contains("--time=") && !task.contains("--partition")
        );
        assert!(task.contains(
            "--threads \"${SLURM_CPUS_PER_TASK:-2}\" --out /data/fi/gures.array/shards stages --max-memory 2G\n"
        ));
        assert!(merge.ends_with(
            "set -- /data/fi/gures.array/shards\nexec '/opt/it'\\''s/layerwise' merge \"$@\" --out /data/fi/gures\n"
        ));
    }
}
