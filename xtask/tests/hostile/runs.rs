//! F, 87, 89 and 90: schedules, resumed runs, and the command line.
//!
//! Faults during a run, rather than in its inputs, are in `faults.rs`.

use crate::checkpoint::Checkpoint;
use crate::folder::make_fifo;
use crate::sandbox::{Sandbox, ids, npy};
use crate::{Case, check};
use std::fs;
use std::os::unix::fs::symlink;

/// The command that the cases about resuming begin with.
pub(crate) const SWEEP: [&str; 8] = [
    "sweep", "drop(l)", "--model", "model", "--corpus", "ids.npy", "--out", "out.csv",
];

pub(crate) const JOURNAL: &str = "out.csv.run/model.journal";

/// A finished run without its table.
fn finished(sandbox: &Sandbox) {
    let outcome = sandbox.run(&SWEEP);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    fs::remove_file(sandbox.path("out.csv")).unwrap();
}

fn edit(what: &'static str, edit: &'static str, says: &[&str]) -> Case {
    let arguments = [
        "sweep", "--model", "model", "--corpus", "ids.npy", "--out", "out.csv", edit,
    ];
    Case::refused((87, what), |_| (), &[&["edit `", edit], says].concat()).exactly(&arguments)
}

/// A long text as one argument; the error must be short all the same.
fn long(what: &'static str, edit: String, says: &[&str]) -> Case {
    let edit: &'static str = Box::leak(edit.into_boxed_str());
    let arguments = [
        "sweep", "--model", "model", "--corpus", "ids.npy", "--out", "out.csv", edit,
    ];
    Case::refused((87, what), |_| (), &[&["edit `drop("], says].concat()).exactly(&arguments)
}

fn submit(what: &'static str, arguments: &[&'static str], says: &[&str]) -> Case {
    Case::refused((90, what), |_| (), says).exactly(&[&["submit"], arguments].concat())
}

/// The folder of an array that was submitted before.
fn another_array(sandbox: &Sandbox, tasks: u32) {
    fs::create_dir(sandbox.path("out.csv.array")).unwrap();
    let record = format!(
        r#"{{"layerwise":"0.1.0","tasks":{tasks},"name":"layerwise-0","is_slurm":false,"command":["sweep"]}}"#
    );
    sandbox.write("out.csv.array/array.json", record.as_bytes());
}

/// Case 87.
pub(crate) fn schedules() -> Vec<Case> {
    vec![
        edit(
            "block out of range",
            "drop(2)",
            &["2 is out of range", "2 blocks"],
        ),
        edit(
            "block out of range, from the end",
            "drop(-3)",
            &["-3 is out of range", "2 blocks"],
        ),
        edit(
            "schedule that becomes empty",
            "drop(0..2)",
            &["empty", "at least one step"],
        ),
        edit("reversed range", "drop(1..0)", &["range 1..0"]),
        edit("empty range", "drop(1..1)", &["range 1..1", "empty"]),
        edit(
            "unknown edit",
            "drop_mpl(1)",
            &["unknown edit `drop_mpl`", "drop_mlp"],
        ),
        edit("count 0", "repeat(0,0)", &["count 0", "1..="]),
        edit("count beyond the cap", "repeat(0,65536)", &["65536"]),
        edit(
            "count of 2^64",
            "repeat(0,18446744073709551616)",
            &["18446744073709551616"],
        ),
        edit(
            "repeats of repeats beyond the cap",
            "repeat(0..2,30000);repeat(0..2,30000)",
            &["65536"],
        ),
        edit(
            "loop over dropped blocks",
            "drop(0);loop(0..2,3)",
            &["loop(0..2,3)", "0"],
        ),
        edit(
            "parallel blocks that no longer stand in order",
            "swap(0,1);parallel(0..2)",
            &["parallel(0..2)"],
        ),
        edit(
            "family without members",
            "swap(l,l+2)",
            &["has no member", "2 blocks"],
        ),
        edit("scale that is not finite", "scale(0,inf)", &["inf"]),
        edit("scale beyond all numbers", "scale(0,1e999)", &["1e999"]),
        edit("text that ends early", "drop(", &["expected", "found"]),
        Case::refused(
            (87, "family beyond the member cap"),
            |_| (),
            &["family `drop(l)` has more than 1 members"],
        )
        .on("ids.npy", &["--max-members", "1"]),
        long(
            "text of 100000 bytes",
            "drop(".repeat(20_000),
            &["100000 bytes", "at most"],
        ),
        long(
            "a thousand opening brackets",
            format!("drop({}", "[".repeat(1000)),
            &["expected", "found"],
        ),
        long(
            "a sum of a thousand terms",
            format!("drop({}l)", "9+".repeat(1000)),
            &["drop("],
        ),
        long(
            "two thousand edits in a row",
            "drop(0);".repeat(2000),
            &["expected", "found"],
        ),
    ]
}

