//! The scripts: one that runs a task, on Slurm or in a shell, and one that merges.

use crate::folder::ArrayFolder;
use crate::numbers::TimeLimit;
use std::num::NonZeroUsize;
use std::path::Path;

/// The inputs of the scripts.
pub struct Job<'a> {
    /// The number of tasks.
    pub tasks: u32,
    /// The number of cores of a task.
    pub cpus: NonZeroUsize,
    /// The memory of a task, in MiB.
    pub memory_mib: Option<u64>,
    /// The time limit of a task.
    pub time: Option<TimeLimit>,
    /// The Slurm partition.
    pub partition: Option<String>,
    /// The folder that the commands run in; absolute.
    pub from: &'a str,
    /// The folder of the array.
    pub folder: &'a ArrayFolder,
    /// The shell command of a task; `$task` holds the task's number.
    pub run: &'a str,
    /// The shell commands that merge the results of all tasks.
    pub merge: &'a str,
}

impl Job<'_> {
    /// The script of a task, whose number is in `SLURM_ARRAY_TASK_ID` or is the argument.
    ///
    /// The number of shards is written into it, because `SLURM_ARRAY_TASK_COUNT` counts only the tasks of a retry.
    pub fn task_script(&self) -> String {
        let Self { tasks, run, .. } = self;
        let name = self.folder.name();
        let head = self.head(name, &format!("#SBATCH --array=1-{tasks}\n"), "task-%a.log");
        let (from, is_done) = (quoted(self.from), quoted(&self.folder.done_prefix()));
        head + &format!(
            "# Task K of {tasks}: Slurm says which; elsewhere it is the argument, as in `sh tasks.sh 1`.\n\
             set -eu\n\
             task=${{1:-${{SLURM_ARRAY_TASK_ID:?is not set, and no number of a task is given}}}}\n\
             cd {from}\n\
             rm -f {is_done}\"$task\"\n\
             {run}\n\
             : > {is_done}\"$task\"\n"
        )
    }

    /// The script that merges the results of all tasks.
    pub fn merge_script(&self) -> String {
        let name = format!("{}-merge", self.folder.name());
        let head = self.head(&name, "", "merge.log");
        head + &format!("set -eu\ncd {}\n{}\n", quoted(self.from), self.merge)
    }

    fn head(&self, name: &str, array: &str, log: &str) -> String {
        let mut text = format!("#!/bin/sh\n#SBATCH --job-name={name}\n{array}");
        text += &format!("#SBATCH --cpus-per-task={}\n", self.cpus);
        if let Some(memory) = self.memory_mib {
            text += &format!("#SBATCH --mem={memory}M\n");
        }
        if let Some(time) = &self.time {
            text += &format!("#SBATCH --time={time}\n");
        }
        if let Some(partition) = &self.partition {
            text += &format!("#SBATCH --partition={partition}\n");
        }
        // The job is submitted from the folder of the array.
        text + &format!("#SBATCH --output={log}\n#SBATCH --open-mode=append\n#SBATCH --requeue\n")
    }
}

/// A word quoted for the shell, whatever it contains.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// The command that runs the script for one task after another, and then merges.
pub fn shell_loop(folder: &Path, tasks: &str) -> String {
    let folder = quoted(&folder.display().to_string());
    format!(
        "cd {folder} && (for task in {tasks}; do sh tasks.sh \"$task\" || exit; done) && sh merge.sh"
    )
}

/// The same with GNU parallel, `at_once` tasks at a time.
pub fn parallel(folder: &Path, tasks: &str, at_once: usize) -> String {
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

    /// A task that fails ends the loop, and nothing is merged.
    #[cfg(unix)]
    #[test]
    fn a_loop_merges_after_all_tasks_alone() {
        let check = |failing: &str, expected: &str| {
            let folder = tempfile::tempdir().unwrap();
            let task = format!("echo $1 >> log; test $1 != {failing}");
            std::fs::write(folder.path().join("tasks.sh"), task).unwrap();
            std::fs::write(folder.path().join("merge.sh"), "echo merged >> log").unwrap();
            let command = shell_loop(folder.path(), "1 2 3");
            let ended = std::process::Command::new("sh")
                .args(["-c", &command])
                .status()
                .unwrap();
            let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
            assert_eq!(log, expected);
            assert_eq!(ended.success(), expected.contains("merged"));
        };
        check("4", "1\n2\n3\nmerged\n");
        check("2", "1\n2\n");
    }

    /// A shell reads quoted words back unchanged.
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

    #[test]
    fn limits_stand_in_both_scripts_where_there_are_any() {
        let folder = ArrayFolder::of(Path::new("/data"), Path::new("my.csv")).unwrap();
        let name = folder.name();
        let job = |has_limits: bool| Job {
            tasks: 4,
            cpus: NonZeroUsize::new(2).unwrap(),
            memory_mib: has_limits.then_some(700),
            time: has_limits.then(|| "1:00:00".parse().unwrap()),
            partition: has_limits.then(|| "long".to_owned()),
            from: "/my data",
            folder: &folder,
            run: "run \"$task/4\"",
            merge: "set -- 1\nexec merge \"$@\"",
        };
        let limits = "#SBATCH --mem=700M\n#SBATCH --time=1:00:00\n#SBATCH --partition=long\n";
        for (has_limits, limits) in [(true, limits), (false, "")] {
            let job = job(has_limits);
            let head = format!("#SBATCH --cpus-per-task=2\n{limits}#SBATCH --output=");
            assert_eq!(
                job.task_script(),
                format!(
                    "#!/bin/sh\n#SBATCH --job-name={name}\n#SBATCH --array=1-4\n{head}task-%a.log\n\
                     #SBATCH --open-mode=append\n#SBATCH --requeue\n\
                     # Task K of 4: Slurm says which; elsewhere it is the argument, as in `sh tasks.sh 1`.\n\
                     set -eu\n\
                     task=${{1:-${{SLURM_ARRAY_TASK_ID:?is not set, and no number of a task is given}}}}\n\
                     cd '/my data'\nrm -f /data/my.csv.array/done-\"$task\"\n\
                     run \"$task/4\"\n: > /data/my.csv.array/done-\"$task\"\n"
                )
            );
            assert_eq!(
                job.merge_script(),
                format!(
                    "#!/bin/sh\n#SBATCH --job-name={name}-merge\n{head}merge.log\n\
                     #SBATCH --open-mode=append\n#SBATCH --requeue\n\
                     set -eu\ncd '/my data'\nset -- 1\nexec merge \"$@\"\n"
                )
            );
        }
    }
}
