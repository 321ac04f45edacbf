//! 90 and 91: tasks; classifiers and rules of early exit for `generate`.

use crate::{Case, check};

const FASTEST: [&str; 4] = ["fastest", "task.jsonl", "--model", "model"];

/// A task of the user's own.
fn task(what: &'static str, text: &'static [u8], says: &[&str]) -> Case {
    Case::refused((90, what), move |s| s.write("task.jsonl", text), says).exactly(&FASTEST)
}

/// Case 90, as far as tasks cause it.
pub(crate) fn tasks() -> Vec<Case> {
    vec![
        Case::refused(
            (90, "a task that is missing"),
            |_| (),
            &["task.jsonl: not found"],
        )
        .exactly(&FASTEST),
        task(
            "a task without a line",
            b"\n\n",
            &["task.jsonl", "found no line"],
        ),
        task(
            "a task that is not JSON",
            b"prompt,options\n",
            &["task.jsonl: line 1: expected an object with the string prompt"],
        ),
        task(
            "a task that is not UTF-8",
            b"\xff\xfe{}\n",
            &["task.jsonl", "UTF-8"],
        ),
        task(
            "an item without a prompt",
            b"{\"options\": [\"a\", \"b\"]}\n",
            &["task.jsonl: line 1", "missing field `prompt`"],
        ),
        task(
            "an item with an empty prompt",
            b"{\"prompt\": \" \", \"options\": [\"a\", \"b\"]}\n",
            &["task.jsonl: line 1: prompt: expected text"],
        ),
        task(
            "an item with one option",
            b"{\"prompt\": \"a\", \"options\": [\"b\"]}\n",
            &["task.jsonl: line 1: options: expected at least 2, found 1"],
        ),
        task(
            "an item with an empty option",
            b"{\"prompt\": \"a\", \"options\": [\"b\", \"\"]}\n",
            &["task.jsonl: line 1: options: expected text in each, found an empty one"],
        ),
        task(
            "an item with an answer that is not an option",
            b"{\"prompt\": \"a\", \"options\": [\"b\", \"c\"], \"gold\": 2}\n",
            &["task.jsonl: line 1: gold: expected an index below 2, found 2"],
        ),
        task(
            "an item with a negative answer",
            b"{\"prompt\": \"a\", \"options\": [\"b\", \"c\"], \"gold\": -1}\n",
            &["task.jsonl: line 1: gold: expected an index below 2, found -1"],
        ),
        Case::refused(
            (90, "an option that does not fit into memory as tokens"),
            |s| {
                let long = "c".repeat(4 << 20);
                let line = format!(r#"{{"prompt": "a", "options": ["b", "{long}"]}}"#);
                s.write("task.jsonl", line.as_bytes());
            },
            &["model: work: needs", "of memory, but only"],
        )
        .exactly(&[
            "sweep",
            "drop(l)",
            "--model",
            "model",
            "--tasks",
            "task.jsonl",
            "--out",
            "out.csv",
            "--max-memory",
            "64M",
        ]),
        Case::refused(
            (90, "a folder without any data set of tasks"),
            |s| std::fs::create_dir(s.path("empty")).unwrap(),
            &["expected data sets of tasks", "none in empty"],
        )
        .exactly(&[
            "reproduce",
            "sublayer-skip",
            "--tasks",
            "empty",
            "--model",
            "model",
            "--corpus",
            "ids.npy",
            "--out",
            "out",
        ]),
        Case::refused(
            (90, "a folder without any data set of one token"),
            |s| std::fs::create_dir(s.path("empty")).unwrap(),
            &["expected data sets of tasks", "none in empty"],
        )
        .exactly(&[
            "reproduce",
            "early-exit",
            "--exit-tasks",
            "empty",
            "--model",
            "model",
            "--corpus",
            "ids.npy",
            "--out",
            "out",
        ]),
    ]
}

/// A classifier that is good but belongs to another model.
const CLASSIFIER: &str = r#"{"format": "layerwise-early-exit-1", "features": ["gap", "top"], "means": [0.25, 0.5],
"deviations": [0.125, 2.0], "decision": {"svm": {"weights": [1.5, -0.25], "intercept": 0.125}}, "threshold": 0.5,
"vocab": "full", "blocks": 2, "model": "0000000000000000000000000000000000000000000000000000000000000000",
"tokenizer": "", "tasks": ["a"], "instances": 20}"#;

