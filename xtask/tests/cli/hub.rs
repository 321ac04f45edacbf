//! Models by their names on the Hugging Face hub, in a cache laid out as `huggingface_hub` lays it out.
#![cfg(unix)]

use crate::{Outcome, Sandbox, tiny};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const OLDER: &str = "89abcdef0123456789abcdef0123456789abcdef";

/// Puts a tiny model into a cache: blobs are the files, a snapshot has links to them, and `refs` maps names of revisions to
/// snapshots.
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

/// The program, which learns only from these variables where a cache is.
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

/// A config is listed as the loader reads it.
#[test]
fn what_is_listed_can_be_opened_and_what_is_not_cannot() {
    let sandbox = Sandbox::with_ids(&crate::token_ids(2, 8, 29));
    let cache = [("HF_HUB_CACHE", "cache")];
    let revisions = [("main", COMMIT)];
    put(&sandbox.path("cache"), "gpt2", "org/tiny", &revisions);
    let blob = format!("cache/models--org--tiny/blobs/{COMMIT}");
    let config = String::from_utf8(sandbox.read(&blob)).unwrap();
    let check = |begins: &str, opens: bool| {
        sandbox.write(&blob, config.replacen('{', begins, 1).as_bytes());
        let listed = run(&sandbox, &cache, &["list"]).succeeded().stdout;
        let line = listed.lines().find(|line| line.contains("org/tiny"));
        let line = line.unwrap();
        assert_eq!(line.contains("cannot be opened"), !opens, "{line}");
        let arguments = ["sweep", "--corpus", "ids.npy", "drop(1)"];
        let outcome = run(
            &sandbox,
            &cache,
            &[&arguments[..], &["--model", "org/tiny"]].concat(),
        );
        assert_eq!(outcome.code == Some(0), opens, "{}", outcome.stderr);
    };
    check("{", true);
    check("{\"temperature\": NaN,", true);
    check("{\"model_type\": \"gpt2\",", false);
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

/// In these tests the tool that downloads is a script, which puts a model into the cache.
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
    // Older versions of the tool take the last one alone.
    assert_eq!(asked.matches("--include").count(), 1, "{asked}");
    fs::remove_file(sandbox.path("asked")).unwrap();
    // A model in the cache is not downloaded again.
    fetch(&[("HF_HUB_OFFLINE", "1")], &path).succeeded();
    assert!(!sandbox.path("asked").exists());
    sandbox.write("bin/hf", b"#!/bin/sh\nexit 3\n");
    fs::remove_dir_all(sandbox.path("cache")).unwrap();
    fetch(&[], &path).refused(&["failed", "exit status: 3"]);
    sandbox.write("bin/hf", b"#!/bin/sh\n");
    fetch(&[], &path).refused(&["after `hf download org/tiny`", "missing"]);
}

/// Every command that takes a model by its name downloads it if asked to.
#[test]
fn every_command_fetches_what_it_is_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.write("none.safetensors", b"\x02\0\0\0\0\0\0\0{}");
    sandbox.write("words.tsv", b"w\tN\t0-1\tw x\ty w\n");
    let check = |arguments: &[&str]| {
        let variables = [("HF_HUB_CACHE", "cache"), ("HF_HUB_OFFLINE", "1")];
        run(&sandbox, &variables, arguments)
            .refused(&["--fetch: refused, because HF_HUB_OFFLINE is 1"]);
    };
    let named = ["--fetch", "--model", "org/tiny"];
    check(&[&["sweep", "drop(0)"], &named[..]].concat());
    check(&[&["reproduce", "stages"], &named[..]].concat());
    check(&[&["speed"], &named[..]].concat());
    check(&["lens", "org/tiny", "text", "--fetch"]);
    check(&["next", "org/tiny", "text", "--fetch"]);
    check(&["diff-sites", "org/tiny", "none.safetensors", "--fetch"]);
    check(
        &[
            &["vectors", "words.tsv", "--out", "out.safetensors"],
            &named[..],
        ]
        .concat(),
    );
}