fn resumed(what: &'static str, make: impl Fn(&Sandbox) + 'static, says: &[&str]) -> Case {
    Case::refused((89, what), make, &[&[JOURNAL], says].concat()).exactly(&SWEEP)
}

/// Case 89, as far as files show it.
pub(crate) fn resuming() -> Vec<Case> {
    let damaged = |what, line: usize, says: &str| {
        let make = move |sandbox: &Sandbox| {
            finished(sandbox);
            let mut bytes = sandbox.read(JOURNAL);
            let lines = bytes.split_inclusive(|byte| *byte == b'\n');
            let before: usize = lines.take(line - 1).map(<[u8]>::len).sum();
            bytes[before + 30] ^= 1;
            sandbox.write(JOURNAL, &bytes);
        };
        resumed(what, make, &[says, "is damaged", "start over with --fresh"])
    };
    vec![
        Case::accepted(
            (89, "torn last line"),
            |sandbox| {
                finished(sandbox);
                let bytes = sandbox.read(JOURNAL);
                sandbox.write(JOURNAL, &bytes[..bytes.len() - 5]);
            },
            &[
                JOURNAL,
                "the last line was cut off; it is computed again",
                "2 sequences of the sweep were finished",
            ],
        )
        .exactly(&SWEEP),
        damaged("bad checksum of a sequence", 3, "line 3"),
        damaged("bad checksum of the first line", 1, "line 1"),
        resumed(
            "lines without checksums",
            |sandbox| {
                fs::create_dir(sandbox.path("out.csv.run")).unwrap();
                sandbox.write(JOURNAL, b"{\"sequence\":0}\n\xff\xfe\n");
            },
            &["line 1", "is damaged"],
        ),
        resumed(
            "another model under the same name",
            |sandbox| {
                finished(sandbox);
                let mut other = Checkpoint::llama();
                other.tensor("model.norm.weight").fill(0.5);
                sandbox.write_checkpoint(&other);
            },
            &["another run", "expected", "--fresh"],
        ),
        resumed(
            "another corpus under the same name",
            |sandbox| {
                finished(sandbox);
                sandbox.write("ids.npy", &npy("<u2", "(4, 6)", &ids(24)));
            },
            &["another run", "expected", "--fresh"],
        ),
        resumed(
            "a journal of another version of the program",
            |sandbox| {
                // Its key is another; the checksum of the line is right.
                fs::create_dir(sandbox.path("out.csv.run")).unwrap();
                let line = b"8bd4ea1e4c0f8ca4 {\"run\":\"00\",\"schedules\":3}\n";
                sandbox.write(JOURNAL, line);
            },
            &["--fresh"],
        ),
        resumed(
            "a folder for the journal",
            |sandbox| fs::create_dir_all(sandbox.path(JOURNAL)).unwrap(),
            &["expected a file, found a folder"],
        ),
        Case::refused(
            (89, "a model file that has vanished since"),
            |sandbox| {
                finished(sandbox);
                fs::remove_file(sandbox.path("model/model.safetensors")).unwrap();
            },
            &[
                "model/model.safetensors",
                "not found",
                "expected the weights",
            ],
        )
        .exactly(&SWEEP),
        Case::refused(
            (89, "a file where the folder of the run belongs"),
            |sandbox| sandbox.write("out.csv.run", b""),
            &["out.csv.run: expected a folder, found a file"],
        )
        .exactly(&SWEEP),
    ]
}

/// How a shard of `reproduce` was started; `merge` runs this command again.
fn divided(what: &'static str, text: &'static str, says: &[&str]) -> Case {
    let make = move |sandbox: &Sandbox| {
        fs::create_dir(sandbox.path("shard")).unwrap();
        sandbox.write("shard/shard.json", of_this_version(text).as_bytes());
    };
    Case::refused((89, what), make, &[&["shard/shard.json"], says].concat()).exactly(&MERGE)
}

