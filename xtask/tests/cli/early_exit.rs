//! `early-exit`, and `generate --exit`: stopping a model early.

use crate::{Outcome, Sandbox};
use serde_json::Value;
use std::fmt::Write;

const MODEL: [&str; 2] = ["--model", "gpt2-8x160"];

/// Items with two options, more than a classifier needs.
fn task() -> String {
    let beginnings = [
        "The people of the",
        "In the beginning",
        "We hold these",
        "It was a",
        "He went to the",
    ];
    let mut text = String::new();
    for at in 0..24 {
        let prompt = format!("{} number {at} and the", beginnings[at % beginnings.len()]);
        let line = r#", "options": ["state", "world"], "gold": "#;
        writeln!(text, r#"{{"prompt": "{prompt}"{line}{}}}"#, at % 2).unwrap();
    }
    text
}

fn run(sandbox: &Sandbox, arguments: &[&str]) -> Outcome {
    sandbox.xtask(&[arguments, &MODEL[..]].concat())
}

#[test]
fn a_classifier_is_trained_told_about_and_stops_what_is_written() {
    let sandbox = Sandbox::new();
    sandbox.write("task.jsonl", task().as_bytes());
    for rule in ["svm", "svm-rbf", "crf"] {
        let train = [
            "early-exit",
            "train",
            "task.jsonl",
            "--out",
            "exit.json",
            "--rule",
            rule,
        ];
        run(&sandbox, &train).succeeded();
        let file: Value = serde_json::from_slice(&sandbox.read("exit.json")).unwrap();
        assert!(file["decision"][rule].is_object(), "{file}");
        assert_eq!(file["instances"], 24);
        assert_eq!(file["tasks"][0], "task");
        let evaluate = ["early-exit", "eval", "task.jsonl", "--exit", "exit.json"];
        let told = run(&sandbox, &evaluate).succeeded().stdout;
        let says = format!("gpt2-8x160 on 24 items of task, {rule} over full");
        assert!(told.starts_with(&says), "{told}");
        let stops = told.lines().filter(|line| line.starts_with("     "));
        let runs = stops.map(|line| {
            line.split_whitespace()
                .nth(1)
                .unwrap()
                .parse::<u32>()
                .unwrap()
        });
        assert_eq!(runs.sum::<u32>(), 24, "{told}");
        assert!(told.contains("at an agreement of at least 0.99:"), "{told}");
        // The same inputs give the same bytes.
        let before = sandbox.read("exit.json");
        run(&sandbox, &train).succeeded();
        assert_eq!(sandbox.read("exit.json"), before);
        let generate = [
            "generate",
            "The people",
            "--json",
            "--max-tokens",
            "6",
            "--exit",
            "exit.json",
        ];
        let lines = run(&sandbox, &generate).succeeded().stdout;
        let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        let blocks: Vec<u64> = serde_json::from_value(last["blocks"].clone()).unwrap();
        assert!(
            blocks.iter().all(|blocks| (1..=8).contains(blocks)),
            "{blocks:?}"
        );
    }
}

/// With every way of finding missing keys and values, stopping after the last block is the plain model.
#[test]
fn stopping_at_the_end_is_the_plain_model() {
    let sandbox = Sandbox::new();
    let ids = |exit: &str, missing: &str| -> Vec<(Value, Value)> {
        let generate = [
            "generate",
            "The people",
            "--json",
            "--max-tokens",
            "6",
            "--exit",
            exit,
            "--missing",
            missing,
        ];
        let lines = run(&sandbox, &generate).succeeded().stdout;
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .map(|line| (line["ids"].clone(), line["blocks"].clone()))
            .collect()
    };
    for missing in ["recompute", "propagate", "absent"] {
        let found = ids("fixed:8", missing);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].0, found[1].0, "{missing}");
        let early = ids("fixed:2", missing);
        let blocks: Vec<u64> = serde_json::from_value(early[1].1.clone()).unwrap();
        assert!(blocks.iter().all(|blocks| *blocks == 2), "{blocks:?}");
    }
}

