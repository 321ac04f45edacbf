//! Every command refuses outputs that cannot be written before it does any work for them.

use crate::{Sandbox, narrow, tiny, token_ids};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// A model whose name imitates another message of the program.
const TWO_LINES: &str = "gpt2\nerror: not so";

/// A sandbox with a finished run `a.csv`, models, and things that may be in the way of an output.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_ids(&token_ids(2, 8, 29));
    sandbox.write("text.txt", b"A text of some words.");
    let copy = |folder: &str| {
        fs::create_dir(sandbox.path(folder)).unwrap();
        for file in ["config.json", "model.safetensors"] {
            let to = sandbox.path(folder).join(file);
            fs::copy(format!("{}/{file}", tiny("gpt2")), to).unwrap();
        }
    };
    copy("report.html");
    copy(TWO_LINES);
    let on = ["--model", &tiny("gpt2"), "--corpus", "ids.npy"];
    let first = [&["sweep", "drop(0)", "--out", "a.csv"], &on[..]].concat();
    sandbox.xtask(&first).succeeded();
    for folder in [
        "folder",
        "in-the-way.csv.run/manifest.json",
        "journal.csv.run/llama.journal",
        "report/report.html",
        "table/gpt2/mlp-norm.csv",
        "drawing/gpt2/mlp-norm.svg",
        "model",
    ] {
        fs::create_dir_all(sandbox.path(folder)).unwrap();
    }
    sandbox.write("file.csv.run", b"");
    sandbox.write("model/gpt2", b"");
    #[cfg(unix)]
    for (target, link) in [("text.txt", "link.csv"), ("nowhere", "lost")] {
        std::os::unix::fs::symlink(target, sandbox.path(link)).unwrap();
    }
    sandbox
}

/// Runs a command that must refuse `--out out` without having done anything.
#[track_caller]
fn check(sandbox: &Sandbox, command: &str, out: &str, says: &str) {
    let models = [tiny("gpt2"), tiny("llama")];
    let on = ["--model", &models[0], "--model", &models[1], "--corpus"];
    let on = [&on[..], &["ids.npy"]].concat();
    let arguments = match command {
        "merge" => vec!["merge", "a.csv.run"],
        "sweep" => [&["sweep", "drop(0)"], &on[..]].concat(),
        _ => [&["reproduce", "mlp-norm"], &on[..]].concat(),
    };
    let before = sandbox.contents();
    let outcome = sandbox.xtask(&[&arguments[..], &["--out", out]].concat());
    outcome.refused(&[says]);
    // Every command prints the number of sequences in its plan or its report.
    assert!(!outcome.stderr.contains("sequences"), "{}", outcome.stderr);
    assert_eq!(sandbox.contents(), before, "{command} --out {out}");
}

#[test]
fn files_that_cannot_be_written() {
    let sandbox = sandbox();
    let long = "n".repeat(300);
    // This name fits, but the name of its run folder does not.
    let too_long_with_run = "n".repeat(252);
    let below_missing = format!("missing/{long}/out.csv");
    for command in ["sweep", "merge"] {
        for (out, says) in [
            ("folder", "folder: expected a file, found a folder"),
            ("folder/", "folder/: expected a file, found a folder"),
            (
                "new/",
                "new/: expected a file, found a path that ends with a slash",
            ),
            ("..", "..: expected a file, found a folder"),
            (
                "text.txt/out.csv",
                "text.txt: expected a folder, found a file",
            ),
            (
                "text.txt/new/out.csv",
                "text.txt: expected a folder, found a file",
            ),
            ("file.csv", "file.csv.run: expected a folder, found a file"),
            (
                "in-the-way.csv",
                "in-the-way.csv.run/manifest.json: expected a file, found a folder",
            ),
            (&long, "nnn: cannot be written to"),
            (
                &too_long_with_run,
                "nnn.run/manifest.json: cannot be written to",
            ),
            (&below_missing, "nnn: cannot be written to"),
        ] {
            check(&sandbox, command, out, says);
        }
        #[cfg(unix)]
        for (out, says) in [
            ("link.csv", "link.csv: expected a file, found a link"),
            (
                "lost/out.csv",
                "lost: expected a folder, found a dangling link",
            ),
        ] {
            check(&sandbox, command, out, says);
        }
        // A folder in which nobody can create a file, not even the system's administrator.
        #[cfg(target_os = "linux")]
        check(
            &sandbox,
            command,
            "/proc/out.csv",
            "/proc: cannot be written to",
        );
    }
    // In the way of the second model only.
    check(
        &sandbox,
        "sweep",
        "journal.csv",
        "journal.csv.run/llama.journal: expected a file, found a folder",
    );
}

