//! `fastest`: finds a schedule for a task of the user's own.

use crate::Sandbox;
use layerwise::schedule::Edit;

const TASK: &str = r#"{"prompt": "The people of the", "options": ["United States", "harbour and"], "gold": 0}
{"prompt": "In the beginning God created the", "options": ["heaven", "purse"], "gold": 0}
{"prompt": "We hold these", "options": ["purple", "truths"], "gold": 1}
"#;

const SMALL: [&str; 6] = ["--model", "gpt2-8x160", "--rows", "2", "--context", "32"];

#[test]
fn the_fastest_schedule_is_an_edit() {
    let sandbox = Sandbox::new();
    sandbox.write("task.jsonl", TASK.as_bytes());
    let arguments = |more: &[&'static str]| [&["fastest", "task.jsonl"], &SMALL[..], more].concat();
    let found = sandbox.xtask(&arguments(&["--lose", "0.9"])).succeeded();
    let edit: Edit = found.stdout.trim().parse().unwrap();
    assert!(
        found.stderr.contains("decoding should be"),
        "{}",
        found.stderr
    );
    let all = sandbox.xtask(&arguments(&["--all"])).succeeded().stdout;
    let mut lines = all.lines();
    let header = "model,schedule,predicted_ratio,accuracy,relative_loss,relative_loss_se,control";
    assert_eq!(lines.next(), Some(header));
    // No schedule that loses little enough is predicted to be faster.
    let controls = lines.clone().filter(|line| line.ends_with(",true")).count();
    assert_eq!(controls, 12, "one for each kind and number of parts");
    let lines: Vec<(String, f64, f64)> = lines
        .filter(|line| line.ends_with(",false"))
        .map(|line| {
            let parts: Vec<&str> = line.split('"').collect();
            let numbers: Vec<&str> = parts[2].split(',').collect();
            (
                parts[1].to_owned(),
                numbers[1].parse().unwrap(),
                numbers[3].parse().unwrap(),
            )
        })
        .collect();
    let within = lines.iter().filter(|line| line.2 <= 0.9);
    let most = within.map(|line| line.1).fold(0.0, f64::max);
    let own = lines
        .iter()
        .find(|line| line.0 == edit.to_string())
        .unwrap();
    assert_eq!((own.1, own.2 <= 0.9), (most, true), "{own:?}");
}

#[test]
fn bad_tasks_are_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("task.jsonl", b"{\"prompt\": \"a\", \"options\": [\"b\"]}\n");
    sandbox.write("empty.jsonl", b"\n");
    let refused = |file: &str, more: &[&str], mentioned: &[&str]| {
        let arguments = [&["fastest", file], &SMALL[..], more].concat();
        sandbox.xtask(&arguments).refused(mentioned);
    };
    refused(
        "task.jsonl",
        &[],
        &["task.jsonl: line 1: options: expected at least 2, found 1"],
    );
    refused("empty.jsonl", &[], &["empty.jsonl", "found no line"]);
    refused("absent.jsonl", &[], &["absent.jsonl: not found"]);
    refused(
        "task.jsonl",
        &["--lose", "1"],
        &["--lose 1: expected a fraction of at least 0 and below 1"],
    );
}
