//! 89: links and pipes in the place of the files of a run, or of a folder of data.

use crate::folder::make_fifo;
use crate::runs::{JOURNAL, SWEEP};
use crate::sandbox::Sandbox;
use crate::{Case, check};
use std::fs;
use std::os::unix::fs::symlink;

/// The values of tokens, while a sweep writes them.
const PER_TOKEN: &str = "out.csv.run/per-token.partial";

/// The activations, while they are written.
const ACTIVATIONS: &str = "a.safetensors.run/activations.partial";

/// A file of a run that is a link to a file elsewhere, which must stay unchanged (its length is compared), or a dangling link,
/// whose target must stay absent.
fn linked(what: &'static str, file: &'static str, is_there: bool) -> Case {
    link(what, file, is_there, "found a link")
}

/// A link out of a folder of data, which the user may replace by what it leads to.
fn out_of_data(what: &'static str, file: &'static str) -> Case {
    link(what, file, true, "copy the file with `cp -L`")
}

fn link(what: &'static str, file: &'static str, is_there: bool, says: &str) -> Case {
    let make = move |sandbox: &Sandbox| {
        let path = sandbox.path(file);
        fs::create_dir(path.parent().unwrap()).unwrap();
        if is_there {
            sandbox.write("elsewhere.txt", b"what somebody else wrote");
        }
        symlink("../elsewhere.txt", path).unwrap();
    };
    Case::refused((89, what), make, &[file, says])
}

fn fifo(what: &'static str, file: &'static str, says: &str) -> Case {
    let make = move |sandbox: &Sandbox| {
        fs::create_dir(sandbox.path(file).parent().unwrap()).unwrap();
        make_fifo(sandbox, file);
    };
    Case::refused((89, what), make, &[file, says])
}

/// Case 89, of links and pipes.
pub(crate) fn links() -> Vec<Case> {
    let sweep = |more: &[&'static str]| [&SWEEP[..], more].concat();
    let tokens = ["--per-token", "tokens.safetensors"];
    let per_token = |more: &[&'static str]| [&SWEEP[..], &tokens, more].concat();
    let fixed = [
        "activations",
        "--sites",
        "resid.post",
        "--model",
        "model",
        "--corpus",
        "ids.npy",
        "--out",
        "a.safetensors",
    ];
    let activations = |more: &[&'static str]| [&fixed, more].concat();
    let fresh = ["--fresh"];
    let pipe = "expected a file, found a pipe, socket or device";
    vec![
        linked("a link for the journal", JOURNAL, true).exactly(&SWEEP),
        linked("a link for the journal, with --fresh", JOURNAL, true).exactly(&sweep(&fresh)),
        linked("a dangling link for the journal", JOURNAL, false).exactly(&SWEEP),
        linked(
            "a dangling link for the journal, with --fresh",
            JOURNAL,
            false,
        )
        .exactly(&sweep(&fresh)),
        fifo("a FIFO for the journal", JOURNAL, pipe).exactly(&SWEEP),
        linked("a link for the values of tokens", PER_TOKEN, true).exactly(&per_token(&[])),
        linked(
            "a dangling link for the values of tokens, with --fresh",
            PER_TOKEN,
            false,
        )
        .exactly(&per_token(&fresh)),
        fifo("a FIFO for the values of tokens", PER_TOKEN, "found a FIFO").exactly(&per_token(&[])),
        linked("a link for activations", ACTIVATIONS, true).exactly(&activations(&[])),
        linked(
            "a dangling link for activations, with --fresh",
            ACTIVATIONS,
            false,
        )
        .exactly(&activations(&fresh)),
        fifo("a FIFO for activations", ACTIVATIONS, "found a FIFO").exactly(&activations(&[])),
        out_of_data("a link out of a folder of tasks", "tasks/piqa.jsonl").exactly(&[
            "sweep", "drop(l)", "--model", "model", "--tasks", "tasks", "--out", "out.csv",
        ]),
        out_of_data(
            "a link out of a folder of labelled pairs",
            "wic/train.data.txt",
        )
        .exactly(&[
            "reproduce",
            "wic",
            "--wic",
            "wic",
            "--model",
            "model",
            "--corpus",
            "text.txt",
            "--out",
            "out",
        ]),
    ]
}

#[test]
fn files_of_runs_that_are_links_or_pipes() {
    check(links());
}
