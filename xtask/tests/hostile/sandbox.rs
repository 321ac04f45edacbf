//! A folder of its own for each case, and the program in it.

use crate::checkpoint::{self, Checkpoint};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// The most memory that the program may reserve, in KiB: enough for a header of 100 MB, but not for what one may claim.
const MEMORY_KIB: u32 = 4_000_000;

/// A program that has not ended after this time counts as hanging.
const PATIENCE: Duration = Duration::from_secs(300);

/// Exit code and output of a finished process.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
}

/// A folder with a good model, good texts, and the program run in it.
pub(crate) struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let sandbox = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        sandbox.write_model("llama");
        sandbox.write("ids.npy", &npy("<u2", "(3, 8)", &ids(24)));
        sandbox.write(
            "text.txt",
            b"A text of some words, long enough for windows.",
        );
        sandbox.write(
            "text.jsonl",
            b"{\"text\": \"One document.\"}\n{\"text\": \"Another one, longer.\"}\n",
        );
        sandbox
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Replaces the folder `model` by a good one of a family.
    pub(crate) fn write_model(&self, family: &str) {
        self.write_checkpoint(&match family {
            "gpt2" => Checkpoint::gpt2(),
            _ => Checkpoint::llama(),
        });
    }

    /// Replaces the folder `model`.
    pub(crate) fn write_checkpoint(&self, checkpoint: &Checkpoint) {
        let _ = fs::remove_dir_all(self.path("model"));
        fs::create_dir(self.path("model")).unwrap();
        self.write(
            "model/config.json",
            serde_json::to_string(&checkpoint.config)
                .unwrap()
                .as_bytes(),
        );
        self.write(
            "model/model.safetensors",
            &checkpoint::safetensors(&checkpoint.tensors),
        );
        self.write(
            "model/tokenizer.json",
            checkpoint::tokenizer().to_string().as_bytes(),
        );
    }

    /// Runs the program to its end, with little memory.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        // Other systems lack this limit.
        let limits = match cfg!(target_os = "linux") {
            true => format!("ulimit -v {MEMORY_KIB}"),
            false => ":".to_owned(),
        };
        self.run_under(&limits, arguments)
    }

    /// Runs the program to its end, after a line of shell script.
    pub(crate) fn run_under(&self, limits: &str, arguments: &[&str]) -> Outcome {
        finish(self.shell(limits, program(), arguments))
    }

    /// Runs the program as a user who owns nothing, to its end; `None` if that is impossible.
    pub(crate) fn run_as_nobody(&self, arguments: &[&str]) -> Option<Outcome> {
        self.run_as_nobody_under(":", arguments)
    }

    /// As [`Sandbox::run_as_nobody`], after a line of shell script.
    pub(crate) fn run_as_nobody_under(&self, limits: &str, arguments: &[&str]) -> Option<Outcome> {
        const NOBODY: u32 = 65534;
        // That user may not enter the folder of the program, which is large: a link is enough on the same file system.
        let own = self.path("program");
        if !own.exists() && fs::hard_link(program(), &own).is_err() {
            fs::copy(program(), &own).unwrap();
        }
        let run = |arguments: &[&str]| {
            let mut command = self.shell(limits, &own, arguments);
            command.uid(NOBODY).gid(NOBODY);
            finish(command)
        };
        let listed = run(&["list"]);
        if listed.code == Some(0) {
            return Some(run(arguments));
        }
        eprintln!("skipped: no other user can run the program here: {listed:?}");
        None
    }

    fn shell(&self, limits: &str, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command
            .current_dir(self.folder.path())
            .args(["-c", &format!("{limits} && exec \"$0\" \"$@\"")])
            .arg(program)
            .args(arguments)
            .env("HF_HUB_CACHE", self.path("cache"))
            .stdin(Stdio::null());
        command
    }

    /// The program, ready to start.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .current_dir(self.folder.path())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// All files and folders, relative and sorted, with their lengths.
    pub(crate) fn contents(&self) -> Vec<(PathBuf, u64)> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            // A case may have removed the right to read a folder.
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                let metadata = path.symlink_metadata().unwrap();
                let length = if metadata.is_file() {
                    metadata.len()
                } else {
                    0
                };
                let relative = path.strip_prefix(self.folder.path()).unwrap();
                found.push((relative.to_path_buf(), length));
                if metadata.is_dir() {
                    folders.push(path);
                }
            }
        }
        found.sort();
        found
    }
}

/// The program.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_layerwise"))
}

/// Runs a command to its end, or kills it.
fn finish(command: Command) -> Outcome {
    let mut command = assert_cmd::Command::from_std(command);
    let output = command.timeout(PATIENCE).output().unwrap();
    let code = output.status.code();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome {
        code,
        stderr: text(output.stderr),
    }
}

/// Token ids below 200 that look random but are fixed, as little-endian u16.
pub(crate) fn ids(count: usize) -> Vec<u8> {
    let mut state = 7_u64;
    (0..count)
        .flat_map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            u16::try_from((state >> 33) % 200).unwrap().to_le_bytes()
        })
        .collect()
}

/// A file in NumPy's format, version 1.0.
pub(crate) fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    // Ten bytes precede the header; the data begins at a multiple of 64.
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(data);
    bytes
}
