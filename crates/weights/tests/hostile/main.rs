//! Hostile and broken checkpoint folders: each is refused with an error that names what is wrong, or loads as stated.
//!
//! The number at the start of a case's name is its number in the project's list of bad inputs.

#![allow(
    clippy::unwrap_used,
    reason = "a test reports by panicking, in its helpers too"
)]

mod config;
mod folder;
mod header;
mod index;
mod layout;
mod values;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use layerwise_weights::{OpenOptions, StableFiles, WeightsError};

/// A bad folder and the expected error.
struct Case {
    /// Number in the list of bad inputs, and what is wrong.
    name: &'static str,
    /// Builds the checkpoint in an empty folder and returns its path.
    build: Box<dyn Fn(&Path) -> PathBuf>,
    /// Whether the error is of the right kind.
    is_expected: fn(&WeightsError) -> bool,
    /// Texts that the message must contain.
    says: Vec<String>,
}

impl Case {
    /// A case whose checkpoint folder holds a good config and whatever `build` adds.
    fn new(
        name: &'static str,
        build: impl Fn(&Path) + 'static,
        is_expected: fn(&WeightsError) -> bool,
        says: &[&str],
    ) -> Self {
        let build = move |root: &Path| {
            let folder = root.join("model");
            fs::create_dir(&folder).unwrap();
            write(&folder, "config.json", br#"{"model_type": "gpt2"}"#);
            build(&folder);
            folder
        };
        Self {
            name,
            build: Box::new(build),
            is_expected,
            says: says.iter().map(|s| (*s).to_owned()).collect(),
        }
    }
}

/// Matches an error against a pattern.
macro_rules! is {
    ($pattern:pat $(if $guard:expr)?) => {
        |error| matches!(error, $pattern $(if $guard)?)
    };
}
use is;

/// Opens each folder in both modes and reads every tensor; all failures are reported together.
fn check(cases: Vec<Case>) {
    let mut failures = Vec::new();
    for Case {
        name,
        build,
        is_expected,
        says,
    } in cases
    {
        let root = tempfile::tempdir().unwrap();
        let folder = build(root.path());
        for mmap in [true, false] {
            let error = match load(&folder, mmap) {
                Ok(names) => {
                    failures.push(format!("{name} (mmap: {mmap}): loaded {names:?}"));
                    continue;
                }
                Err(error) => error,
            };
            let message = error.to_string();
            if !is_expected(&error) {
                failures.push(format!("{name} (mmap: {mmap}): wrong variant: {error:?}"));
            }
            let root = root.path().display().to_string();
            for part in says.iter().chain([&root]) {
                if !message.contains(part) {
                    failures.push(format!(
                        "{name} (mmap: {mmap}): {part:?} is not in: {message}"
                    ));
                }
            }
            if message.len() > 1000 {
                failures.push(format!(
                    "{name} (mmap: {mmap}): a message of {} bytes",
                    message.len()
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Whether files are mapped.
#[allow(unsafe_code, reason = "promises that mapped files do not change")]
fn stable(mmap: bool) -> Option<StableFiles> {
    // SAFETY: each test writes its files before it opens them, in a folder of its own.
    mmap.then(|| unsafe { StableFiles::promise() })
}

/// Opens a folder and reads every tensor; returns their names.
///
/// A load that hangs fails the test instead of blocking it for ever.
fn load(folder: &Path, mmap: bool) -> Result<Vec<String>, WeightsError> {
    let (sender, receiver) = mpsc::channel();
    let folder = folder.to_owned();
    let worker = thread::spawn(move || {
        let loaded = OpenOptions::new()
            .map(stable(mmap))
            .open(&folder)
            .and_then(|checkpoint| {
                let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
                for name in &names {
                    checkpoint.tensor(name)?;
                }
                Ok(names)
            });
        // The receiver is gone only if the test has failed already.
        let _ = sender.send(loaded);
    });
    match receiver.recv_timeout(Duration::from_secs(300)) {
        Ok(loaded) => loaded,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("loading hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(worker.join().unwrap_err())
        }
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    fs::write(folder.join(name), bytes).unwrap();
}

/// A safetensors file with this header and data, valid or not.
fn file(header: impl AsRef<[u8]>, data: &[u8]) -> Vec<u8> {
    let header = header.as_ref();
    [&(header.len() as u64).to_le_bytes(), header, data].concat()
}

/// A valid safetensors file of F32 vectors of ones, with the lengths given.
fn vectors(tensors: &[(&str, usize)]) -> Vec<u8> {
    let mut begin = 0;
    let entries: Vec<String> = tensors
        .iter()
        .map(|(name, length)| {
            let end = begin + 4 * length;
            let entry = format!(
                r#""{name}":{{"dtype":"F32","shape":[{length}],"data_offsets":[{begin},{end}]}}"#
            );
            begin = end;
            entry
        })
        .collect();
    file(
        format!("{{{}}}", entries.join(",")),
        &1.0_f32.to_le_bytes().repeat(begin / 4),
    )
}

#[test]
fn the_folders_that_the_cases_start_from_load() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "config.json", br#"{"model_type": "gpt2"}"#);
    write(
        folder.path(),
        "model.safetensors",
        &vectors(&[("b", 3), ("a", 1)]),
    );
    for mmap in [true, false] {
        assert_eq!(load(folder.path(), mmap).unwrap(), ["a", "b"]);
    }
}
