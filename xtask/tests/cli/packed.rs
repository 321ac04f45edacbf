//! Packed weights that are kept on disk.

use crate::{Sandbox, tiny, token_ids};
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

/// A sweep of a tiny model, and its messages.
fn sweep(sandbox: &Sandbox, out: &str, more: &[&str]) -> String {
    let model = tiny("llama-gqa-tied");
    let fixed = [
        "sweep", "drop(l)", "--corpus", "ids.npy", "--fresh", "--model", &model, "--out", out,
    ];
    let outcome = sandbox.xtask(&[&fixed, more].concat());
    outcome.succeeded().stderr
}

fn files(sandbox: &Sandbox) -> Vec<PathBuf> {
    let files = fs::read_dir(sandbox.path("packs")).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

#[test]
fn a_table_has_the_same_bytes_from_packed_weights() {
    let sandbox = Sandbox::with_ids(&token_ids(3, 12, 29));
    let cached = ["--pack-cache", "packs"];
    sweep(&sandbox, "without.csv", &[]);
    let expected = sandbox.read("without.csv");
    let said = sweep(&sandbox, "first.csv", &cached);
    assert!(
        said.contains("llama-gqa-tied: packed weights are kept in packs"),
        "{said}"
    );
    assert!(sandbox.read("first.csv") == expected);
    let [file] = &files(&sandbox)[..] else {
        panic!("one file");
    };
    let whole = fs::read(file).unwrap();
    let said = sweep(&sandbox, "second.csv", &cached);
    assert!(!said.contains("packed weights"), "{said}");
    assert!(sandbox.read("second.csv") == expected);

    // A file that is damaged, cut or something else is reported, never used, and made again.
    let mut changed = whole.clone();
    changed[whole.len() - 1] ^= 1;
    for (bytes, says) in [
        (&changed[..], "expected the checksum"),
        (&whole[..whole.len() - 128], "found a damaged head"),
        (&[whole.clone(), vec![0; 128]].concat(), "bytes, found"),
        (&[], "found a damaged head"),
        (b"none", "found a damaged head"),
    ] {
        fs::write(file, bytes).unwrap();
        let said = sweep(&sandbox, "again.csv", &cached);
        assert!(
            said.contains("warning: packs/") && said.contains(says),
            "{said}"
        );
        assert!(said.contains("; the weights are packed again"), "{said}");
        assert!(sandbox.read("again.csv") == expected);
        assert!(fs::read(file).unwrap() == whole);
    }
    sandbox
        .xtask(&["sweep", "drop(l)", "--pack-cache", "packs", "--no-mmap"])
        .refused(&["--pack-cache", "--no-mmap"]);
    sandbox
        .xtask(&[
            "sweep",
            "drop(l)",
            "--model",
            &tiny("gpt2"),
            "--pack-cache",
            "ids.npy",
        ])
        .refused(&["--pack-cache ids.npy: expected a folder, found a file"]);
}

#[test]
fn a_changed_checkpoint_is_packed_anew() {
    let sandbox = Sandbox::with_ids(&token_ids(3, 12, 29));
    let from = PathBuf::from(tiny("llama-gqa-tied"));
    fs::create_dir(sandbox.path("model")).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(from.join(name), sandbox.path("model").join(name)).unwrap();
    }
    let sweep = |more: &[&str]| {
        let fixed = ["drop(l)", "--model", "model", "--fresh"];
        sandbox.sweep(&[&fixed, more].concat()).succeeded();
        sandbox.read("out.csv")
    };
    let first = sweep(&["--pack-cache", "packs"]);
    let mut weights = sandbox.read("model/model.safetensors");
    let last = weights.len() - 2;
    weights[last] ^= 16;
    sandbox.write("model/model.safetensors", &weights);
    let second = sweep(&["--pack-cache", "packs"]);
    assert!(first != second && second == sweep(&[]));
    assert_eq!(files(&sandbox).len(), 2);
}

#[test]
fn several_processes_keep_one_file() {
    let sandbox = Sandbox::with_ids(&token_ids(3, 12, 29));
    let model = tiny("llama-gqa-tied");
    let start = |at: usize| {
        let out = format!("{at}.csv");
        let fixed = ["sweep", "drop(l)", "--corpus", "ids.npy", "--model", &model];
        let more = ["--pack-cache", "packs", "--out", &out];
        let mut command = sandbox.command(&[&fixed[..], &more].concat());
        command.stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..4).map(start).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.success() && !said.contains("warning"),
            "{said}"
        );
    }
    assert_eq!(files(&sandbox).len(), 1);
    for at in 1..4 {
        assert!(sandbox.read(&format!("{at}.csv")) == sandbox.read("0.csv"));
    }
}