fn generate(what: &'static str, exit: &'static str, says: &[&str]) -> Case {
    let arguments = [
        "generate", "--model", "model", "--ids", "1,2", "--exit", exit,
    ];
    Case::refused((91, what), |_| (), says).exactly(&arguments)
}

fn changed(what: &'static str, from: &'static str, to: &'static str, says: &[&str]) -> Case {
    let case = generate(what, "exit.json", says);
    let make = move |s: &crate::Sandbox| {
        assert!(CLASSIFIER.contains(from), "{from}");
        s.write("exit.json", CLASSIFIER.replacen(from, to, 1).as_bytes());
    };
    Case {
        make: Box::new(make),
        ..case
    }
}

/// Case 91, as far as classifiers and rules cause it.
pub(crate) fn classifiers() -> Vec<Case> {
    vec![
        generate(
            "a classifier that is missing",
            "exit.json",
            &["exit.json: not found"],
        ),
        changed(
            "a classifier of another model",
            "full",
            "full",
            &[
                "exit.json: model: expected",
                "as in this model",
                "found \"0000",
            ],
        ),
        changed(
            "a classifier of another number of blocks",
            "\"blocks\": 2",
            "\"blocks\": 3",
            &["exit.json: blocks: expected \"2\", as in this model, found \"3\""],
        ),
        changed(
            "a classifier with other features",
            "\"gap\", \"top\"",
            "\"top\", \"gap\"",
            &["exit.json: features: expected [\"gap\", \"top\"]"],
        ),
        changed(
            "a classifier with a NaN threshold",
            "\"threshold\": 0.5",
            "\"threshold\": NaN",
            &["exit.json: expected an early-exit classifier in JSON"],
        ),
        changed(
            "a classifier that divides by zero",
            "0.125, 2.0",
            "0.0, 2.0",
            &["exit.json: deviations: expected positive numbers"],
        ),
        changed(
            "a classifier with too many weights",
            "1.5, -0.25",
            "1.5, -0.25, 1.0",
            &["weights: expected 2 numbers, found 3"],
        ),
        changed(
            "a classifier of another version",
            "exit-1",
            "exit-9",
            &["exit.json: format: expected layerwise-early-exit-1"],
        ),
        changed(
            "a truncated classifier",
            "\"vocab\"",
            "",
            &["exit.json: expected an early-exit classifier"],
        ),
        generate(
            "an unknown rule to stop by",
            "gab:0.5",
            &["gab:0.5: not found"],
        ),
        generate(
            "a rule with a threshold that is not a number",
            "gap:half",
            &["--exit gap:half: expected a number after the colon"],
        ),
        generate(
            "a rule with a NaN threshold",
            "gap:NaN",
            &["the threshold is NaN"],
        ),
        generate(
            "a rule that looks ahead",
            "oracle-first",
            &["reads the last block"],
        ),
        generate(
            "a trained rule without its file",
            "svm",
            &["`svm` is a trained rule"],
        ),
        generate(
            "a fixed depth without a number",
            "fixed",
            &["expected the number of blocks"],
        ),
        generate(
            "a device for a classifier",
            "/dev/zero",
            &["/dev/zero", "expected a regular file"],
        ),
    ]
}

#[test]
fn tasks_that_cannot_be_read() {
    check(tasks());
}

#[test]
fn classifiers_that_cannot_be_used() {
    check(classifiers());
}
