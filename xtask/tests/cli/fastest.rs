//! `fastest`: finds a schedule for a task of the user's own.

use crate::{Sandbox, Table, fixtures};
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
    // The same model again, under a name that a table must quote.
    let folder = fixtures().join("models/gpt2-8x160");
    let again = format!("a,b={}", folder.display());
    let both = [&arguments(&["--all", "--model"])[..], &[again.as_str()]].concat();
    let all = sandbox.xtask(&both).succeeded().stdout;
    let header = "model,schedule,predicted_ratio,accuracy,relative_loss,relative_loss_se,control";
    assert_eq!(all.lines().next(), Some(header));
    assert_eq!(all.matches("predicted_ratio").count(), 1);
    let table = Table::new(all.as_bytes());
    let of = |model: &str, control: &str| -> Vec<(String, f64, f64)> {
        let rows = (0..table.rows.len()).filter(|row| table.text(*row, "model") == model);
        rows.filter(|row| table.text(*row, "control") == control)
            .map(|row| {
                (
                    table.text(row, "schedule").to_owned(),
                    table.number(row, "predicted_ratio"),
                    table.number(row, "relative_loss"),
                )
            })
            .collect()
    };
    let controls = of("gpt2-8x160", "true").len();
    assert_eq!(controls, 12, "one for each kind and number of parts");
    let lines = of("gpt2-8x160", "false");
    assert_eq!(of("a,b", "false"), lines);
    // No schedule that loses little enough is predicted to be faster.
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

/// Ctrl-C does not promise to keep what this command has nowhere to keep.
#[cfg(unix)]
#[test]
fn an_interrupt_says_that_nothing_is_kept() {
    use std::io::{BufRead, BufReader};
    let sandbox = Sandbox::new();
    sandbox.write("task.jsonl", TASK.repeat(700).as_bytes());
    let many = ["fastest", "task.jsonl", "--items", "2100"];
    let mut command = sandbox.command(&[&many[..], &SMALL].concat());
    let mut child = command
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("before each item of the tasks") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    let id = child.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(killed.unwrap().success());
    while stderr.read_line(&mut said).unwrap() > 0 {}
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.contains("(nothing is kept)"), "{said}");
}