/// The text with this program's version in place of `VERSION`.
fn of_this_version(text: &str) -> String {
    text.replace("VERSION", env!("CARGO_PKG_VERSION"))
}

const MERGE: [&str; 4] = ["merge", "shard", "--out", "merged"];

/// Case 89, of shards of `reproduce`.
pub(crate) fn dividing() -> Vec<Case> {
    let starts = "expected this program's record of how a share was started";
    let other = "expected the arguments of reproduce, found";
    vec![
        divided(
            "a truncated command of a shard",
            "{\"layerwise\": \"0.1",
            &[starts, "EOF"],
        ),
        divided(
            "a shard's command with a field of a stranger",
            r#"{"layerwise": "VERSION", "folder": "/", "command": ["reproduce"], "also": 1}"#,
            &[starts, "unknown field `also`"],
        ),
        divided(
            "a shard of another version",
            r#"{"layerwise": "0.0.1", "folder": "/", "command": ["reproduce"]}"#,
            &[
                "a shard of version 0.0.1",
                "merge it with the version that made it",
            ],
        ),
        divided(
            "another command in place of a shard's",
            r#"{"layerwise": "VERSION", "folder": "/", "command": ["sweep", "drop(l)"]}"#,
            &[other, "another command"],
        ),
        divided(
            "a shard's command with an unknown option",
            r#"{"layerwise": "VERSION", "folder": "/", "command": ["reproduce", "--no-such"]}"#,
            &[other, "--no-such"],
        ),
        divided(
            "a shard's command that asks for help",
            r#"{"layerwise": "VERSION", "folder": "/", "command": ["reproduce", "--help"]}"#,
            &[other],
        ),
        divided(
            "a shard with a missing folder",
            r#"{"layerwise": "VERSION", "folder": "/no/such/folder", "command": ["reproduce"]}"#,
            &["/no/such/folder: cannot be entered"],
        ),
        // The message asks for nothing that would open a connection.
        Case::refused(
            (89, "a shard's command that fetches a model"),
            |sandbox| {
                fs::create_dir(sandbox.path("shard")).unwrap();
                let command = r#"["reproduce", "--fetch", "--model", "no-one/nothing"]"#;
                let text =
                    format!(r#"{{"layerwise": "VERSION", "folder": "/", "command": {command}}}"#);
                sandbox.write("shard/shard.json", of_this_version(&text).as_bytes());
            },
            &["no-one/nothing"],
        )
        .exactly(&MERGE),
        Case::refused(
            (89, "a link for a shard's command"),
            |sandbox| {
                fs::create_dir(sandbox.path("shard")).unwrap();
                symlink("../text.txt", sandbox.path("shard/shard.json")).unwrap();
            },
            &["shard/shard.json", "found a link"],
        )
        .exactly(&MERGE),
        Case::refused(
            (89, "a FIFO for a shard's command"),
            |sandbox| {
                fs::create_dir(sandbox.path("shard")).unwrap();
                make_fifo(sandbox, "shard/shard.json");
            },
            &["shard/shard.json", "found a FIFO"],
        )
        .exactly(&MERGE),
    ]
}

/// Case 90, as far as arguments show it.
pub(crate) fn arguments() -> Vec<Case> {
    let on = ["--model", "model", "--corpus", "ids.npy"];
    let refused = |what, arguments: &[&'static str], says: &[&str]| {
        Case::refused(
            (90, what),
            |s| fs::create_dir(s.path("folder")).unwrap(),
            says,
        )
        .exactly(&[arguments, &on].concat())
    };
    let to = |what, make: fn(&Sandbox), out: &'static str, found: &str| {
        let says = format!("{out}: expected a file, found {found}");
        let arguments = ["sweep", "drop(l)", "--out", out];
        Case::refused((90, what), make, &[&says]).exactly(&[&arguments, &on[..]].concat())
    };
    let threads = |what, count: &'static str| {
        let arguments = ["sweep", "drop(l)", "--out", "out.csv", "--threads", count];
        refused(
            what,
            &arguments,
            &["--threads", count, "expected a number from 1 to 1024"],
        )
    };
    vec![
        threads("no thread", "0"),
        threads("an absurd number of threads", "1000000"),
        refused(
            "unknown figure",
            &["reproduce", "robustnes"],
            &["robustnes", "possible values", "robustness"],
        ),
        refused(
            "output path that is a folder",
            &["sweep", "drop(l)", "--out", "folder"],
            &["folder: expected a file, found a folder"],
        ),
        refused(
            "output folder that is a file",
            &["reproduce", "robustness", "--out", "text.txt"],
            &["text.txt: expected a folder, found a file"],
        ),
        refused(
            "output folder that is a device",
            &["reproduce", "robustness", "--out", "/dev/null"],
            &["/dev/null: expected a folder, found a pipe, socket or device"],
        ),
        refused(
            "output below a file",
            &["sweep", "drop(l)", "--out", "text.txt/out.csv"],
            &["text.txt: expected a folder, found a file"],
        ),
        // A device gets the same message, `/dev/null` included; the test must not touch that one.
        to(
            "output path that is a pipe",
            |s| make_fifo(s, "pipe.csv"),
            "pipe.csv",
            "a pipe, socket or device",
        ),
        to(
            "output path that is a link",
            |s| symlink("text.txt", s.path("link.csv")).unwrap(),
            "link.csv",
            "a link",
        ),
        to(
            "output path that ends like a folder's",
            |_| (),
            "out.csv/",
            "a path that ends with a slash",
        ),
        refused(
            "no output for a shard",
            &["sweep", "drop(l)", "--shard", "1/2"],
            &["--out <FILE>"],
        ),
        refused(
            "unknown command",
            &["swep"],
            &["unrecognized subcommand 'swep'"],
        ),
        Case::refused(
            (90, "no such model"),
            |_| (),
            &[
                "--model nowhere",
                "no such folder and no embedded model of this name",
                "give a checkpoint folder",
            ],
        )
        .exactly(&["sweep", "drop(l)", "--out", "out.csv", "--model", "nowhere"]),
        Case::accepted(
            (90, "a folder with the name of an embedded model"),
            |s| fs::rename(s.path("model"), s.path("gpt2-8x160")).unwrap(),
            // The embedded one has eight blocks.
            &["gpt2-8x160: 3 schedules"],
        )
        .exactly(&[
            "sweep",
            "drop(l)",
            "--model",
            "./gpt2-8x160",
            "--corpus",
            "ids.npy",
            "--out",
            "out.csv",
        ]),
        Case::refused(
            (90, "context beyond the model's"),
            |_| (),
            &["--context 17 is more than", "give at most 16"],
        )
        .on("ids.npy", &["--context", "17"]),
        Case::refused(
            (90, "no rows"),
            |_| (),
            &["rows: expected at least 1, found 0"],
        )
        .on("ids.npy", &["--rows", "0"]),
        Case::refused(
            (90, "BOS for token ids"),
            |_| (),
            &["ids.npy: expected no BOS token", "found id 5"],
        )
        .on("ids.npy", &["--bos", "5"]),
        Case::refused(
            (90, "weights that do not fit into memory"),
            |_| (),
            &[
                "model: the weights: needs",
                "of memory, but only 1 MiB is available",
                "--max-memory",
            ],
        )
        .on("ids.npy", &["--max-memory", "20K"]),
        Case::refused(
            (90, "a run that does not fit into memory"),
            |_| (),
            &[
                "model: the run: needs",
                "of memory, but only 1 MiB is available",
                "threads",
            ],
        )
        .on("ids.npy", &["--max-memory", "100K"]),
        Case::refused(
            (90, "token ids that do not fit into memory"),
            |s| s.write("many.npy", &npy("<u2", "(3000, 8)", &ids(24_000))),
            &["many.npy: the first", "sequences: needs", "bytes of memory"],
        )
        .on("many.npy", &["--max-memory", "100K"]),
        Case::refused(
            (90, "text that does not fit into memory"),
            |s| s.write("long.txt", &b"some words ".repeat(1000)),
            &[
                "long.txt: encoding a document of 11000 bytes: needs 550000",
                "bytes of memory, but only",
            ],
        )
        .on("long.txt", &["--max-memory", "100K"]),
        submit(
            "an array of one task",
            &[
                "shell", "--array", "1", "--", "sweep", "drop(l)", "--out", "out.csv",
            ],
            &["--array", "expected a number from 2 to 10000"],
        ),
        submit(
            "an array of more tasks than shards",
            &[
                "shell", "--array", "10001", "--", "sweep", "drop(l)", "--out", "out.csv",
            ],
            &["--array", "expected a number from 2 to 10000"],
        ),
        submit(
            "an array of a command that has no shards",
            &["shell", "--", "list"],
            &["`list`: expected reproduce or sweep"],
        ),
        submit("an array of no command", &["shell", "--"], &["<COMMAND>"]),
        submit(
            "an array of shards",
            &[
                "shell", "--", "sweep", "drop(l)", "--out", "out.csv", "--shard", "1/2",
            ],
            &["`--shard` is not for the command of an array", "--array N"],
        ),
        submit(
            "an array without an output for its table",
            &["shell", "--", "sweep", "drop(l)"],
            &["expected --out FILE"],
        ),
        submit(
            "a partition that is a command",
            &[
                "slurm",
                "--partition",
                "a\n$(id)",
                "--",
                "sweep",
                "drop(l)",
                "--out",
                "out.csv",
            ],
            &["--partition", "expected the name of a partition"],
        ),
        submit(
            "an invalid time limit",
            &[
                "slurm", "--time", "soon", "--", "sweep", "drop(l)", "--out", "out.csv",
            ],
            &["--time", "expected minutes, H:M:S or D-H:M:S"],
        ),
        submit(
            "an array in place of a file",
            &[
                "shell",
                "--",
                "sweep",
                "drop(l)",
                "--out",
                "text.txt/out.csv",
            ],
            &["text.txt: expected a folder, found a file"],
        ),
        Case::refused(
            (89, "an array's folder that holds another array"),
            |s| another_array(s, 3),
            &["out.csv.array: holds an array of 3 tasks of another command"],
        )
        .exactly(&[
            "submit", "shell", "--", "sweep", "drop(l)", "--out", "out.csv",
        ]),
        Case::refused(
            (89, "an array of no tasks"),
            |s| another_array(s, 0),
            &[
                "out.csv.array/array.json",
                "expected a number from 2 to 10000, found 0",
            ],
        )
        .exactly(&["submit", "status", "out.csv"]),
        Case::refused(
            (89, "a truncated record of an array"),
            |s| {
                fs::create_dir(s.path("out.csv.array")).unwrap();
                s.write("out.csv.array/array.json", b"{\"layerwise\"");
            },
            &[
                "out.csv.array/array.json",
                "not a record that `submit` writes",
            ],
        )
        .exactly(&["submit", "status", "out.csv"]),
        Case::refused(
            (89, "an array's journal that is damaged"),
            |s| {
                another_array(s, 3);
                fs::create_dir(s.path("out.csv.array/part-1.csv.run")).unwrap();
                s.write(
                    "out.csv.array/part-1.csv.run/model.journal",
                    b"no journal\n",
                );
            },
            &["part-1.csv.run/model.journal", "line 1 is damaged"],
        )
        .exactly(&["submit", "status", "out.csv"]),
        submit(
            "the status of something that is not an array",
            &["status", "ids.npy"],
            &["array.json"],
        ),
        Case::refused(
            (90, "control characters in the name of a model"),
            |_| (),
            &["--model \\u{1b}[2Jx", "no such folder"],
        )
        .exactly(&[
            "sweep",
            "drop(l)",
            "--out",
            "out.csv",
            "--model",
            "\u{1b}[2Jx",
        ]),
        Case::refused(
            (90, "an invalid size"),
            |_| (),
            &["--max-memory", "1.5G", "expected a number of bytes above 0"],
        )
        .on("ids.npy", &["--max-memory", "1.5G"]),
        Case::refused(
            (90, "BOS beyond the vocabulary"),
            |_| (),
            &["bos: expected an id below 260", "found 260"],
        )
        .on("text.txt", &["--bos", "260"]),
    ]
}

#[test]
fn schedules_that_cannot_be() {
    check(schedules());
}

#[test]
fn runs_that_cannot_be_taken_up() {
    check(resuming());
}

#[test]
fn shards_that_cannot_be_put_together() {
    check(dividing());
}

#[test]
fn arguments_that_mean_nothing() {
    check(arguments());
}
