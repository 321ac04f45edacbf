//! `list`, `--help`, and closed pipes.

use crate::statistics::embedded_model;
use crate::{Sandbox, narrow, tiny, token_ids};
use std::process::Stdio;
use xtask::experiments::{EXPERIMENTS, claims};

#[test]
fn list_names_every_experiment_model_and_format() {
    let said = Sandbox::new().xtask(&["list"]).succeeded().stdout;
    let line = |id: &str| {
        let mut lines = said.lines();
        let own = lines.find(|line| line.trim_start().starts_with(&format!("{id} ")));
        own.unwrap_or_else(|| panic!("no {id} in:\n{said}"))
    };
    for experiment in EXPERIMENTS.iter() {
        let told = experiment.about().summary;
        assert!(line(experiment.id()).contains(told), "{said}");
    }
    for (id, needs) in [
        ("robustness", "v1-fig2, v1-fig3)"),
        ("neurons", "needs no text"),
        ("suffix-neurons", "needs a model with its tokenizer.json"),
        (
            "wic",
            "needs a model with its tokenizer.json, word-in-context pairs (else a stand-in made from text)",
        ),
    ] {
        assert!(line(id).ends_with(needs), "{}", line(id));
    }
    for claim in claims() {
        let line = said
            .lines()
            .find(|line| line.trim_start().starts_with(&format!("{} ", claim.id)));
        assert!(line.unwrap().contains(claim.statement), "{said}");
    }
    let [embedded, _] = embedded_model();
    let formats = [".txt", ".raw", ".jsonl", ".npy"];
    let families = ["gpt2", "gpt_neox", "phi", "llama", "qwen2"];
    for item in [&[embedded.as_str()], formats.as_slice(), &families].concat() {
        assert!(said.contains(item), "no {item} in:\n{said}");
    }
}

#[test]
fn list_gives_the_names_alone_to_scripts() {
    let said = Sandbox::new().xtask(&["list", "--ids"]).succeeded().stdout;
    let ids: Vec<&str> = EXPERIMENTS
        .iter()
        .map(|experiment| experiment.id())
        .collect();
    assert_eq!(said.lines().collect::<Vec<_>>(), ids);
}

#[test]
fn help_names_every_command_and_option() {
    let sandbox = Sandbox::new();
    let shared = [
        "--model",
        "--corpus",
        "--rows",
        "--context",
        "--tokens",
        "--bos",
        "--field",
        "--no-mmap",
        "--precision",
        "--threads",
        "--fresh",
        "--out",
    ];
    let own = [
        "drop(5)",
        "'swap(l,l+1)'",
        "--shard",
        "--until-se",
        "--dry-run",
    ];
    let swept = [&own, shared.as_slice()].concat();
    let reproduced = [&["robustness", "--shift-corpus"], shared.as_slice()].concat();
    for (arguments, mentioned) in [
        (
            ["--help"].as_slice(),
            [
                "reproduce",
                "sweep",
                "merge",
                "diff-sites",
                "rescore",
                "list",
            ]
            .as_slice(),
        ),
        (&["sweep", "--help"], &swept),
        (&["reproduce", "--help"], &reproduced),
        (&["merge", "--help"], &["<RUN>...", "--out"]),
        (&["diff-sites", "--help"], &["MODEL", "REFERENCE"]),
        (
            &["rescore", "--help"],
            &["--trigrams", "--tune", "--compare", "--corrections"],
        ),
    ] {
        let said = sandbox.xtask(arguments).succeeded().stdout;
        for item in mentioned {
            assert!(said.contains(item), "{arguments:?}: no {item} in:\n{said}");
        }
    }
}

/// Every command does its work even if nobody reads its output.
#[test]
fn a_closed_pipe_is_no_failure() {
    let sandbox = Sandbox::with_ids(&token_ids(2, 8, 29));
    let model = tiny("gpt2");
    let golden = format!("{model}/golden.safetensors");
    let on = ["--model", &model, "--corpus", "ids.npy", "--out"];
    let name = narrow(&sandbox);
    let item =
        br#"{"prompt": "The people of the", "options": ["sea", "ship and crew"], "gold": 0}"#;
    sandbox.write("own.jsonl", item);
    let scored = ["sweep", "drop(0)", "--model", name, "--tasks", "own.jsonl"];
    let of_scores = ["--out", "scores.csv", "--per-item", "items.csv"];
    let classes = ["--per-token", "t.safetensors", "--classes", "classes.csv"];
    let of_tokens = [&on[..], &["tokens.csv"], &classes].concat();
    let submitted = [&["submit", "shell", "--", "sweep", "drop(l)"], &on[..]].concat();
    let closed = || {
        let (_, writer) = std::io::pipe().unwrap();
        writer
    };
    for arguments in [
        vec!["list"],
        vec!["--help"],
        vec!["diff-sites", &model, &golden],
        [&["sweep", "drop(l)"], on.as_slice(), &["out.csv"]].concat(),
        vec!["merge", "out.csv.run", "--out", "merged.csv"],
        [&["reproduce", "robustness"], on.as_slice(), &["out"]].concat(),
        [&scored[..], &of_scores].concat(),
        vec![
            "merge",
            "scores.csv.run",
            "--out",
            "all.csv",
            "--per-item",
            "all-items.csv",
        ],
        [&["sweep", "drop(l)"], of_tokens.as_slice()].concat(),
        [&submitted[..], &["array.csv"]].concat(),
    ] {
        let run = |stderr: Stdio| {
            let mut command = sandbox.command(&arguments);
            command.stdout(closed()).stderr(stderr).output().unwrap()
        };
        let output = run(Stdio::piped());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        let output = run(closed().into());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    }
    for written in [
        "out.csv",
        "merged.csv",
        "out/manifest.json",
        "scores.csv",
        "items.csv",
        "all.csv",
        "all-items.csv",
        "tokens.csv",
        "tokens.csv.run/manifest.json",
        "classes.csv",
        "array.csv.array/tasks.sh",
        "array.csv.array/merge.sh",
    ] {
        assert!(sandbox.path(written).is_file(), "{written}");
    }
    let mut refused = sandbox.command(&["sweep", "--out", "other.csv", "drop("]);
    let output = refused.stderr(closed()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "an error stays an error");
}