#[test]
fn folders_that_cannot_hold_results() {
    let sandbox = sandbox();
    let long = "n".repeat(300);
    for (out, says) in [
        ("text.txt", "text.txt: expected a folder, found a file"),
        ("text.txt/out", "text.txt: expected a folder, found a file"),
        (&long, "nnn: cannot be written to"),
        (
            "report",
            "report/report.html: expected a file, found a folder",
        ),
        (
            "table",
            "table/gpt2/mlp-norm.csv: expected a file, found a folder",
        ),
        (
            "drawing",
            "drawing/gpt2/mlp-norm.svg: expected a file, found a folder",
        ),
        ("model", "model/gpt2: expected a folder, found a file"),
    ] {
        check(&sandbox, "reproduce", out, says);
    }
    #[cfg(unix)]
    check(
        &sandbox,
        "reproduce",
        "lost",
        "lost: expected a folder, found a dangling link",
    );
    #[cfg(target_os = "linux")]
    check(
        &sandbox,
        "reproduce",
        "/proc/out",
        "/proc: cannot be written to",
    );
}

#[test]
fn a_model_that_is_named_like_a_file_of_results() {
    let sandbox = sandbox();
    let before = sandbox.contents();
    let on = ["--model", "report.html", "--corpus", "ids.npy", "--out"];
    sandbox
        .xtask(&[&["reproduce", "mlp-norm"], &on[..], &["out"]].concat())
        .refused(&["report.html", "would have the name of a file of results"]);
    assert_eq!(sandbox.contents(), before);
    // A sweep has no folder of that name.
    let swept = sandbox.xtask(&[&["sweep", "drop(0)"], &on[..], &["out.csv"]].concat());
    assert_eq!(swept.succeeded().stdout, "out.csv\n");
}

#[test]
fn a_name_of_two_lines_is_told_on_one() {
    let sandbox = sandbox();
    let on = ["--model", TWO_LINES, "--corpus", "ids.npy", "--out"];
    for (command, out) in [
        (["sweep", "drop(0)"], "a\nb.csv"),
        (["reproduce", "mlp-norm"], "out"),
    ] {
        let outcome = sandbox.xtask(&[&command, &on[..], &[out]].concat());
        let outcome = outcome.succeeded();
        let said = outcome.stderr + &outcome.stdout;
        assert!(said.contains("gpt2\\nerror: not so"), "{said}");
        for line in said.lines() {
            assert!(
                !line.starts_with("error") && !line.starts_with("b.csv"),
                "{said}"
            );
        }
    }
    let before = sandbox.contents();
    let both = ["--model", "report.html", "--model", "none\nerror: so"];
    let refused = [&["sweep", "drop(0)", "--out", "out.csv"], &both[..]].concat();
    let outcome = sandbox.xtask(&refused);
    outcome.refused(&["--model none\\nerror: so: there is no such folder"]);
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    assert_eq!(sandbox.contents(), before);
}

/// The bytes of all files in a sandbox.
fn bytes(sandbox: &Sandbox) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = sandbox.contents().into_iter();
    let files = files.filter(|path| sandbox.folder.path().join(path).is_file());
    let read = |path: PathBuf| {
        let bytes = fs::read(sandbox.folder.path().join(&path)).unwrap();
        (path, bytes)
    };
    files.map(read).collect()
}

