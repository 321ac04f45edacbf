//! Every command refuses outputs that cannot be written before it does any work for them.

use crate::{Sandbox, tiny, token_ids};
use std::fs;

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
