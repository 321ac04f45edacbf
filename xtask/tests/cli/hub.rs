//! Models by their names on the Hugging Face hub, in a cache laid out as `huggingface_hub` lays it out.
#![cfg(unix)]

use crate::{Outcome, Sandbox, tiny};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const OLDER: &str = "89abcdef0123456789abcdef0123456789abcdef";

/// Puts a tiny model into a cache: files are blobs, a snapshot's are links to them, and `refs` says what revisions are.
fn put(cache: &Path, case: &str, repository: &str, revisions: &[(&str, &str)]) {
    let folder = cache.join(format!("models--{}", repository.replace('/', "--")));
    fs::create_dir_all(folder.join("blobs")).unwrap();
    for (revision, commit) in revisions {
        let reference = folder.join("refs").join(revision);
        fs::create_dir_all(reference.parent().unwrap()).unwrap();
        fs::write(reference, commit).unwrap();
        let snapshot = folder.join("snapshots").join(commit);
        fs::create_dir_all(&snapshot).unwrap();
        // Blobs are named by their hash: SHA-1 of small files, SHA-256 of large ones.
        let blobs = [
            ("config.json", (*commit).to_owned()),
            ("model.safetensors", format!("{commit}{}", "0".repeat(24))),
        ];
        for (name, blob) in blobs {
            fs::copy(
                Path::new(&tiny(case)).join(name),
                folder.join("blobs").join(&blob),
            )
            .unwrap();
            symlink(Path::new("../../blobs").join(blob), snapshot.join(name)).unwrap();
        }
    }
}

/// The program, to whom only these variables say where a cache is.
fn run(sandbox: &Sandbox, variables: &[(&str, &str)], arguments: &[&str]) -> Outcome {
    let mut command = sandbox.command(arguments);
    for name in [
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "HF_HOME",
        "XDG_CACHE_HOME",
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
    ] {
        command.env_remove(name);
    }
    command.env("HOME", sandbox.path("home"));
    for (name, value) in variables {
        match *name {
            "PATH" | "HF_HUB_OFFLINE" => command.env(name, value),
            _ => command.env(name, sandbox.path(value)),
        };
    }
    Outcome::of(&mut command)
}

#[test]
fn a_model_is_found_wherever_the_cache_is() {
    let places: [(&str, &[(&str, &str)]); 6] = [
        (
            "a",
            &[
                ("HF_HUB_CACHE", "a"),
                ("HF_HOME", "other"),
                ("XDG_CACHE_HOME", "other"),
            ],
        ),
        ("a", &[("HUGGINGFACE_HUB_CACHE", "a"), ("HF_HOME", "other")]),
        ("a/hub", &[("HF_HOME", "a"), ("XDG_CACHE_HOME", "other")]),
        ("a/huggingface/hub", &[("XDG_CACHE_HOME", "a")]),
        ("home/.cache/huggingface/hub", &[]),
        (
            "home/.cache/huggingface/hub",
            &[("HF_HUB_CACHE", "home/.cache/huggingface/hub")],
        ),
    ];
    for (place, variables) in places {
        let sandbox = Sandbox::new();
        put(
            &sandbox.path(place),
            "gpt2",
            "org/tiny",
            &[("main", COMMIT)],
        );
        let arguments = [
            "generate",
            "--model",
            "org/tiny",
            "--ids",
            "1",
            "--max-tokens",
            "1",
        ];
        run(&sandbox, variables, &arguments).succeeded();
    }
}

#[test]
fn the_revision_is_the_one_that_is_named_and_the_commit_is_recorded() {
    let sandbox = Sandbox::with_ids(&crate::token_ids(2, 8, 29));
    let cache = [("HF_HUB_CACHE", "cache")];
    put(
        &sandbox.path("cache"),
        "gpt2",
        "org/tiny",
        &[("main", COMMIT), ("refs/pr/1", OLDER)],
    );
    put(
        &sandbox.path("cache"),
        "llama-gqa-tied",
        "alone",
        &[("main", COMMIT)],
    );
    let commit = |model: &str| {
        let arguments = [
            "sweep", "--corpus", "ids.npy", "--out", "out.csv", "--fresh", "--model", model,
            "drop(1)",
        ];
        run(&sandbox, &cache, &arguments).succeeded();
        sandbox.json("out.csv.run/manifest.json")["runs"][0].clone()
    };
    let main = commit("org/tiny");
    assert_eq!(
        (&main["model"], &main["commit"]),
        (&"tiny".into(), &COMMIT.into())
    );
    assert_eq!(commit("org/tiny@refs/pr/1")["commit"], OLDER);
    assert_eq!(commit(&format!("org/tiny@{OLDER}"))["commit"], OLDER);
    assert_eq!(commit("label=org/tiny")["model"], "label");
    assert_eq!(commit("alone")["family"], "llama");
    let listed = run(&sandbox, &cache, &["list"]).succeeded().stdout;
    assert!(
        listed.contains("org/tiny") && listed.contains("alone"),
        "{listed}"
    );
}