/// A sandbox with a model, a finished run `a.csv`, and an input of each kind.
fn with_inputs() -> Sandbox {
    let sandbox = Sandbox::with_ids(&token_ids(2, 8, 29));
    narrow(&sandbox);
    let labels = format!("[{}]\n", ["\"a\""; 8].join(","));
    for (file, text) in [
        ("text.txt", "A text of some words."),
        (
            "task.jsonl",
            r#"{"prompt": "A", "options": ["text", "word"], "gold": 0}"#,
        ),
        (
            "pairs.jsonl",
            r#"{"clean": [1, 2, 3], "corrupted": [1, 4, 3]}"#,
        ),
        ("labels.jsonl", &labels.repeat(2)),
        ("prompts.jsonl", r#"{"ids": [1, 2]}"#),
        (
            "words.txt",
            "board\tN\t2-1\tRoom and board .\tHe  boards a plane\ngo\tV\t0-0\tgo\tgo on\n",
        ),
        ("lists.txt", "x a b\nx a c\n"),
    ] {
        sandbox.write(file, text.as_bytes());
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink("ids.npy", sandbox.path("link.npy")).unwrap();
    let first = "sweep drop(0) --model narrow --corpus ids.npy --out a.csv";
    let first: Vec<&str> = first.split(' ').collect();
    sandbox.xtask(&first).succeeded();
    sandbox
}

/// An output that is another output, an input, or the work of a run is refused, and every file stays as it is.
#[test]
fn outputs_that_would_replace_something() {
    let sandbox = with_inputs();
    let before = bytes(&sandbox);
    let check = |command: &str, says: &str| {
        let needs_model = !command.starts_with("merge") && !command.starts_with("rescore");
        let model: &[&str] = if needs_model {
            &["--model", "narrow"]
        } else {
            &[]
        };
        let words: Vec<&str> = command.split(' ').collect();
        let outcome = sandbox.xtask(&[&words[..], model].concat());
        outcome.refused(&[says, "give another"]);
        assert!(bytes(&sandbox) == before, "{command}");
    };
    let on_ids = |options: &str, says: &str| {
        check(&format!("sweep drop(0) --corpus ids.npy {options}"), says);
    };
    on_ids(
        "--out x --per-token ./x",
        "--per-token ./x: is the same file as --out x",
    );
    on_ids(
        "--out x --per-token y --classes x",
        "--classes x: is the same file as --out x",
    );
    on_ids(
        "--out x --per-token y --classes y",
        "--classes y: is the same file as --per-token y",
    );
    on_ids(
        "--out x --per-token x/y",
        "--per-token x/y: lies in --out x",
    );
    on_ids(
        "--out x --per-token x.run/y",
        "--per-token x.run/y: lies in the run folder x.run",
    );
    on_ids(
        "--out a.csv.run/narrow.journal",
        "--out a.csv.run/narrow.journal: would replace a journal",
    );
    on_ids(
        "--out ids.npy",
        "--out ids.npy: is the same file as --corpus ids.npy",
    );
    on_ids(
        "--out x --per-token y --classes labels.jsonl --labels labels.jsonl",
        "--classes labels.jsonl: is the same file as --labels labels.jsonl",
    );
    on_ids(
        "--out narrow/config.json",
        "narrow/config.json: is the same file as --model",
    );
    on_ids(
        "--out narrow/tokenizer.json",
        "narrow/tokenizer.json: is the same file as --model",
    );
    for (command, says) in [
        (
            "sweep drop(0) --tasks task.jsonl --out x --per-item x",
            "--per-item x: is the same file as --out x",
        ),
        (
            "sweep drop(0) --tasks task.jsonl --out task.jsonl",
            "--out task.jsonl: is the same file as --tasks task.jsonl",
        ),
        (
            "sweep drop(0) --tasks task.jsonl --out x --per-item task.jsonl",
            "--per-item task.jsonl: is the same file as --tasks",
        ),
        (
            "sweep drop(0) --pairs pairs.jsonl --out pairs.jsonl",
            "--out pairs.jsonl: is the same file as --pairs",
        ),
        (
            "submit shell -- sweep drop(0) --corpus text.txt --out text.txt",
            "--out text.txt: is the same file as --corpus text.txt",
        ),
        (
            "activations --sites resid.post[0] --corpus ids.npy --out ids.npy",
            "--out ids.npy: is the same file as --corpus ids.npy",
        ),
        (
            "generate --prompts prompts.jsonl --out prompts.jsonl",
            "--out prompts.jsonl: is the same file as --prompts",
        ),
        (
            "vectors words.txt --out words.txt",
            "--out words.txt: is the same file as the input words.txt",
        ),
        (
            "speed --out narrow/config.json",
            "narrow/config.json: is the same file as --model",
        ),
        (
            "early-exit train task.jsonl --out task.jsonl",
            "--out task.jsonl: is the same file as the task task.jsonl",
        ),
        (
            "rescore lists.txt --prompts lists.txt",
            "--prompts lists.txt: is the same file as the lists lists.txt",
        ),
        (
            "rescore lists.txt --out x --prompts x/best.txt",
            "--out x/best.txt: is the same file as --prompts x/best.txt",
        ),
        (
            "reproduce mlp-norm --corpus x/manifest.json --out x",
            "--corpus x/manifest.json: lies where the results are written",
        ),
        (
            "merge a.csv.run --out a.csv.run/narrow.journal",
            "is the same file as the journal a.csv.run/narrow.journal",
        ),
        (
            "merge a.csv.run --out a.csv.run/manifest.json",
            "is the same file as the manifest a.csv.run/manifest.json",
        ),
        (
            "merge a.csv.run --out x --per-item x",
            "--per-item x: is the same file as --out x",
        ),
    ] {
        check(command, says);
    }
    #[cfg(unix)]
    check(
        "sweep drop(0) --corpus link.npy --out ids.npy",
        "--out ids.npy: is the same file as --corpus link.npy",
    );
}

/// Each output goes into its folder, which need not be there, even on another file system than that of the table.
#[test]
fn folders_of_outputs_are_created() {
    let sandbox = with_inputs();
    let check = |command: &str, outputs: &[&str]| {
        let command = format!("{command} --model narrow");
        let words: Vec<&str> = command.split(' ').collect();
        // What an earlier run left is taken up.
        for _ in 0..2 {
            sandbox.xtask(&words).succeeded();
            for output in outputs {
                assert!(!sandbox.read(output).is_empty(), "{output}");
            }
        }
    };
    let on_ids = "sweep drop(0) --corpus ids.npy --out";
    check(
        &format!("{on_ids} new/1/o.csv --per-token new/2/t.st --classes new/3/c.csv"),
        &["new/1/o.csv", "new/2/t.st", "new/3/c.csv"],
    );
    check(
        "sweep drop(0) --tasks task.jsonl --out new/4/o.csv --per-item new/5/i.csv",
        &["new/4/o.csv", "new/5/i.csv"],
    );
    check("vectors words.txt --out new/6/v.st", &["new/6/v.st"]);
    #[cfg(target_os = "linux")]
    if let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") {
        let file = elsewhere.path().join("t.st");
        let file = file.to_str().unwrap();
        check(&format!("{on_ids} o.csv --per-token {file}"), &[file]);
        assert!(fs::read(file).unwrap() == sandbox.read("new/2/t.st"));
    }
}