#[test]
fn rules_are_put_to_the_test() {
    let sandbox = Sandbox::new();
    sandbox.write("task.jsonl", task().as_bytes());
    let evaluate = |more: &[&str]| {
        let arguments = [&["early-exit", "eval", "task.jsonl"], more].concat();
        run(&sandbox, &arguments)
    };
    let all = evaluate(&["--exit", "fixed:8", "--all"]).succeeded().stdout;
    let mut lines = all.lines();
    let header = "threshold,instances,acc_full,acc_exit,agreement,agreement_se,exit_blocks_mean,pruning_ratio,ops_ratio,ops_ratio_with_head";
    assert_eq!(lines.next(), Some(header));
    let own: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!(
        (own[0], own[4], own[6], own[7], own[9]),
        ("8", "1.0000", "8.000", "0.0000", "1.0000")
    );
    let told = evaluate(&[
        "--exit",
        "gap:0.3",
        "--exit-vocab",
        "options",
        "--timed",
        "1",
    ]);
    assert!(
        told.succeeded()
            .stdout
            .contains("time with exits divided by time of the full model, timed in turn: ")
    );
    evaluate(&["--exit", "gap:0.3", "--exit-vocab", "top:4@9"])
        .refused(&["top:R@K with 9 blocks", "has 8"]);
    evaluate(&[]).refused(&["expected a rule; give --exit FILE"]);
    sandbox.write("few.jsonl", task().lines().next().unwrap().as_bytes());
    let train = ["early-exit", "train", "few.jsonl", "--out", "exit.json"];
    run(&sandbox, &train).refused(&["few: 1 training instances; a classifier needs at least 20"]);
    run(
        &sandbox,
        &[
            "early-exit",
            "train",
            "task.jsonl",
            "--out",
            "exit.json",
            "--rule",
            "gap",
        ],
    )
    .refused(&["--rule gap: expected a rule that is trained: svm, svm-rbf or crf"]);
    let alike = r#"{"prompt": "The", "options": ["state", "state"]}"#;
    sandbox.write("alike.jsonl", alike.as_bytes());
    run(
        &sandbox,
        &["early-exit", "eval", "alike.jsonl", "--exit", "gap"],
    )
    .refused(&["options that differ in their first token"]);
}

#[test]
fn long_prompts_are_left_out_and_answers_may_be_missing() {
    let sandbox = Sandbox::new();
    let item = |prompt: &str, options: &str| {
        format!("{{\"prompt\": \"{prompt}\", \"options\": {options}}}\n")
    };
    let one_token = r#"["state", "world"]"#;
    let long = ["the"; 3000].join(" ");
    let items = item("The people of the", one_token)
        + &item(&long, one_token)
        + &item(&long, r#"["Yes, it is", "No, it is not"]"#);
    sandbox.write("task.jsonl", items.as_bytes());
    let evaluate = ["early-exit", "eval", "task.jsonl", "--exit", "gap:0.3"];
    let told = run(&sandbox, &evaluate).succeeded();
    let says = "task: left out 2 items, whose prompts are longer than the context of gpt2-8x160";
    assert!(told.stderr.contains(says), "{}", told.stderr);
    let told = told.stdout;
    assert!(told.starts_with("gpt2-8x160 on 1 items of task"), "{told}");
    assert!(told.contains("agreement"), "{told}");
    assert!(!told.contains("accuracy"), "{told}");
    run(&sandbox, &[&evaluate[..], &["--strict"]].concat())
        .refused(&["expected prompts of fewer than", "found 2 longer ones"]);
    let train = ["early-exit", "train", "task.jsonl", "--out", "exit.json"];
    run(&sandbox, &[&train[..], &["--label", "gold"]].concat())
        .refused(&["expected the right answer of every item, found none in item 0"]);
}
