//! B, 36 to 53: the index and the folder.

use crate::checkpoint::{Checkpoint, safetensors, tokenizer};
use crate::sandbox::Sandbox;
use crate::{Case, check};
use serde_json::{Map, Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

const FILE: &str = "model/model.safetensors";
const TOKENIZER: &str = "model/tokenizer.json";
const INDEX: &str = "model/model.safetensors.index.json";

/// Makes a FIFO, which blocks whoever opens it for reading.
pub(crate) fn make_fifo(sandbox: &Sandbox, name: &str) {
    let path = sandbox.path(name);
    let _ = fs::remove_file(&path);
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// The good checkpoint in two shards, `s1` and `s2.safetensors`; returns its index for the caller to write.
fn shards(sandbox: &Sandbox) -> Map<String, Value> {
    fs::remove_file(sandbox.path(FILE)).unwrap();
    let tensors = Checkpoint::llama().tensors;
    let (first, second) = tensors.split_at(5);
    let mut map = Map::new();
    for (name, tensors) in [("s1.safetensors", first), ("s2.safetensors", second)] {
        sandbox.write(&format!("model/{name}"), &safetensors(tensors));
        for tensor in tensors {
            map.insert(tensor.name.clone(), json!(name));
        }
    }
    map
}

fn write_index(sandbox: &Sandbox, map: &Map<String, Value>) {
    sandbox.write(INDEX, json!({ "weight_map": map }).to_string().as_bytes());
}

/// A sharded checkpoint whose index is changed.
fn mapped(
    name: (u8, &'static str),
    change: impl Fn(&mut Map<String, Value>) + 'static,
    says: &[&str],
) -> Case {
    let make = move |sandbox: &Sandbox| {
        let mut map = shards(sandbox);
        change(&mut map);
        write_index(sandbox, &map);
    };
    Case::refused(name, make, says)
}

/// An index that names a shard like this.
fn named(name: (u8, &'static str), shard: &'static str) -> Case {
    let change = move |map: &mut Map<String, Value>| {
        map["lm_head.weight"] = json!(shard);
    };
    let says = [INDEX, "\"lm_head.weight\"", "expected a plain file name"];
    mapped(name, change, &says)
}

/// A folder with a good model, changed afterwards.
fn changed(name: (u8, &'static str), change: impl Fn(&Sandbox) + 'static, says: &[&str]) -> Case {
    Case::refused(name, change, says)
}

/// What replaces a file of the model.
fn instead(
    name: (u8, &'static str),
    file: &'static str,
    put: impl Fn(&Sandbox, &str) + 'static,
    says: &[&str],
) -> Case {
    let make = move |sandbox: &Sandbox| {
        let _ = fs::remove_file(sandbox.path(file));
        put(sandbox, file);
    };
    changed(name, make, &[&[file], says].concat())
}

fn index_text(name: (u8, &'static str), text: &'static str, says: &[&str]) -> Case {
    let make = move |sandbox: &Sandbox| {
        shards(sandbox);
        sandbox.write(INDEX, text.as_bytes());
    };
    changed(name, make, &[&[INDEX], says].concat())
}

/// Cases 36 to 47 and 53: the index.
pub(crate) fn indices() -> Vec<Case> {
    vec![
        mapped(
            (36, "index names a missing shard"),
            |map| map["lm_head.weight"] = json!("s3.safetensors"),
            &[
                "model/s3.safetensors",
                "not found",
                "expected a shard that the index names",
            ],
        ),
        named((37, "absolute path"), "/etc/s2.safetensors"),
        named((38, "component `..`"), "../s2.safetensors"),
        named((39, "separator"), "sub/s2.safetensors"),
        named((39, "drive letter"), "C:s2.safetensors"),
        named((39, "backslash"), "sub\\s2.safetensors"),
        named((39, "URL"), "https://example.org/s2.safetensors"),
        named((39, "control characters"), "\u{1b}[2Js2.safetensors"),
        mapped(
            (42, "index lists a tensor that the shard lacks"),
            |map| {
                map.insert("extra".to_owned(), json!("s1.safetensors"));
            },
            &[
                "model/s1.safetensors",
                "expected tensor \"extra\"",
                "found no such tensor",
            ],
        ),
        mapped(
            (43, "shard has a tensor that the index assigns elsewhere"),
            |map| map["lm_head.weight"] = json!("s1.safetensors"),
            &[
                "model/s2.safetensors",
                "found tensor \"lm_head.weight\"",
                "expects in \"s1.safetensors\"",
            ],
        ),
        mapped(
            (43, "shard has a tensor that the index assigns nowhere"),
            |map| {
                map.shift_remove("lm_head.weight");
            },
            &[
                "model/s2.safetensors",
                "found tensor \"lm_head.weight\"",
                "expects",
            ],
        ),
        changed(
            (44, "the same tensor in two shards"),
            |sandbox| {
                let map = shards(sandbox);
                sandbox.write(
                    "model/s1.safetensors",
                    &safetensors(&Checkpoint::llama().tensors),
                );
                write_index(sandbox, &map);
            },
            &[
                "safetensors",
                "tensor",
                "expected in one shard, found in",
                "too",
            ],
        ),
        index_text((45, "no `weight_map`"), "{}", &["weight_map"]),
        index_text(
            (45, "`weight_map` an array"),
            r#"{"weight_map":[]}"#,
            &["weight_map", "expected"],
        ),
        index_text(
            (45, "`weight_map` with a number"),
            r#"{"weight_map":{"lm_head.weight":1}}"#,
            &[
                "\"lm_head.weight\"",
                "expected the name of a shard",
                "found 1",
            ],
        ),
        index_text((45, "index not JSON"), "{", &["column"]),
        changed(
            (46, "declared total size that is not the real one"),
            |sandbox| {
                let map = shards(sandbox);
                let index = json!({"metadata": {"total_size": 17}, "weight_map": map});
                sandbox.write(INDEX, index.to_string().as_bytes());
            },
            &[INDEX, "total_size: expected", "found 17"],
        ),
        changed(
            (47, "single file and shards that differ"),
            |sandbox| {
                let map = shards(sandbox);
                write_index(sandbox, &map);
                let mut other = Checkpoint::llama();
                other.tensor("model.norm.weight").name = "model.norm.bias".to_owned();
                sandbox.write(FILE, &safetensors(&other.tensors));
            },
            &[
                "model",
                "model.norm",
                "expected the same in both, or only one of the two",
            ],
        ),
        mapped(
            (53, "shard names that differ only in case"),
            |map| map["lm_head.weight"] = json!("S2.safetensors"),
            &[INDEX, "differ only in case", "expected distinct names"],
        ),
    ]
}

/// Cases 40, 41 and 48 to 51: kinds of files, and targets of links.
pub(crate) fn kinds() -> Vec<Case> {
    let pickle = |name: (u8, &'static str), file: &'static str| {
        let make = move |sandbox: &Sandbox| {
            fs::remove_file(sandbox.path(FILE)).unwrap();
            sandbox.write(&format!("model/{file}"), b"\x80\x02}q\x00.");
        };
        let says = [
            "model",
            "expected model.safetensors",
            file,
            "convert it to safetensors",
        ];
        changed(name, make, &says)
    };
    let fifo = |number, what, file| {
        let says = ["expected a regular file", "found a FIFO"];
        instead((number, what), file, make_fifo, &says)
    };
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:4665dd\nsize 548105171\n";
    vec![
        changed(
            (40, "link out of the folder"),
            |sandbox| {
                fs::rename(sandbox.path(FILE), sandbox.path("outside.safetensors")).unwrap();
                symlink("../outside.safetensors", sandbox.path(FILE)).unwrap();
            },
            &[
                FILE,
                "expected a file in the folder",
                "found a link to",
                "outside.safetensors",
            ],
        ),
        instead(
            (40, "config that is a link out of the folder"),
            "model/config.json",
            |sandbox, file| symlink("/etc/hostname", sandbox.path(file)).unwrap(),
            &[
                "expected a file in the folder",
                "found a link to /etc/hostname",
            ],
        ),
        instead(
            (40, "tokenizer that is a link out of the folder"),
            TOKENIZER,
            |sandbox, file| {
                sandbox.write("outside.json", tokenizer().to_string().as_bytes());
                symlink("../outside.json", sandbox.path(file)).unwrap();
            },
            &[
                "expected a file in the folder",
                "found a link to ../outside.json",
                "--follow-links",
            ],
        )
        .on("text.txt", &[]),
        instead(
            (40, "tokenizer that is a link to a device"),
            TOKENIZER,
            |sandbox, file| symlink("/dev/zero", sandbox.path(file)).unwrap(),
            &["expected a file in the folder", "found a link to /dev/zero"],
        )
        .on("text.txt", &[]),
        instead(
            (40, "tokenizer that is a dangling link"),
            TOKENIZER,
            |sandbox, file| symlink("absent.json", sandbox.path(file)).unwrap(),
            &["found a link to absent.json", "does not exist"],
        )
        .on("text.txt", &[]),
        Case::accepted(
            (40, "links out of the folder, with --follow-links"),
            |sandbox| {
                for file in ["config.json", "model.safetensors", "tokenizer.json"] {
                    let (inside, outside) = (format!("model/{file}"), sandbox.path(file));
                    fs::rename(sandbox.path(&inside), &outside).unwrap();
                    symlink(&outside, sandbox.path(&inside)).unwrap();
                }
            },
            &[],
        )
        .on("text.jsonl", &["--follow-links"]),
        Case::accepted(
            (40, "links within the folder"),
            |sandbox| {
                for file in ["config.json", "model.safetensors", "tokenizer.json"] {
                    let inside = sandbox.path("model").join(file);
                    fs::rename(&inside, inside.with_extension("kept")).unwrap();
                    let kept = Path::new(file).with_extension("kept");
                    symlink(kept, inside).unwrap();
                }
            },
            &[],
        )
        .on("text.jsonl", &[]),
        instead(
            (41, "a directory for the weights"),
            FILE,
            |sandbox, file| fs::create_dir(sandbox.path(file)).unwrap(),
            &["expected a regular file", "found a directory"],
        ),
        fifo(41, "a FIFO for the weights", FILE),
        fifo(41, "a FIFO for the config", "model/config.json"),
        fifo(41, "a FIFO for the index", INDEX),
        instead(
            (41, "a socket for the weights"),
            FILE,
            |sandbox, file| {
                // The path of a socket must be short: it is created nearby and moved.
                drop(UnixListener::bind(sandbox.path("s")).unwrap());
                fs::rename(sandbox.path("s"), sandbox.path(file)).unwrap();
            },
            &["expected a regular file", "found a socket"],
        ),
        instead(
            (41, "a device for the weights"),
            FILE,
            |sandbox, file| symlink("/dev/zero", sandbox.path(file)).unwrap(),
            &["expected", "found"],
        ),
        changed(
            (41, "a FIFO for a shard"),
            |sandbox| {
                let map = shards(sandbox);
                write_index(sandbox, &map);
                make_fifo(sandbox, "model/s2.safetensors");
            },
            &[
                "model/s2.safetensors",
                "expected a regular file",
                "found a FIFO",
            ],
        ),
        pickle((48, "only a .bin file"), "pytorch_model.bin"),
        pickle((48, "only a .pth file"), "consolidated.00.pth"),
        instead(
            (48, "no weights at all"),
            FILE,
            |_, _| (),
            &["not found", "expected the weights"],
        ),
        changed(
            (50, "link to a missing blob"),
            |sandbox| {
                fs::remove_file(sandbox.path(FILE)).unwrap();
                symlink("../blobs/248dfc39", sandbox.path(FILE)).unwrap();
            },
            &[FILE, "expected a file", "248dfc39", "does not exist"],
        ),
        changed(
            (50, "hub cache with an unfinished blob"),
            |sandbox| {
                let repository = sandbox.path("models--a--b");
                let snapshot = repository.join("snapshots/0123abcd");
                fs::create_dir_all(repository.join("blobs")).unwrap();
                fs::create_dir_all(snapshot.parent().unwrap()).unwrap();
                fs::rename(sandbox.path("model"), &snapshot).unwrap();
                let blob = "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707";
                let file = snapshot.join("model.safetensors");
                let unfinished = repository.join(format!("blobs/{blob}.incomplete"));
                fs::rename(&file, unfinished).unwrap();
                symlink(format!("../../blobs/{blob}"), file).unwrap();
                symlink("models--a--b/snapshots/0123abcd", sandbox.path("model")).unwrap();
            },
            &[
                "model.safetensors",
                "does not exist",
                "unfinished download",
                "a707.incomplete",
            ],
        ),
        instead(
            (51, "text of a Git LFS pointer"),
            FILE,
            |sandbox, file| sandbox.write(file, lfs),
            &[
                "expected the file itself",
                "Git LFS pointer",
                "git lfs pull",
            ],
        ),
    ]
}

#[test]
fn indices_and_shards() {
    check(indices());
}

#[test]
fn kinds_of_files_and_links() {
    check(kinds());
}

/// A user who may not read a file of the model learns which file it is.
#[test]
fn files_that_may_not_be_read() {
    for file in ["config.json", "model.safetensors"] {
        let sandbox = Sandbox::new();
        let path = sandbox.path("model").join(file);
        fs::set_permissions(sandbox.path(""), PermissionsExt::from_mode(0o777)).unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(0o000)).unwrap();
        let arguments = [
            "sweep", "drop(l)", "--model", "model", "--corpus", "ids.npy", "--out", "out.csv",
        ];
        let Some(outcome) = sandbox.run_as_nobody(&arguments) else {
            return;
        };
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        for part in [file, "cannot open", "denied"] {
            assert!(outcome.stderr.contains(part), "{part}: {outcome:?}");
        }
        assert!(!sandbox.path("out.csv.run").exists());
    }
}