#[test]
fn what_is_not_in_the_cache_is_refused_with_the_command_that_fetches_it() {
    let sandbox = Sandbox::new();
    let cache = [("HF_HUB_CACHE", "cache")];
    put(
        &sandbox.path("cache"),
        "gpt2",
        "org/tiny",
        &[("main", COMMIT)],
    );
    let refused = |model: &str, mentioned: &[&str]| {
        let outcome = run(
            &sandbox,
            &cache,
            &["generate", "--model", model, "--ids", "1"],
        );
        outcome.refused(mentioned);
    };
    refused(
        "org/other",
        &[
            "no such folder",
            "cache",
            "every revision of org/other",
            "`hf download org/other`",
            "--fetch",
        ],
    );
    refused(
        "org/tiny@step9",
        &[
            "the revision step9",
            "`hf download org/tiny --revision step9`",
        ],
    );
    refused("nowhere", &["no such folder and no embedded model"]);
    let folder = sandbox.path("cache/models--org--tiny");
    fs::remove_file(
        folder
            .join("snapshots")
            .join(COMMIT)
            .join("model.safetensors"),
    )
    .unwrap();
    refused(
        "org/tiny",
        &["the file model.safetensors of the revision main of org/tiny is missing"],
    );
    fs::remove_file(folder.join("snapshots").join(COMMIT).join("config.json")).unwrap();
    refused("org/tiny", &["the file config.json"]);
    fs::remove_dir_all(folder.join("snapshots")).unwrap();
    refused("org/tiny", &["the revision main", COMMIT]);
    fs::write(folder.join("refs/main"), "../../../etc").unwrap();
    refused("org/tiny", &["refs/main", "a commit in hexadecimal digits"]);
    fs::write(folder.join("refs/main"), [b'0'; 1000]).unwrap();
    refused("org/tiny", &["refs/main", "100 bytes"]);
}

/// The tool that fetches is a script here, which puts a model into the cache.
#[test]
fn a_model_is_fetched_only_if_asked_for_and_allowed() {
    let sandbox = Sandbox::new();
    put(
        &sandbox.path("remote"),
        "gpt2",
        "org/tiny",
        &[("main", COMMIT)],
    );
    fs::create_dir(sandbox.path("bin")).unwrap();
    let script = "#!/bin/sh\necho \"$@\" > asked\nmkdir -p cache && cp -a remote/. cache/\n";
    sandbox.write("bin/hf", script.as_bytes());
    fs::set_permissions(sandbox.path("bin/hf"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", sandbox.path("bin").display());
    let fetch = |variables: &[(&str, &str)], path: &str| {
        let arguments = [
            "generate",
            "--fetch",
            "--model",
            "org/tiny",
            "--ids",
            "1",
            "--max-tokens",
            "1",
        ];
        run(
            &sandbox,
            &[&[("HF_HUB_CACHE", "cache"), ("PATH", path)], variables].concat(),
            &arguments,
        )
    };
    fetch(&[("HF_HUB_OFFLINE", "1")], &path)
        .refused(&["--fetch: refused, because HF_HUB_OFFLINE is 1"]);
    fetch(&[], "/nowhere").refused(&["`hf download org/tiny` cannot be run", "huggingface_hub"]);
    assert!(!sandbox.path("asked").exists());
    fetch(&[], &path).succeeded();
    let asked = String::from_utf8(sandbox.read("asked")).unwrap();
    assert!(
        asked.starts_with("download org/tiny --revision main --include"),
        "{asked}"
    );
    fs::remove_file(sandbox.path("asked")).unwrap();
    // What is there is not fetched again.
    fetch(&[("HF_HUB_OFFLINE", "1")], &path).succeeded();
    assert!(!sandbox.path("asked").exists());
    sandbox.write("bin/hf", b"#!/bin/sh\nexit 3\n");
    fs::remove_dir_all(sandbox.path("cache")).unwrap();
    fetch(&[], &path).refused(&["failed", "exit status: 3"]);
    sandbox.write("bin/hf", b"#!/bin/sh\n");
    fetch(&[], &path).refused(&["after `hf download org/tiny`", "missing"]);
}
