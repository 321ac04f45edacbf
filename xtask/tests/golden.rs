//! The bytes of every CSV file of a small `reproduce` and of a sweep, kept as hashes under version control.
//!
//! A change that moves code must leave every byte as it is. A change that must alter bytes is a commit of its own: run the
//! test with `UPDATE_GOLDEN=1` and commit the new hashes with the reason.
//! Bits are promised for one instruction set, so each file of hashes is named after the system and the set.
//! On x86-64 the set is AVX2 with FMA, to which processors with AVX-512 are limited here.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use layerwise::kernels::cpu_features;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

/// Models of two families, so that the tables across models are made, too.
const MODELS: [&str; 2] = ["gpt2-8x160", "llama-8x192"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The instruction set that the tables are made with.
fn set() -> &'static str {
    match cpu_features() {
        "avx512f" => "avx2+fma",
        set => set,
    }
}

fn run(folder: &Path, arguments: &[&str]) {
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_layerwise"))
        .current_dir(folder)
        .env("LAYERWISE_INSTRUCTIONS", set())
        .args(arguments)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
}

/// The hash of each CSV file below a folder, by its path.
fn tables(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tables(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "csv") {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let hash = Sha256::digest(fs::read(&path).unwrap());
            found.insert(
                name,
                hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            );
        }
    }
}

/// One line for each file: its hash and its path.
fn lines(tables: &BTreeMap<String, String>) -> String {
    tables
        .iter()
        .map(|(name, hash)| format!("{hash}  {name}\n"))
        .collect()
}

#[test]
fn tables_keep_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = root().join("fixtures");
    // The default, this project's source code, changes with every commit.
    let shifted = root().join("LICENSE-APACHE");
    fs::copy(shifted, folder.path().join("other.txt")).unwrap();
    let models: Vec<String> = MODELS
        .iter()
        .map(|name| {
            fixtures
                .join("models")
                .join(name)
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let mut reproduce = vec!["reproduce", "--rows", "4", "--context", "48"];
    reproduce.extend(["--items", "4", "--threads", "2", "--out", "reproduced"]);
    reproduce.extend(["--shift-corpus", "other.txt", "--wic-items", "32"]);
    reproduce.extend(["--asr-items", "4", "--exit-items", "20"]);
    let mut sweep = vec![
        "sweep",
        "drop(l)",
        "swap(l,m)",
        "repeat(l..l+3)",
        "loop(2..5,3)",
    ];
    sweep.extend(["parallel(l..l+2)", "drop_attn(l..L)", "scale_mlp(l,0.5)"]);
    sweep.extend(["--rows", "4", "--context", "48", "--threads", "2"]);
    sweep.extend(["--out", "sweep.csv"]);
    // The sweep takes the cores that `reproduce` leaves while it draws.
    thread::scope(|scope| {
        for mut arguments in [reproduce, sweep] {
            for model in &models {
                arguments.extend(["--model", model]);
            }
            let folder = folder.path();
            scope.spawn(move || run(folder, &arguments));
        }
    });
    let mut found = BTreeMap::new();
    tables(folder.path(), folder.path(), &mut found);

    let machine = format!(
        "{}-{}-{}",
        std::env::consts::ARCH,
        std::env::consts::OS,
        set()
    );
    let golden = root()
        .join("xtask/tests/golden")
        .join(format!("{machine}.sha256"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(golden.parent().unwrap()).unwrap();
        fs::write(&golden, lines(&found)).unwrap();
    }
    let Ok(expected) = fs::read_to_string(&golden) else {
        println!("no hashes are kept for {machine}: not compared");
        return;
    };
    let found = lines(&found);
    let changed: Vec<&str> = found
        .lines()
        .filter(|line| !expected.lines().any(|e| e == *line))
        .collect();
    let lost: Vec<&str> = expected
        .lines()
        .filter(|line| !found.lines().any(|f| f == *line))
        .collect();
    assert!(
        changed.is_empty() && lost.is_empty(),
        "new bytes: {changed:#?}\nexpected: {lost:#?}"
    );
}