/// Puts files of a data set into a cache as `hf download` of huggingface_hub 2.4 does, each from a fixture or with a given
/// text.
fn put_set(cache: &Path, repository: &str, files: &[(&str, &[u8])]) {
    let folder = cache.join(format!("datasets--{}", repository.replace('/', "--")));
    let snapshot = folder.join("snapshots").join(COMMIT);
    for below in ["blobs", "refs", "trees"] {
        fs::create_dir_all(folder.join(below)).unwrap();
    }
    fs::create_dir_all(cache.join(".locks")).unwrap();
    fs::write(cache.join("CACHEDIR.TAG"), "Signature").unwrap();
    fs::write(folder.join(format!("trees/{COMMIT}.json")), "{}").unwrap();
    fs::write(folder.join("refs/main"), COMMIT).unwrap();
    for (at, (name, bytes)) in files.iter().enumerate() {
        let blob = format!("{at:040}");
        fs::write(folder.join("blobs").join(&blob), bytes).unwrap();
        let link = snapshot.join(name);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        let up = "../".repeat(2 + name.matches('/').count());
        symlink(Path::new(&up).join("blobs").join(blob), link).unwrap();
    }
}

#[test]
fn a_corpus_is_found_by_its_name() {
    let sandbox = Sandbox::new();
    let cache = [("HF_HUB_CACHE", "cache")];
    let parquet = fs::read(crate::fixtures().join("parquet/snappy.parquet")).unwrap();
    let lines =
        b"{\"body\": \"A text of some words.\"}\n{\"body\": \"Another text, of others.\"}\n";
    let files: [(&str, &[u8]); 5] = [
        ("plain/train-00000-of-00002.parquet", &parquet),
        ("plain/train-00001-of-00002.parquet", &parquet),
        ("data/test.jsonl", lines),
        (
            "data/validation.txt",
            b"Some words, and others, and more of them.",
        ),
        ("README.md", b"---"),
    ];
    put_set(&sandbox.path("cache"), "org/set", &files);
    put_set(&sandbox.path("cache"), "images", &[("cat.png", b"")]);
    let sweep = |corpus: &str| {
        let arguments = [
            "sweep",
            "drop(1)",
            "--model",
            "gpt2-8x160",
            "--rows",
            "2",
            "--out",
            "out.csv",
            "--fresh",
            "--corpus",
            corpus,
        ];
        run(&sandbox, &cache, &arguments)
    };
    let check = |corpus: &str, file: &str| {
        let said = sweep(corpus).succeeded().stderr;
        let corpus = sandbox.json("out.csv.run/manifest.json")["runs"][0]["corpus"].clone();
        assert_eq!(corpus["commit"], COMMIT);
        let found = corpus["file"].as_str().unwrap();
        assert!(
            found.ends_with(&format!("snapshots/{COMMIT}/{file}")),
            "{found}"
        );
        said
    };
    let said = check(
        "org/set:plain:train:text",
        "plain/train-00000-of-00002.parquet",
    );
    assert!(
        said.contains("the first of 2 files of plain:train"),
        "{said}"
    );
    check("org/set:default:test:body", "data/test.jsonl");
    check(
        &format!("org/set@{COMMIT}:default:validation:text"),
        "data/validation.txt",
    );
    sweep("org/set:plain:train:id").refused(&[
        "train-00000-of-00002.parquet",
        r#"texts in "text", "other""#,
    ]);
    sweep("org/set:plain:test:text").refused(&[
        "the configuration plain with the split test",
        "there is default:test, default:validation, plain:train",
        "`hf download org/set --repo-type dataset --include '*test*'`",
    ]);
    sweep("other:a:b:text").refused(&["every revision of other"]);
    sweep("a:b.txt").refused(&["a:b.txt"]);
    let listed = run(&sandbox, &cache, &["list"]).succeeded().stdout;
    for line in [
        "  org/set:plain:train:FIELD  fields: text, other\n",
        "  org/set:default:test:FIELD  fields: any key of its lines\n",
        "  images: no readable file",
    ] {
        assert!(listed.contains(line), "no {line:?} in {listed}");
    }
}
