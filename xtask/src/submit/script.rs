//! The scripts: one that runs a task, whoever starts it, and one that merges.

use super::command::Command;
use super::folder::ArrayFolder;
use super::numbers::TimeLimit;
use std::num::NonZeroUsize;
use std::path::Path;

/// What the scripts are made from.
pub(super) struct Job<'a> {
    /// The command of which each task runs a shard.
    pub command: &'a Command,
    /// How many tasks there are.
    pub tasks: u32,
    /// Cores of a task.
    pub cpus: NonZeroUsize,
    /// Memory of a task, in MiB.
    pub memory: Option<u64>,
    /// Time of a task.
    pub time: Option<TimeLimit>,
    /// Where Slurm runs it.
    pub partition: Option<String>,
    /// The folder that the command was given in, absolute.
    pub from: &'a str,
    /// This program, absolute.
    pub program: &'a str,
    /// The folder of the array.
    pub folder: &'a ArrayFolder,
}

impl Job<'_> {
    /// The script of a task, whose number is in `SLURM_ARRAY_TASK_ID` or is the argument.
    ///
    /// The number of shards is written down: when some tasks are tried again, `SLURM_ARRAY_TASK_COUNT` counts those alone.
    pub(super) fn task(&self) -> String {
        let Self {
            command,
            tasks,
            cpus,
            ..
        } = self;
        let name = self.folder.name();
        let mut text = self.head(name, &format!("#SBATCH --array=1-{tasks}\n"), "task-%a.log");
        text += &format!(
            "# Task K of {tasks}: Slurm says which; elsewhere it is the argument, as in `sh tasks.sh 1`.\n\
             set -eu\n\
             task=${{1:-${{SLURM_ARRAY_TASK_ID:?is not set, and no number of a task is given}}}}\n"
        );
        let is_done = quoted(&self.folder.done_prefix());
        text += &format!("cd {}\nrm -f {is_done}\"$task\"\n", quoted(self.from));
        let out = match command.is_sweep() {
            true => format!("{}\"$task\".csv", quoted(&self.folder.part_prefix())),
            false => quoted(&self.folder.shards()),
        };
        text += &format!(
            "{} {} --shard \"$task/{tasks}\" --threads \"${{SLURM_CPUS_PER_TASK:-{cpus}}}\"{} --out {out}{}\n",
            quoted(self.program),
            command.name(),
            self.limit(),
            self.rest(),
        );
        text + &format!(": > {is_done}\"$task\"\n")
    }

    /// The script that joins what all tasks have finished.
    pub(super) fn merge(&self) -> String {
        let Self { command, tasks, .. } = self;
        let name = format!("{}-merge", self.folder.name());
        let mut text = self.head(&name, "", "merge.log");
        text += &format!("set -eu\ncd {}\nset --\n", quoted(self.from));
        text += &match command.is_sweep() {
            true => format!(
                "for task in $(seq {tasks}); do set -- \"$@\" {}\"$task\".csv.run; done\n",
                quoted(&self.folder.part_prefix())
            ),
            false => format!("set -- {}\n", quoted(&self.folder.shards())),
        };
        let out = quoted(self.folder.out());
        text + &format!("exec {} merge \"$@\" --out {out}\n", quoted(self.program))
    }

    fn head(&self, name: &str, array: &str, log: &str) -> String {
        let mut text = format!("#!/bin/sh\n#SBATCH --job-name={name}\n{array}");
        text += &format!("#SBATCH --cpus-per-task={}\n", self.cpus);
        if let Some(memory) = self.memory {
            text += &format!("#SBATCH --mem={memory}M\n");
        }
        if let Some(time) = &self.time {
            text += &format!("#SBATCH --time={time}\n");
        }
        if let Some(partition) = &self.partition {
            text += &format!("#SBATCH --partition={partition}\n");
        }
        // The folder of the array is where the job is submitted.
        text + &format!("#SBATCH --output={log}\n#SBATCH --open-mode=append\n#SBATCH --requeue\n")
    }

    /// What Slurm grants is what the program may take.
    fn limit(&self) -> String {
        match self.memory {
            Some(memory) if !self.command.has("--max-memory") => format!(" --max-memory {memory}M"),
            _ => String::new(),
        }
    }

    fn rest(&self) -> String {
        let words = self.command.rest().iter();
        words.map(|word| format!(" {}", quoted(word))).collect()
    }
}

/// A word as a shell reads it back, whatever it holds.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// The command that runs the script of one task after the other, and then merges.
pub(super) fn shell_loop(folder: &Path, tasks: &str) -> String {
    let folder = quoted(&folder.display().to_string());
    format!(
        "cd {folder} && for task in {tasks}; do sh tasks.sh \"$task\" || break; done && sh merge.sh"
    )
}

/// The same with GNU parallel, so many at once.
pub(super) fn parallel(folder: &Path, tasks: &str, at_once: usize) -> String {
    let folder = quoted(&folder.display().to_string());
    format!("cd {folder} && parallel -j {at_once} sh tasks.sh ::: {tasks} && sh merge.sh")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_shells_read_them() {
        let check = |word: &str, expected: &str| assert_eq!(quoted(word), expected);
        check("a/b-c_1.csv", "a/b-c_1.csv");
        check("org/name@main", "org/name@main");
        check("", "''");
        check("drop(l)", "'drop(l)'");
        check("swap(l,l+1);drop(0)", "'swap(l,l+1);drop(0)'");
        check("it's", r"'it'\''s'");
        check("$(id)", "'$(id)'");
        check("`id`", "'`id`'");
        check("~root", "'~root'");
        check("a\n#SBATCH --wrap=id", "'a\n#SBATCH --wrap=id'");
        check("a b\\", "'a b\\'");
        check("é", "'é'");
    }

    /// What a shell makes of quoted words is what they were.
    #[cfg(unix)]
    #[test]
    fn a_shell_reads_quoted_words_back() {
        let words = [
            "",
            " ",
            "'",
            "''",
            "\\",
            "\"$HOME\"",
            "*",
            "a\nb",
            "!",
            "#x",
            "-n",
            "{a,b}",
            "\u{7f}é",
        ];
        let line: String = words
            .iter()
            .map(|word| format!(" {}", quoted(word)))
            .collect();
        let output = std::process::Command::new("sh")
            .args(["-c", &format!("printf '%s\\0'{line}")])
            .output()
            .unwrap();
        let found = String::from_utf8(output.stdout).unwrap();
        assert_eq!(found.split_terminator('\0').collect::<Vec<_>>(), words);
    }

    fn job_of(command: &str, limits: bool) -> [String; 2] {
        let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let command = Command::parse(&words).unwrap();
        let folder = ArrayFolder::of(Path::new("/data"), &command.out).unwrap();
        let job = Job {
            command: &command,
            tasks: 4,
            cpus: NonZeroUsize::new(2).unwrap(),
            memory: limits.then_some(700),
            time: limits.then(|| "1:00:00".parse().unwrap()),
            partition: limits.then(|| "long".to_owned()),
            from: "/data",
            program: "/opt/it's/layerwise",
            folder: &folder,
        };
        [job.task(), job.merge()]
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
